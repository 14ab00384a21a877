"""How traffic goes over a day, and what part of a trace comes in each hour of it."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from homeport.errors import SpecError
from homeport.traffic import Arrival

HOUR_S, HOURS = 3600.0, 24
CURVES = {
    "flat": (1.0,) * HOURS,
    "office": (
        0.05, 0.05, 0.05, 0.05, 0.05, 0.08, 0.15, 0.35, 0.7, 0.95, 1.0, 0.95,
        0.8, 0.85, 0.95, 1.0, 0.9, 0.7, 0.45, 0.3, 0.2, 0.15, 0.1, 0.07,
    ),
}  # fmt: skip
"""
By name, the traffic of each hour as a share of the busiest. `office` is an assumption of homeport's: people of one time
zone at work, every day of the month alike; its mean is 0.45. Nobody measured it: name the shares of your own.
"""


def curve(text: str) -> tuple[float, ...]:
    """Return the shares of the hours: of a name, or 24 numbers with commas between. Raises `SpecError`."""
    if text in CURVES:
        return CURVES[text]
    try:
        shares = tuple(float(share) for share in text.split(","))
    except ValueError:
        shares = ()
    if len(shares) != HOURS or not all(0 <= share < math.inf for share in shares) or not any(shares):
        raise SpecError(
            f"{text!r:.60} is no curve of a day",
            hint=f"say {' or '.join(CURVES)}, or {HOURS} numbers with commas between: the traffic of each hour",
        )
    return tuple(share / max(shares) for share in shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusiestHour:
    """The hour of a trace with the most requests, or all of a trace that is no longer."""

    arrivals: tuple[Arrival, ...]
    """Since its begin."""
    begin: float
    """In seconds of the trace."""
    seconds: float

    @property
    def rate(self) -> float:
        """Return its requests a second."""
        return len(self.arrivals) / self.seconds


def busiest_hour(arrivals: Sequence[Arrival], seconds: float) -> BusiestHour:
    """
    Return the hour with the most requests within a trace of so many seconds, the first of equals.

    It begins with a request, or ends with the trace, where a burst comes after silence.
    """
    if seconds <= HOUR_S:
        return BusiestHour(arrivals=tuple(arrivals), begin=0.0, seconds=max(seconds, 1e-3))
    latest, end, best = seconds - HOUR_S, 0, (0, 0)
    for begin, arrival in enumerate(arrivals):
        start = min(arrival.seconds, latest)
        while end < len(arrivals) and arrivals[end].seconds < start + HOUR_S:
            end += 1
        best = max(best, (end - begin, -begin))
    count, begin = best[0], -best[1]
    start = min(arrivals[begin].seconds, latest)
    moved = (Arrival(one.seconds - start, one.input, one.output) for one in arrivals[begin : begin + count])
    return BusiestHour(arrivals=tuple(moved), begin=start, seconds=HOUR_S)


def hourly(busiest: BusiestHour, shares: Sequence[float], *, seed: int = 0) -> Iterator[Arrival]:
    """Yield a day: in each hour the busiest, again and again, of which each request comes with the hour's share as chance."""
    chance = random.Random(seed)  # noqa: S311 - traffic, not a secret
    for hour, share in enumerate(shares):
        for arrival in repeated(busiest.arrivals, busiest.seconds, HOUR_S):
            if share >= 1 or chance.random() < share:
                yield Arrival(hour * HOUR_S + arrival.seconds, arrival.input, arrival.output)


def repeated(arrivals: Sequence[Arrival], seconds: float, until: float) -> Iterator[Arrival]:
    """Yield the trace again and again, each `seconds` long, until `until`."""
    start = 0.0
    while start < until:
        for arrival in arrivals:
            if start + arrival.seconds >= until:
                return
            yield Arrival(start + arrival.seconds, arrival.input, arrival.output)
        start += max(seconds, 1e-3)
