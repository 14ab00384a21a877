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

from common import HOMEPORT, ROOT, await_token, bare_engine, header, report, timed, workspace

RUNS, PAIRS = 5, 9
MORE_S, AGAIN_S = 0.3, 0.45
"""What is promised: of `up` to the first token beyond the bare engine, the median of pairs; and of a second `up`, its token included."""
PEERS = {"dstack": "dstack", "skypilot": "sky", "llm": "llm"}
"""Package and command."""


def main() -> None:
    """Print the ratios."""
    header()
    with workspace() as (folder, env, gguf):
        _compile(folder, env)
        ours, bare, usual = [], [], []
        for _ in range(PAIRS):
            ours.append(timed([*HOMEPORT, "up", "--yes", "--no-verify"], cwd=folder, env=env))
            subprocess.run([*HOMEPORT, "down", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
            bare.append(_first_token_of_bare(gguf))
            usual.append(_first_token_of_bare(gguf, fits=True))
        report("`homeport up` to the first token, warm weights", ours, bare, against="the bare engine")
        more = statistics.median(one - two for one, two in zip(ours, bare, strict=True))
        kept = "kept" if more <= MORE_S else "BROKEN"
        print(f"    {more:.2f} s more, the median of {PAIRS} pairs  (promised: at most {MORE_S:g} s: {kept})")
        report("the same", ours, usual, against="the bare engine as it is unless it is told otherwise")
        subprocess.run([*HOMEPORT, "up", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
        again = [timed([*HOMEPORT, "up"], cwd=folder, env=env) for _ in range(PAIRS)]
        subprocess.run([*HOMEPORT, "down", "--yes"], cwd=folder, env=env, check=True, capture_output=True)
        report("a second `homeport up`", again, [AGAIN_S], against=f"the promised {AGAIN_S:g} s", limit=1)
        helped = [timed([*HOMEPORT, "--help"], cwd=folder, env=env) for _ in range(RUNS)]
        report("`homeport --help`", helped, [0.3], against="the promised 0.3 s", limit=1)
        fitted = [timed([*HOMEPORT, "fit", "gemma-4-31b"], cwd=folder, env=env) for _ in range(RUNS)]
        report("`homeport fit gemma-4-31b`", fitted, [1.0], against="the promised second", limit=1)
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
    main()
