"""
What `startup_cache = "auto"` saves of a start from zero, from `homeport rehearse up` to the first request after idleness.

Real vLLM compiles on the CPU in a rehearsed Cloud Run: without a startup cache and with one the endpoint is brought up, left alone
until no instance of it is left, and asked once, as `homeport rehearse verify --cold` does it; the terms are those that it tells.
The file is the same but for that key; it asks for compiling (`--no-enforce-eager`), which the rehearsal otherwise leaves out where
nothing would be kept of it. What is expected of an L4 beside it says nothing about this machine, and is left out.

Processor seconds are those of the instance's processes, which a busy machine changes least; how busy others kept it is printed.
`--write` puts the table into docs/cold-start.md. It wants the environment of `make test-vllm`, and takes five minutes and more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import psutil

from common import HOMEPORT, LEAST_S, ROOT, as_installed, free_port, header, report, spread
from gcp_rehearsal import credentials
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.runtime.processes import INSTANCES

PYTHON = Path(os.environ.get("HOMEPORT_REHEARSAL_VLLM") or ROOT / ".venv-vllm" / "bin" / "python")
MODEL = ROOT / "tests" / "models" / "gemma-4-taught"
PAGE = ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- table: python benchmarks/cold_endpoint.py --write -->\n", "<!-- end of endpoint -->\n"
WHOLE, OURS_S, OURS = 0.8, 5.0, 0.1
"""What is promised: of a whole start without a cache, and what our own part may take."""
BUSY = 0.2
"""Of all its processors: where others take more of a machine, seconds of the clock are theirs, too."""
MODES = ("off", "auto")
FILE = """
name = "cold"
model = "file:./model"
[engine]
kind = "vllm"
context = 512
parallel = 2
dtype = "float32"
extra_args = ["--no-enforce-eager"]
[cloudrun]
project = "rehearsal"
startup_cache = "{mode}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStart:
    """One start from zero, as `verify --cold` tells it."""

    whole: float
    """Seconds from the request to the first token."""
    terms: Mapping[str, float]
    """Seconds of each part that the log tells, and of the rest."""
    worked: float
    """Processor seconds of the instance's processes until the token, and a moment more."""
    others: float
    """The share of all processors that other programs had meanwhile."""


class RehearsedEndpoint:
    """One endpoint in a rehearsal of its own."""

    def __init__(self, scratch: Path) -> None:
        self._folder, self._home, self._port = scratch / "endpoint", scratch / "home", free_port()
        shutil.copytree(MODEL, self._folder / "model")
        self._env = {
            **as_installed(),
            "HOMEPORT_HOME": str(self._home),
            "HOMEPORT_REHEARSAL_VLLM": str(PYTHON),
        }

    def up(self, mode: str) -> None:
        """Bring it up with this `startup_cache`, verified."""
        (self._folder / "homeport.toml").write_text(FILE.format(mode=mode))
        self._run("up", "--yes")

    def cold(self) -> ColdStart:
        """Leave it alone until nothing of it runs, and ask it once."""
        begun, busy, used = time.monotonic(), _busy(), self._used()
        told = json.loads(self._run("verify", "--cold", "--json", codes=(0, 3)))
        instances = self._instances()
        elapsed = time.monotonic() - begun
        others = _busy() - busy - (self._used() - used)
        (found,) = [one["evidence"] for one in told["results"] if one["name"] == "cold"] or [{}]
        if not found.get("measured"):
            raise SystemExit(f"no start was measured: {found.get('why') or told}")
        return ColdStart(
            whole=found["seconds"],
            terms={**found["told_s"], "the rest": found["rest_s"]},
            worked=math.fsum(_worked(one["pid"]) for one in instances),
            others=max(0.0, others / elapsed / (os.cpu_count() or 1)),
        )

    def end(self) -> None:
        """End the rehearsal, with all that runs in it."""
        self._run("stop")

    def _instances(self) -> Sequence[Mapping[str, Any]]:  # Any: JSON
        secret = credentials.read(self._home, self._port)
        assert secret
        shown = {"authorization": f"Bearer {credentials.token(secret, OWNER)}"}
        url = f"http://127.0.0.1:{self._port}{INSTANCES}"
        found: list[Mapping[str, Any]] = httpx2.get(url, headers=shown, trust_env=False).json()["instances"]
        return found

    def _used(self) -> float:
        """Return the processor seconds of this process and all that it has begun, the rehearsal among them."""
        own = psutil.Process().cpu_times()
        mine = own.user + own.system + own.children_user + own.children_system
        return mine + math.fsum(_worked(pid) for pid in self._background())

    def _background(self) -> Iterator[int]:
        with contextlib.suppress(OSError, ValueError):
            yield json.loads((self._home / f"rehearsal-{self._port}.json").read_text())["pid"]

    def _run(self, *words: str, codes: Sequence[int] = (0,)) -> str:
        command = [*HOMEPORT, "rehearse", "--port", str(self._port), *words]
        ran = subprocess.run(
            command, cwd=self._folder, env=self._env, capture_output=True, text=True, check=False
        )
        if ran.returncode not in codes:
            raise SystemExit(
                f"homeport rehearse {' '.join(words)}: exit {ran.returncode}\n{ran.stdout}{ran.stderr}"
            )
        return ran.stdout


@contextlib.contextmanager
def rehearsed(scratch: Path) -> Iterator[RehearsedEndpoint]:
    """Yield an endpoint, and end its rehearsal; where that fails after something else has, the first failure is raised."""
    endpoint = RehearsedEndpoint(scratch)
    try:
        yield endpoint
    except BaseException:
        try:
            endpoint.end()
        except SystemExit as error:
            print(error, file=sys.stderr)
        raise
    endpoint.end()


def _worked(pid: int) -> float:
    """Return the processor seconds of a process and of all that it began, those that have ended included."""
    total = 0.0
    try:
        first = psutil.Process(pid)
        processes = [first, *first.children(recursive=True)]
    except psutil.NoSuchProcess:
        return total
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _busy() -> float:
    """Return the processor seconds of everything on this machine, since it began."""
    times = psutil.cpu_times()
    return math.fsum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def table(starts: Mapping[str, Sequence[ColdStart]], day: str) -> str:
    """Return the starts without a cache and with one side by side as Markdown: medians, with the least and the most."""
    terms = list(dict.fromkeys(term for found in starts.values() for one in found for term in one.terms))
    terms.sort(key="the rest".__eq__)
    count = min(len(found) for found in starts.values())
    busiest = max(one.others for found in starts.values() for one in found)
    busy = (
        " **That is a busy machine, of whose seconds of the clock nothing can be told.**"
        if busiest > BUSY
        else ""
    )
    each = f"{count} {'start' if count == 1 else 'starts'} each, {day}"
    lines = [
        f"{each}; other programs had at most {busiest:.0%} of the processors meanwhile.{busy} Seconds:",
        "",
        '| | `startup_cache = "off"` | `startup_cache = "auto"` | ratio |',
        "|---|---|---|---|",
    ]
    rows = [
        (f"{term}", [[one.terms[term] for one in starts[mode] if term in one.terms] for mode in MODES])
        for term in terms
    ]
    rows.append(
        ("**from the request to the first token**", [[one.whole for one in starts[mode]] for mode in MODES])
    )
    rows.append(("seconds of the processor", [[one.worked for one in starts[mode]] for mode in MODES]))
    for name, (off, auto) in rows:
        before = statistics.median(off) if off and auto else 0.0
        ratio = f"{statistics.median(auto) / before:.2f}" if before >= LEAST_S else ""
        lines.append(f"| {name} | {spread(off)} | {spread(auto)} | {ratio} |")
    return "\n".join(lines) + "\n"


def write(starts: Mapping[str, Sequence[ColdStart]]) -> None:
    """Put the table of these starts into the page."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    PAGE.write_text(before + BEGIN + table(starts, str(datetime.now(UTC).date())) + END + after)


def main() -> None:
    """Bring up, let it go to zero, ask; without a cache and with one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3, help="starts from zero of each")
    parser.add_argument("--write", action="store_true", help="put the table into docs/cold-start.md")
    given = parser.parse_args()
    if not PYTHON.exists():
        sys.exit(
            f"there is no {PYTHON}: `make test-vllm` makes it, or name another in HOMEPORT_REHEARSAL_VLLM"
        )
    header()
    starts: dict[str, list[ColdStart]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as scratch, rehearsed(Path(scratch)) as endpoint:
        for mode in MODES:
            endpoint.up(mode)
            for number in range(given.runs):
                one = endpoint.cold()
                starts[mode].append(one)
                parts = ", ".join(f"{term} {seconds:.1f} s" for term, seconds in one.terms.items())
                print(
                    f"{mode}, start {number + 1}: {one.whole:.1f} s ({parts}); worked {one.worked:.1f} s, others {one.others:.0%}",
                    flush=True,
                )
    if given.write:
        write(starts)
    tell(starts)


def tell(starts: Mapping[str, Sequence[ColdStart]]) -> None:
    """Print what the cache saves, and whether it is what was promised."""
    off, auto = ([one.whole for one in starts[mode]] for mode in MODES)
    busiest = max(one.others for found in starts.values() for one in found)
    if busiest > BUSY:
        print(
            f"other programs had {busiest:.0%} of the processors: of the seconds of the clock nothing can be told"
        )
    limit = None if busiest > BUSY else WHOLE
    report('a start from zero with startup_cache = "auto"', auto, off, against='"off"', limit=limit)
    worked = [[one.worked for one in starts[mode]] for mode in MODES]
    report("its processor seconds", worked[1], worked[0], against='"off"')
    ours = [one.terms.get("restore", math.inf) for one in starts["auto"]]
    report("copying and checking", ours, [max(OURS_S, OURS * min(auto))], against="what it may take", limit=1)


if __name__ == "__main__":
    main()
