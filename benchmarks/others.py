"""
How much of the processors other programs had between two looks: all that was worked, less what this program and all that it started did.

What cannot be laid to somebody counts as others': without `reaped`, the time of a detached process of ours that has ended, too.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

MARK = "HOMEPORT_BENCH_RUN"
"""The variable by which a process is known as started by this program, also once it has detached itself."""
_BEGAN_AS = os.getpid()
"""Where a script goes on as another process, as `reaped` has it, the one above it: it waits for what has ended, and so has its time."""
LOOK_S = 0.5
"""Of less the processors' counters, in hundredths of a second, tell too little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Seconds that were counted until a moment."""

    at: float
    total: float
    """Of all processors, idle or not."""
    busy: float
    ours: float
    """What this program worked, and all that it started."""
    behind: Mapping[tuple[int, float], float]
    """What each other process has worked that has no real-time priority, by its id and its start."""


def look() -> Look:
    """Return what was counted until now."""
    mark = os.environ.setdefault(MARK, f"{os.getpid()}-{time.time_ns()}")
    found = {one.pid: one for one in psutil.process_iter(["ppid", "create_time", "cpu_times"])}
    mine = {pid for pid, one in found.items() if pid in {os.getpid(), _BEGAN_AS} or _marked(one, mark)}
    while more := {pid for pid, one in found.items() if one.info["ppid"] in mine} - mine:
        mine |= more
    counted = psutil.cpu_times()._asdict()
    total = sum(value for name, value in counted.items() if not name.startswith("guest"))
    known = {pid: one.info for pid, one in found.items() if one.info["cpu_times"]}
    return Look(
        at=time.monotonic(),
        total=total,
        busy=total - counted["idle"] - counted.get("iowait", 0.0),
        # The first four are user, system, and those of children that have ended.
        ours=sum(sum(known[pid]["cpu_times"][:4]) for pid in mine & known.keys()),
        behind={
            (pid, info["create_time"]): sum(info["cpu_times"][:2])
            for pid, info in known.items()
            if pid not in mine and not goes_first(pid)
        },
    )


def others_between(before: Look, after: Look) -> float | None:
    """
    Return the share of the processors that others had between two looks; None where it cannot be told.

    Where this program has a real-time priority, what processes without one worked is no matter. Only what those worked that are
    still there is known to be theirs.
    """
    total = after.total - before.total
    if total < (after.at - before.at) / 2 or total <= 0:
        return None
    others = (after.busy - before.busy) - (after.ours - before.ours)
    if goes_first():
        others -= sum(worked - before.behind.get(one, 0.0) for one, worked in after.behind.items())
    return max(0.0, others / total)


def others_at_work() -> float | None:
    """Return the share of the processors that others have while this program waits for a moment."""
    before = look()
    time.sleep(LOOK_S)
    return others_between(before, look())


def goes_first(pid: int = 0) -> bool:
    """Return whether a process, else this one, has a real-time priority, as by `chrt -r 5`, which all that it starts has, too; one that cannot be told of may."""
    try:
        return hasattr(os, "sched_getscheduler") and os.sched_getscheduler(pid) in {
            os.SCHED_FIFO,
            os.SCHED_RR,
        }
    except OSError:
        return True


class Watch:
    """How much others had at most between any two looks since it began."""

    def __init__(self) -> None:
        self._last, self._most, self._untold, self._looked = look(), 0.0, False, False

    def share(self) -> float | None:
        """Look, and return the most so far; None where it could not be told once."""
        short = LOOK_S - (time.monotonic() - self._last.at)
        if short > 0 and self._looked:
            return self._found()
        time.sleep(max(0.0, short))
        now = look()
        share = others_between(self._last, now)
        self._last, self._looked = now, True
        self._untold = self._untold or share is None
        self._most = max(self._most, share or 0.0)
        return self._found()

    def _found(self) -> float | None:
        return None if self._untold else self._most


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK) == mark
    except (psutil.Error, OSError):
        return False
