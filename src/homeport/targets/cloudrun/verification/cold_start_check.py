"""How long the first token takes when nothing runs yet, against what the plan expects."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from homeport.backoff import Backoff
from homeport.catalog import cloudrun
from homeport.endpoint import Endpoint
from homeport.endpoint.wake import first_token
from homeport.errors import HomeportError
from homeport.fit.cold_start import ColdStart
from homeport.json_types import JsonObject
from homeport.progress import Progress, Silent
from homeport.startup_cache.restore_log import restore_seconds
from homeport.targets.cloudrun.logs import Line
from homeport.verify.check import Check, OnResult
from homeport.verify.report import Finding, Outcome, Report, failed, passed, skipped

_MARGIN_S = 120.0
"""How much longer than Cloud Run promises an instance may stay."""
_TELL_EVERY_S = 180.0
_ASK_EVERY_S = 5.0
_LOGGED_WITHIN_S = 60.0
"""How long a line of a log may take to be seen."""

_KEY = "cold start"
_UNREAD = "the log that tells of starts cannot be read"

Starts = Callable[[], Awaitable[frozenset[str]]]
"""The newest starts of instances that Cloud Run has written of, each by a key of its own."""


LinesAfter = Callable[[str], Awaitable[Sequence[Line]]]
PartsOf = Callable[[str], Mapping[str, float]]


def idle_s() -> float:
    """Return the seconds without a request after which nothing of a service with a GPU runs any more."""
    return cloudrun.limits().idle_s + _MARGIN_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A cold start that was one."""

    seconds: float
    """From the request to the first token."""
    budget: ColdStart
    told: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the parts that the engine's log tells, by term; of two that it tells together, `engine + fetch`."""

    rehearsed: bool = False
    """Whether another address stood in for Google Cloud's: these are seconds of this machine, then."""

    @property
    def rest(self) -> float:
        """Return the seconds that no line of the log accounts for."""
        return max(self.seconds - math.fsum(self.told.values()), 0.0)

    @property
    def parts(self) -> str:
        """Return the parts beside what was expected of them, in words; '' where the log tells none."""
        if not self.told:
            return ""
        parts = [
            f"{name} {seconds:.1f} s (expected {self._expected(name):.0f} s)"
            for name, seconds in self.told.items()
        ]
        return f"by its log {', '.join(parts)}, and {self.rest:.1f} s for the rest"

    def _expected(self, name: str) -> float:
        terms = [self.budget.term(part) for part in name.split(" + ")]
        return math.fsum(term.likely for term in terms if term is not None)

    @property
    def within(self) -> bool:
        """Tell whether it took no longer than the plan's worst."""
        return self.seconds <= self.budget.high

    def as_json(self) -> JsonObject:
        """Return the measurement as `--json` prints it."""
        parts = {name: round(seconds, 2) for name, seconds in self.told.items()}
        return {"measured": True, "seconds": round(self.seconds, 2), "within": self.within, "told_s": parts,
                "rest_s": round(self.rest, 2), "rehearsed": self.rehearsed,
                "budget": self.budget.as_json()}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMeasured:
    """No cold start was seen."""

    why: str
    broken: bool = False
    """Whether that is the endpoint's fault."""

    def as_json(self) -> JsonObject:
        """Return why nothing was measured, as `--json` prints it."""
        return {"measured": False, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asleep:
    """A deployed endpoint of which nothing should run when it is asked."""

    endpoint: Endpoint
    starts: Starts
    budget: ColdStart
    """What the plan expects."""
    log: LinesAfter | None = None
    """Lines of the service's log behind a time; without it, no part of the start is told."""
    parts: PartsOf = field(default=lambda _: {})
    """What the engine's log tells of the parts of a start."""
    min_instances: int = 0
    rehearsed: bool = False
    idle: float | None = None
    """Seconds for which it is left alone before; by default `idle_s()`."""
    progress: Progress = field(default_factory=Silent)


async def and_cold_start(report: Report, asleep: Asleep, *, on_result: OnResult | None = None) -> Report:
    """Return the report with a start from zero as its last result; it is not measured where another check failed."""

    async def look(endpoint: Asleep) -> Finding:
        if any(result.outcome is Outcome.FAILED for result in report.results):
            return skipped("not measured: other checks failed")
        return finding(await cold_start(endpoint))

    result = await Check(
        "cold", "a start from zero takes no longer than the plan expects", look, math.inf
    ).looked(asleep)
    if on_result is not None:
        on_result(result)
    return replace(report, results=(*report.results, result), seconds=report.seconds + result.seconds)


async def cold_start(asleep: Asleep) -> Measured | NotMeasured:
    """
    Return the time from nothing to the first token of a service that nobody else calls meanwhile.

    Cloud Run does not tell how many instances run. So it is left alone for as long as it may keep an idle one, then
    asked once; and it counts only where the log tells of a start of an instance that it did not tell of before.
    """
    if asleep.min_instances:
        return NotMeasured(
            why=f"scaling.min is {asleep.min_instances}: so many always run, and nothing starts from zero"
        )
    name, progress = asleep.endpoint.name, asleep.progress
    try:
        await asleep.starts()  # Whether the log can be read at all is known before the long wait.
    except HomeportError as error:
        return NotMeasured(why=f"{_UNREAD}: {error}")
    await _left_alone(name, idle_s() if asleep.idle is None else asleep.idle, progress)
    progress.started(_KEY, f"asking {name} once; its first token is expected after {asleep.budget.text}")
    try:
        result = await _measured(asleep)
    except BaseException:
        progress.failed(_KEY, "no token came")
        raise
    progress.finished(_KEY, f"{name} was asked")
    return result


async def _measured(asleep: Asleep) -> Measured | NotMeasured:
    starts = asleep.starts
    try:
        before, mark = await starts(), await _mark(asleep)
    except HomeportError as error:
        return NotMeasured(why=f"{_UNREAD}: {error}")
    try:
        seconds = await first_token(asleep.endpoint)
    except HomeportError as error:
        return NotMeasured(why=f"no token came: {error}", broken=True)
    wait = Backoff(what="the log to tell of the start", within=_LOGGED_WITHIN_S, first=_ASK_EVERY_S)
    result = f"the first token came after {seconds:.1f} s"
    try:
        while not await starts() - before:
            if not await wait.pause():
                why = "the log tells of no instance that started for the request: one was up, or the log is late"
                return NotMeasured(why=f"{why}; {result}")
    except HomeportError as error:
        return NotMeasured(why=f"{_UNREAD}: {error}; {result}")
    parts = await _read_parts(asleep, mark)
    return Measured(seconds=seconds, budget=asleep.budget, told=parts, rehearsed=asleep.rehearsed)


async def _mark(asleep: Asleep) -> str:
    """Return the time of the newest line so far, by Google's clock."""
    lines = await asleep.log("") if asleep.log else ()
    return lines[-1].at if lines else ""


async def _read_parts(asleep: Asleep, mark: str) -> Mapping[str, float]:
    """Return what the lines since tell of the start; nothing where they cannot be read any more."""
    if asleep.log is None:
        return {}
    try:
        lines = await asleep.log(mark)
    except HomeportError:
        return {}
    text = "\n".join(line.text for line in lines)
    return {**restore_seconds(text), **asleep.parts(text)}


def finding(result: Measured | NotMeasured) -> Finding:
    """Return what a report says of it."""
    if isinstance(result, NotMeasured):
        return (failed if result.broken else skipped)(f"not measured: {result.why}", **result.as_json())
    text = f"{result.seconds:.1f} s from zero to the first token; the plan expects {result.budget.text}"
    if result.parts:
        text += f"; {result.parts}"
    if result.within:
        return passed(text, **result.as_json())
    largest = max(result.budget.terms, key=lambda term: term.high)
    return failed(
        f"{text}, most of it for {largest.name} ({largest.how}): docs/cold-start.md compares the ways",
        **result.as_json(),
    )


async def _left_alone(name: str, seconds: float, progress: Progress) -> None:
    progress.started(
        _KEY,
        f"leaving {name} alone for {_in_words(seconds)}, until nothing of it runs: nobody may call it meanwhile",
    )
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    try:
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, _TELL_EVERY_S))
            if until - loop.time() > 1:
                progress.note(f"{_in_words(until - loop.time())} more")
    except BaseException:
        progress.failed(_KEY, f"{name} was not left alone for long enough")
        raise
    progress.finished(_KEY, f"{name} was left alone")


def _in_words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
