"""When requests come, where no trace says it: seconds from the beginning, in order, the same for the same seed."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

from homeport.errors import SpecError

MOST_ARRIVALS = 2_000_000
"""A day of 20 a second has fewer; what is far beyond would fill the memory before the first is sent."""


def constant(rate: float, seconds: float) -> Iterator[float]:
    """Yield one request every 1/`rate` seconds, the first at 0. Raises `SpecError` for what is no rate or time, or too many."""
    _ensure_positive(rate=rate, seconds=seconds)
    _ensure_few(rate * seconds)
    return (number / rate for number in range(math.ceil(rate * seconds)))


def poisson(rate: float, seconds: float, *, seed: int = 0) -> Iterator[float]:
    """
    Yield requests that know nothing of each other, `rate` a second on average: their gaps are exponential.

    Raises as `constant` does.
    """
    _ensure_positive(rate=rate, seconds=seconds)
    _ensure_few(rate * seconds)
    return _poisson(rate, seconds, random.Random(seed))  # noqa: S311 - traffic, not a secret


def burst(rate: float, seconds: float, *, size: int) -> Iterator[float]:
    """Yield `size` requests at one moment, again and again, `rate` a second on average. Raises as `constant` does."""
    _ensure_positive(rate=rate, seconds=seconds, size=size)
    _ensure_few(max(size, rate * seconds))
    return (moment for moment in constant(rate / size, seconds) for _ in range(size))


def ramp(low: float, high: float, seconds: float) -> Iterator[float]:
    """
    Yield requests that come evenly, at a rate that goes from `low` to `high` a second in a straight line.

    By t seconds low·t + (high-low)·t²/2T have come; request k comes when that is k. Raises as `constant` does, unless
    one of both rates is 0.
    """
    _ensure_positive(seconds=seconds, mean=(low + high) / 2)
    if min(low, high) < 0:
        raise SpecError(f"a rate of {min(low, high):g} requests a second cannot be", hint="say 0 or more")
    _ensure_few((low + high) / 2 * seconds)
    return (
        _moment(low, (high - low) / seconds, count) for count in range(math.ceil((low + high) / 2 * seconds))
    )


def _ensure_positive(**values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise SpecError(f"{name}: should be above 0, but is {value!r}")


def _ensure_few(count: float) -> None:
    if count > MOST_ARRIVALS:
        raise SpecError(
            f"{count:,.0f} requests are more than the {MOST_ARRIVALS:,} that can be made up at once",
            hint="say a lower rate, or less time",
        )


def _poisson(rate: float, seconds: float, chance: random.Random) -> Iterator[float]:
    moment = chance.expovariate(rate)
    while moment < seconds:
        yield moment
        moment += chance.expovariate(rate)


def _moment(low: float, growth: float, count: int) -> float:
    """Return the t at which low·t + growth·t²/2 is `count`, in the form that loses nothing where growth is near 0."""
    if count == 0:
        return 0.0
    return 2 * count / (low + math.sqrt(max(0.0, low * low + 2 * growth * count)))
