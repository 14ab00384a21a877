"""Turn a GGUF file into a folder that vLLM can serve: `gguf_to_safetensors.py SRC.gguf OUT_DIR`.

vLLM cannot serve a GGUF on the CPU, so its weights are unpacked to bfloat16 safetensors.
Run it with the Python of the environment that `vllm_env.py` makes. Quantized weights stay as coarse as they
were: the folder proves that vLLM serves a model, and is no substitute for the original weights.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAMP = "gguf-source.json"
FORMAT = 1  # raise it when the output changes, so that older folders are made again


@dataclass(frozen=True)
class Header:
    """What transformers leaves out when it reads a GGUF's tokenizer."""

    add_bos: bool
    chat_template: str | None
    stop_ids: tuple[int, ...]


def source_stamp(src: Path) -> dict[str, object]:
    """Name the source by its content; equal stamps mean that there is nothing to do."""
    with src.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"format": FORMAT, "source": src.name, "sha256": digest}


def read_stamp(out: Path) -> object:
    """Return the stamp of a finished folder, or None; it is written last, so it vouches for the rest."""
    try:
        stamp: object = json.loads((out / STAMP).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return stamp


def read_header(src: Path) -> Header:
    """Read the GGUF's own words about BOS, the chat template and the tokens that end a turn."""
    from gguf import GGUFReader

    fields = GGUFReader(str(src)).fields

    def value(key: str) -> Any:  # a GGUF value is of the type that its writer chose
        return fields[key].contents() if key in fields else None

    ends = [value(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    return Header(
        add_bos=bool(value("tokenizer.ggml.add_bos_token")),
        chat_template=value("tokenizer.chat_template"),
        stop_ids=tuple(sorted({int(token) for token in ends if token is not None})),
    )


def write_model(src: Path, out: Path, header: Header) -> None:
    """Unpack the weights to bfloat16 and write them with their config."""
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    # Without dequantize=True transformers 5 keeps the packed weights, and then cannot save them.
    model = AutoModelForCausalLM.from_pretrained(
        str(src.parent),
        gguf_file=src.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    # The weights are plain now. A config that still says "gguf" makes vLLM look for packed ones.
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    if header.stop_ids:  # vLLM ends an answer at every id that stands here
        model.generation_config.eos_token_id = list(header.stop_ids)
    model.save_pretrained(out)


def write_tokenizer(src: Path, out: Path, header: Header) -> None:
    """Write the tokenizer, with the BOS rule and the chat template that only the GGUF's header tells."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(src.parent), gguf_file=src.name)
    # None for a pretrained model: a template made up here would pretend that it was taught one.
    tokenizer.chat_template = header.chat_template
    tokenizer.save_pretrained(out)
    if header.add_bos and tokenizer("a")["input_ids"][:1] != [tokenizer.bos_token_id]:
        add_bos_rule(out / "tokenizer.json", tokenizer.bos_token)


def add_bos_rule(path: Path, bos: str) -> None:
    """Make a tokenizer.json begin every text with BOS.

    transformers drops the rule for Gemma, and Gemma without BOS babbles ("France of France of France").
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{bos}:0 $A:0",
        pair=f"{bos}:0 $A:0 {bos}:1 $B:1",
        special_tokens=[(bos, tokenizer.token_to_id(bos))],
    )
    tokenizer.save(str(path))


def put_in_place(made: Path, out: Path) -> None:
    """Rename the finished folder to its final name, so that nobody ever sees half of one."""
    if not out.exists():
        made.rename(out)
        return
    old = made.with_name(f"{made.name}.old")
    out.rename(old)
    made.rename(out)
    shutil.rmtree(old)


def convert(src: Path, out: Path, stamp: dict[str, object]) -> None:
    """Write the whole folder beside its final place, then rename it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        header = read_header(src)
        write_model(src, made, header)
        write_tokenizer(src, made, header)
        (made / STAMP).write_text(json.dumps(stamp, indent=2) + "\n")
        made.chmod(0o755)  # mkdtemp's own mode shuts out everyone else
        for path in made.iterdir():
            path.chmod(0o644)
        put_in_place(made, out)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def main() -> int:
    """Convert one file, unless the folder already holds the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("src", type=Path, metavar="SRC.gguf")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    args = parser.parse_args()
    # Absolute: transformers takes an empty folder name for a model id on a hub.
    src, out = args.src.resolve(), args.out.resolve()
    if not src.is_file():
        print(f"error: there is no file {src}", file=sys.stderr)
        return 1
    stamp, found = source_stamp(src), read_stamp(out)
    if found == stamp:
        print(f"{out} is up to date")
        return 0
    if found is None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        print(f"error: {out} was not made by this script, and is left alone", file=sys.stderr)
        return 1
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # all that is needed lies in the file
    start = time.monotonic()
    print(f"converting {src.name}; about a minute for 270 million weights", flush=True)
    convert(src, out, stamp)
    print(f"wrote {out} in {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
