"""
What a script has measured, each figure beside its promise: kept, broken, not to be told, not measured.

A script exits with 0 where all was measured and kept, with 1 where a promise is broken, and with 3 where none is, but something could
not be told or was not measured. An error exits with 70, Ctrl-C with 130: neither came to its end.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from others import Watch, goes_first
from promises import PARTS, Others, Promise

BUSY = 0.2
"""Of the processors: where other programs have more, times of the wall's clock are theirs, too."""
UNTOLD = "how much other programs had of the processors cannot be told"
FAILED = 70
"""What a script exits with that an error has ended: 1, as Python has it, is that of a broken promise."""
INTERRUPTED = 130
FIRST = "at a real-time priority"
RESULTS = "HOMEPORT_BENCH_RESULTS"
"""The variable that names the file to which each figure is written at once, a line each, so that an end in the middle loses none."""


class Verdict(StrEnum):
    """What became of a promise; in the order of how bad it is."""

    BROKEN = "BROKEN"
    UNMEASURED = "not measured"
    UNCLEAR = "cannot tell"
    KEPT = "kept"
    NO_PROMISE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One figure as it was measured."""

    id: str
    value: float | None
    verdict: Verdict
    note: str = ""
    """Why it cannot be told or was not measured; or what else belongs to the figure."""
    most: float | None = None
    least: float | None = None
    unit: str = ""
    """Within which bounds it was promised to be, and in what, when it was judged."""

    @classmethod
    def of(cls, id_: str, promise: Promise, value: float | None, verdict: Verdict, note: str) -> Ratio:
        """Return a figure with the bounds by which it was judged."""
        return cls(
            id=id_, value=value, verdict=verdict, note=note,
            most=promise.most, least=promise.least, unit=promise.unit,
        )  # fmt: skip

    def is_of(self, promise: Promise) -> bool:
        """Return whether this promise is the one by which it was judged."""
        return (self.most, self.least, self.unit) == (promise.most, promise.least, promise.unit)

    @classmethod
    def from_line(cls, line: str) -> Ratio:
        """Return the figure of a line of the results' file."""
        found = json.loads(line)
        return cls(**{**found, "verdict": Verdict(found["verdict"])})


def judged(promise: Promise, value: float, noise: float = 0.0) -> Verdict:
    """
    Return what becomes of a promise by a figure that noise may have moved by so much either way.

    Nothing can be told where noise alone is more than what is promised, where it may have put the figure outside, and of no number.
    A figure that is within is taken at its word, though noise may have put it there: `could_be_outside` says so beside it.
    """
    most, least = promise.most, promise.least
    if most is None and least is None:
        return Verdict.NO_PROMISE
    if not math.isfinite(value) or not math.isfinite(noise):
        return Verdict.UNCLEAR
    outside = max(0.0 if most is None else value - most, 0.0 if least is None else least - value)
    if noise > abs(least if most is None else most):  # type: ignore[arg-type]
        return Verdict.UNCLEAR
    if outside > noise:
        return Verdict.BROKEN
    return Verdict.UNCLEAR if outside > 0 else Verdict.KEPT


def could_be_outside(promise: Promise, value: float, noise: float) -> bool:
    """Return whether a figure is within what is promised, and would not be if noise moved it."""
    return judged(promise, value, noise) is Verdict.KEPT and any(
        judged(promise, value + moved) is not Verdict.KEPT for moved in (-noise, noise)
    )


def furthest(promise: Promise, off: Mapping[str, float], noise: Mapping[str, float]) -> str:
    """Return which of several figures with one promise is told for all: the one whose verdict is worst, and of these the one that is off most."""
    order = [*Verdict]
    return min(off, key=lambda one: (order.index(judged(promise, off[one], noise[one])), -abs(off[one])))


def machine() -> str:
    """Return the machine and the day: figures mean nothing without."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    first = [FIRST] if goes_first() else []
    day = f"{datetime.now(UTC).date()}"
    parts = [platform.machine(), f"{cores} cores", platform.system(), f"Python {platform.python_version()}"]
    return ", ".join([*parts, *first, day])


def exit_code(ratios: Sequence[Ratio]) -> int:
    """Return what a script exits with that measured these."""
    found = {one.verdict for one in ratios}
    if Verdict.BROKEN in found:
        return 1
    return 3 if found & {Verdict.UNMEASURED, Verdict.UNCLEAR} else 0


class Scoreboard:
    """What one part has measured so far."""

    def __init__(self, part: str) -> None:
        self.promises: Mapping[str, Promise] = PARTS[part].promises
        self.ratios: dict[str, Ratio] = {}
        self.why_not = "it was left out"
        self._others = Watch()

    def measured(
        self, id_: str, value: float, *, noise: float = 0.0, note: str = "", unclear: str = ""
    ) -> Ratio:
        """Print and keep a figure beside its promise; `unclear` says why nothing can be told by it."""
        promise = self.promises[id_]
        verdict = judged(promise, value, noise)
        unclear = unclear or self._beside_others(promise, verdict)
        if verdict is not Verdict.NO_PROMISE:
            if unclear:
                verdict = Verdict.UNCLEAR
            elif verdict is Verdict.UNCLEAR:
                unclear = _noise(promise, noise)
            elif could_be_outside(promise, value, noise):
                note = "; ".join(
                    filter(None, (note, f"{_noise(promise, noise)}, which could put it outside"))
                )
        return self._keep(Ratio.of(id_, promise, value, verdict, unclear or note))

    def unmeasured(self, id_: str, why: str) -> None:
        """Say that a figure was not measured, and why."""
        self._keep(Ratio.of(id_, self.promises[id_], None, Verdict.UNMEASURED, why))

    def end(self) -> int:
        """Say of all that was not measured that it was not; return what to exit with."""
        for id_ in [one for one in self.promises if one not in self.ratios]:
            self.unmeasured(id_, self.why_not)
        return exit_code([*self.ratios.values()])

    def _beside_others(self, promise: Promise, verdict: Verdict) -> str:
        """Return why other programs let nothing be told, '' where they do."""
        if promise.others is Others.NOTHING or (
            promise.others is Others.LENGTHEN and verdict is Verdict.KEPT
        ):
            return ""
        share = self._others.share()
        if share is None:
            return UNTOLD
        return f"other programs had {share:.0%} of the processors" if share > BUSY else ""

    def _keep(self, one: Ratio) -> Ratio:
        self.ratios[one.id] = one
        print(f"  {line(self.promises[one.id], one)}", flush=True)
        if where := os.environ.get(RESULTS):
            with Path(where).open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(one)) + "\n")
        return one


def _noise(promise: Promise, noise: float) -> str:
    return f"noise may be {promise.written(noise).lstrip('+')}"


def line(promise: Promise, one: Ratio) -> str:
    """Return a figure, its promise and what became of it, in a line."""
    value = "" if one.value is None else f" {promise.written(one.value)}"
    bounds = f"promised {promise.bounds}: " if promise.bounds else ""
    said = ": ".join(filter(None, (one.verdict.value, one.note)))
    return f"{promise.what}:{value}" + (f"  ({bounds}{said})" if bounds or said else "")


@contextmanager
def board(part: str) -> Iterator[Scoreboard]:
    """Print the machine, yield a scoreboard, and exit as it says; what an error or Ctrl-C left is said to be not measured."""
    print(machine(), flush=True)
    made = Scoreboard(part)
    begun = time.perf_counter()
    try:
        yield made
    except BaseException as error:
        made.why_not = "interrupted" if isinstance(error, KeyboardInterrupt) else f"it ended with {error!r}"
        made.end()
        if isinstance(error, KeyboardInterrupt):
            raise SystemExit(INTERRUPTED) from None
        traceback.print_exception(error)
        raise SystemExit(FAILED) from error
    print(f"({part} took {time.perf_counter() - begun:.0f} s)")
    raise SystemExit(made.end())
