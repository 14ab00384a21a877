"""
What a startup cache saves of vLLM's start, with real vLLM on the CPU: nothing kept, restored from a pack, and by hand.

Each round starts vLLM three times with the same command: with an empty cache, which is then kept; with that cache restored and
checked by our script, in a folder that was emptied before; and without our script, on the folder as the start before left it.
A start ends with its first token. `init` is what vLLM itself calls the engine's initialization,
`worked` the processor seconds of all its processes, for a machine that does something else besides. A CPU shows no CUDA graphs,
and vLLM 0.32 cannot load its own AOT artifacts there, so AOT is off: what is kept is Inductor's.

`--runs 1` is one round; each takes three minutes and more. `--write` puts the table into docs/cold-start.md, with every term that
vLLM's log tells, each start beside the others. It wants the environment of `make test-vllm`.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from common import LEAST_S, ROOT, await_token, free_port, header, report, spread
from homeport.engines.registry import module
from homeport.startup_cache import script

VLLM = ROOT / ".venv-vllm" / "bin" / "vllm"
MODEL = ROOT / "tests" / "models" / "gemma-4-taught"
FINGERPRINT = "0" * 32
INIT, WHOLE, OURS_S, OURS = 0.6, 0.8, 5.0, 0.1
"""What is promised: of an init and of a whole start without a cache, and what our own part may take."""
_RESTORED = re.compile(r"homeport: startup cache: (.*)")
_SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "VLLM_HOST_IP": "127.0.0.1",
    "VLLM_USE_AOT_COMPILE": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of vLLM."""

    whole: float
    """Seconds from its process to the first token."""
    terms: Mapping[str, float]
    """Seconds of each part of it that vLLM's log tells."""
    worked: float
    """Processor seconds until it has ended, which a busy machine does not change much."""
    said: str
    """What our script said of the cache; '' without it."""

    @property
    def init(self) -> float:
        """Return the seconds of what vLLM calls the engine's initialization."""
        return sum(seconds for term, seconds in self.terms.items() if term != "fetch")

    @property
    def ours(self) -> float | None:
        """Return the seconds that our script took; None where it did nothing."""
        return float(found[1]) if (found := re.search(r"after ([\d.]+) s", self.said)) else None


def start(folder: Path, *before: str) -> Start:
    """Start vLLM with its cache in `folder`, by the command `before` if there is one, and end it."""
    kept, port = module("vllm").STARTUP_CACHE, free_port()
    assert kept is not None
    command = [str(VLLM), "serve", str(MODEL), "--host", "127.0.0.1", "--port", f"{port}"]
    command += [
        "--served-model-name",
        "m",
        "--dtype",
        "bfloat16",
        "--max-model-len",
        "512",
        "--max-num-seqs",
        "2",
    ]
    command += ["--kv-cache-memory-bytes", f"{2**26}"]
    env = {**os.environ, **_SETTINGS, **kept.environment(str(folder))}
    log = folder.with_name("log")
    used = _worked()
    with log.open("wb") as written:
        begun = time.perf_counter()
        process = subprocess.Popen([*before, *command], env=env, stdout=written, stderr=subprocess.STDOUT)
        try:
            await_token(f"http://127.0.0.1:{port}", "m")
            whole = time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait()
    text = log.read_text(errors="replace")
    said = found[1] if (found := _RESTORED.search(text)) else ""
    terms = module("vllm").start_times(text)
    return Start(whole=whole, terms=terms, worked=_worked() - used, said=said)


def _worked() -> float:
    """Return the processor seconds of all processes that were started and have ended."""
    taken = resource.getrusage(resource.RUSAGE_CHILDREN)
    return taken.ru_utime + taken.ru_stime


def one_round(scratch: Path) -> tuple[Start, Start, Start]:
    """Return a start without a cache, one with it restored, and one by hand on the same folder."""
    folder, pack = scratch / "cache", scratch / "pack"
    for old in (folder, pack):
        shutil.rmtree(old, ignore_errors=True)
    without = start(folder)
    digest = script.keep(folder, pack, FINGERPRINT)
    shutil.rmtree(folder)
    restore = [sys.executable, script.__file__, "restore", "--from", str(pack), "--to", str(folder)]
    restore += ["--fingerprint", FINGERPRINT, "--manifest", digest, "--"]
    restored = start(folder, *restore)
    return without, restored, start(folder)


Round = tuple[Start, Start, Start]
PAGE = ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- table: python benchmarks/cold.py --write -->\n", "<!-- end of starts -->\n"


def table(rounds: Sequence[Round], day: str) -> str:
    """Return all starts side by side as Markdown: medians, with the least and the most where there are several."""
    terms = dict.fromkeys(term for starts in rounds for one in starts for term in one.terms)
    rows: list[tuple[str, Callable[[Start], float | None]]] = [
        *((f"vLLM's log: {term}", lambda one, term=term: one.terms.get(term)) for term in terms),
        ("engine's initialization", lambda one: one.init),
        ("the whole start, to the first token", lambda one: one.whole),
        ("seconds of the processor", lambda one: one.worked),
        ("copying and checking", lambda one: one.ours),
    ]
    lines = [
        f"{len(rounds)} {'round' if len(rounds) == 1 else 'rounds'}, {day}, seconds:",
        "",
        "| | an empty cache | restored by our script | by hand, the folder left as it was |",
        "|---|---|---|---|",
    ]
    for name, value in rows:
        columns = [
            [told for one in starts if (told := value(one)) is not None]
            for starts in zip(*rounds, strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(_cell(column, columns[0]) for column in columns)} |")
    return "\n".join(lines) + "\n"


def _cell(seconds: list[float], without: list[float]) -> str:
    first = statistics.median(without) if without and seconds else 0.0
    ratio = (
        f", {statistics.median(seconds) / first:.2f} ×" if first >= LEAST_S and seconds is not without else ""
    )
    return f"{spread(seconds)}{ratio}"


def write(rounds: Sequence[Round]) -> None:
    """Put the table of these starts into the page."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    PAGE.write_text(before + BEGIN + table(rounds, str(datetime.now(UTC).date())) + END + after)


def main() -> None:
    """Start, measure, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/cold-start.md")
    given = parser.parse_args()
    runs = given.runs
    header()
    with tempfile.TemporaryDirectory() as scratch:
        rounds = []
        for number in range(runs):
            rounds.append(one_round(Path(scratch)))
            print(
                f"round {number + 1}: "
                + ", ".join(
                    f"{one.whole:.1f} s, init {one.init:.1f} s, worked {one.worked:.1f} s"
                    for one in rounds[-1]
                )
            )
    if given.write:
        write(rounds)
    without, restored, by_hand = (list(starts) for starts in zip(*rounds, strict=True))
    print(f"restored: {restored[-1].said}")
    for what, limit in (("init", INIT), ("whole", WHOLE), ("worked", None)):
        first, ours, bare = (
            [getattr(one, what) for one in starts] for starts in (without, restored, by_hand)
        )
        report(f"{what} of a start with a restored cache", ours, first, against="without one", limit=limit)
        report(f"{what} of a start by hand with a warm cache", bare, first, against="without one")
        report(f"{what} of a start with a restored cache", ours, bare, against="by hand with a warm cache")
    longest = max(OURS_S, OURS * min(one.whole for one in restored))
    report(
        "copying and checking",
        [math.inf if one.ours is None else one.ours for one in restored],
        [longest],
        against="what it may take",
        limit=1,
    )


if __name__ == "__main__":
    main()
