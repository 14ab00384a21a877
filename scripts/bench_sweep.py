"""
Write the sweep of docs/bench.md anew: `python scripts/bench_sweep.py` (two minutes; on a busy machine `chrt -r 5` before it).

It serves Gemma 3 270M on this machine as `homeport up` does, measures it as `homeport bench` does, and takes it down: what the
command prints goes to the page, its report beside the pictures. Weights are fetched first where they are not here.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "bench.md"
REPORT = ROOT / "docs" / "examples" / "bench-gemma-3-270m.html"
BEGIN, END = "<!-- sweep: scripts/bench_sweep.py -->", "<!-- end of the sweep -->"
FILE = """name = "home"
model = "gemma-3-270m-pt"
[engine]
extra_args = ["cpuparams.n_threads=1", "cpuparams_batch.n_threads=1"]
[local]
port = 0
"""
"""One thread: with as many as there are cores, the client that measures would be late, and the bench no result."""
BENCH = ["bench", "--slo", "ttft=1s", "--input", "128", "--output", "32", "--seconds", "60"]


def homeport(*arguments: str, folder: Path, env: Mapping[str, str], may: tuple[int, ...] = (0,)) -> str:
    """Return what the command prints."""
    command = [sys.executable, "-m", "homeport", "--quiet", *arguments]
    ran = subprocess.run(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=False, timeout=600
    )
    if ran.returncode not in may:
        raise SystemExit(ran.returncode)
    return ran.stdout.rstrip()


def main() -> None:
    """Measure, and put it between the marks."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home = folder / "home"
        home.mkdir()
        shared = ROOT / ".cache" / "home" / "weights"
        shared.mkdir(parents=True, exist_ok=True)
        (home / "weights").symlink_to(shared)
        env = {**os.environ, "HOMEPORT_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "110"}
        (folder / "homeport.toml").write_text(FILE)
        homeport("up", "--yes", "--no-verify", folder=folder, env=env)
        try:
            # 3 is a load with a doubt: it is on the page, and says so.
            said = homeport(*BENCH, "--html", str(REPORT), folder=folder, env=env, may=(0, 3))
        finally:
            homeport("down", "--yes", folder=folder, env=env)
    day = datetime.now(UTC).date()
    where = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, {day}"
    text = f"{BEGIN}\n`homeport {' '.join(BENCH)}`, {where}:\n\n```text\n{said}\n```\n{END}"
    page = PAGE.read_text(encoding="utf-8")
    found = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not found.search(page):
        raise SystemExit(f"{PAGE} has no place for the sweep: {BEGIN} … {END}")
    PAGE.write_text(found.sub(lambda _: text, page), encoding="utf-8")


if __name__ == "__main__":
    main()
