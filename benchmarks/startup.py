"""
From `homeport up` to the first token, against the bare engine started by hand on the same, warm weights; and how
long the commands take that do nothing, against those of other tools (where they are installed, see `peers`).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path

from common import HOMEPORT, ROOT, await_token, bare_engine, report, timed, workspace
from reaped import reaped
from scoreboard import board

RUNS, PAIRS = 5, 9
PEERS = {"dstack": "dstack", "skypilot": "sky", "llm": "llm"}
"""Package and command."""


def main() -> None:
    """Print the ratios."""
    with board("startup") as told, workspace() as (folder, env, gguf):
        _compile(folder, env)
        ours, bare, usual = [], [], []
        for _ in range(PAIRS):
            ours.append(timed([*HOMEPORT, "up", "--yes", "--no-verify"], cwd=folder, env=env))
            subprocess.run([*HOMEPORT, "down", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
            bare.append(_first_token_of_bare(gguf))
            usual.append(_first_token_of_bare(gguf, fits=True))
        more = statistics.median(one - two for one, two in zip(ours, bare, strict=True))
        told.measured("more", more, note=f"the median of {PAIRS} pairs, warm weights")
        for id_, theirs in (("first", bare), ("usual", usual)):
            both = [statistics.median(one) for one in (ours, theirs)]
            told.measured(id_, both[0] / both[1], note=f"medians {both[0]:.2f} and {both[1]:.2f} s")
        subprocess.run([*HOMEPORT, "up", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
        again = [timed([*HOMEPORT, "up"], cwd=folder, env=env) for _ in range(PAIRS)]
        subprocess.run([*HOMEPORT, "down", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
        told.measured("again", statistics.median(again))
        helped = [timed([*HOMEPORT, "--help"], cwd=folder, env=env) for _ in range(RUNS)]
        told.measured("help", statistics.median(helped))
        fitted = [timed([*HOMEPORT, "fit", "gemma-4-31b"], cwd=folder, env=env) for _ in range(RUNS)]
        told.measured("fit", statistics.median(fitted))
        _peers(helped, again, folder, env)


def _first_token_of_bare(gguf: Path, *, fits: bool = False) -> float:
    """Return the seconds until an engine that is started by hand has generated a token."""
    begun = time.perf_counter()
    with bare_engine(gguf, fits=fits) as url:
        await_token(url)
        return time.perf_counter() - begun


def _compile(folder: Path, env: Mapping[str, str]) -> None:
    """Run every command once that is measured, so that no modules are left to be compiled."""
    for words in (["up", "--yes"], ["up"], ["down", "--yes"], ["--help"], ["fit", "gemma-4-31b"]):
        timed([*HOMEPORT, *words], cwd=folder, env=env)


def _peers(helped: list[float], again: list[float], folder: Path, env: Mapping[str, str]) -> None:
    if "--peers" not in sys.argv:
        print(
            "other tools: not measured; `python benchmarks/startup.py --peers` installs and measures them (1 GB)"
        )
        return
    for package, command in PEERS.items():
        place = ROOT / ".cache" / "peers" / package
        if not (place / "bin" / command).exists():
            venv.create(place, with_pip=True)
            install = [str(place / "bin" / "pip"), "install", "--quiet", package]
            subprocess.run(install, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        program = str(place / "bin" / command)
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False
        ).stdout.split()[-1:]
        timed([program, "--help"], cwd=folder, env=env)
        seconds = [timed([program, "--help"], cwd=folder, env=env) for _ in range(RUNS)]
        report("`homeport --help`", helped, seconds, against=f"`{command} --help` ({' '.join(version)})")
        report(
            "a second `homeport up`", again, seconds, against=f"`{command} --help`, which does nothing at all"
        )


if __name__ == "__main__":
    reaped()
    main()
