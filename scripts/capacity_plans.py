"""
Write the plans of docs/capacity.md anew: `python scripts/capacity_plans.py FOLDER` (minutes).

FOLDER has Azure's traces of November 2023, which are no part of homeport (CC-BY 4.0, github.com/Azure/AzurePublicDataset):
`azure-llm-2023-conv.csv` and `azure-llm-2023-code.csv`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "capacity.md"
MODELS = {"E4B": ("gemma-4-e4b", "nvidia-l4"), "31B": ("gemma-4-31b", "nvidia-rtx-pro-6000")}
TRACES = {"conversations": "azure-llm-2023-conv.csv", "code": "azure-llm-2023-code.csv"}


def plan(model: str, gpu: str, trace: Path) -> str:
    """Return what `homeport capacity` prints: the head, and the cheapest setting, or all where there is none."""
    command = [
        sys.executable, "-m", "homeport", "--quiet", "capacity", model, "--gpu", gpu, "--engine", "vllm",
        "--context", "16384", "--trace", str(trace), "--slo", "ttft=2s",
    ]  # fmt: skip
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if ran.returncode not in (0, 1):
        raise SystemExit(ran.returncode)
    head, _, rest = ran.stdout.partition("\n\n")
    best = re.search(
        r"^CHEAPEST.*?(?=\n\n  in homeport\.toml|\n\nnext|\n\nnote)", rest, re.DOTALL | re.MULTILINE
    )
    return f"{head.splitlines()[0]}\n\n{best[0]}" if best else ran.stdout.rstrip()


def main() -> None:
    """Put each plan between the fences below its heading."""
    folder = Path(sys.argv[1])
    page = PAGE.read_text(encoding="utf-8")
    for title, (model, gpu) in MODELS.items():
        for kind, file in TRACES.items():
            print(f"{title}, {kind}", flush=True)
            said = plan(model, gpu, folder / file)
            fence = re.compile(rf"(### {title}, {kind}\n.*?```text\n).*?(\n```)", re.DOTALL)
            place = fence.search(page)
            if place is None:
                raise SystemExit(f"{PAGE} has no place for {title}, {kind}")
            page = f"{page[: place.end(1)]}{said}{page[place.start(2) :]}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
