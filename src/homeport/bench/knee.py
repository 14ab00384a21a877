"""
The knee: the least load that gives all but a twentieth of the most that there is.

The number of users is doubled while goodput grows; then the most between the neighbours of the best, and below it the
knee, are found by halves. Beyond saturation nothing is sought.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

ENOUGH = 0.95
"""Of the most goodput: the knee is the least load that gives as much."""
GROWS = 1.05
"""By doubling users; less is noise or saturation."""
Measure = Callable[[int], Awaitable[float | None]]
"""Returns goodput at so many users; None where there is no time left to measure it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKnee:
    """Where the search ended."""

    users: int
    """The knee."""
    most: float
    """The most goodput that was seen."""
    searched: bool
    """Whether the search came to its end; else the knee may lie elsewhere, as `why` says."""
    why: str
    measured: dict[int, float]


async def find(measure: Measure, *, most_users: int = 1024) -> FoundKnee:
    """Return the knee of what `measure` gives."""
    goodputs: dict[int, float] = {}

    async def at(users: int) -> float:
        if users not in goodputs:
            value = await measure(users)
            if value is None:
                raise _OutOfTimeError
            goodputs[users] = value
        return goodputs[users]

    try:
        high = await _doubled(at, most_users)
        open_end = high is None
        if high is not None:
            await _raise_best(at, goodputs, high)
        await _lower(at, goodputs)
    except _OutOfTimeError:
        return _conclude(goodputs, "the time was up before the search was")
    if open_end:
        return _conclude(
            goodputs, f"goodput still grew at {max(goodputs)} users, the most that were asked for"
        )
    return _conclude(goodputs, "")


class _OutOfTimeError(Exception):
    """There is no time to measure another load."""


def _conclude(goodputs: dict[int, float], why: str) -> FoundKnee:
    most = max(goodputs.values(), default=0.0)
    enough = [users for users, value in goodputs.items() if value >= ENOUGH * most]
    return FoundKnee(
        users=min(enough, default=0),
        most=most,
        searched=not why,
        why=why,
        measured=dict(sorted(goodputs.items())),
    )


async def _doubled(at: Callable[[int], Awaitable[float]], most_users: int) -> int | None:
    """Return the load to which goodput grew no more; None where it grew to the end."""
    users = 1
    value = await at(users)
    while 2 * users <= most_users:
        following = await at(2 * users)
        if following < GROWS * value:
            return 2 * users
        users, value = 2 * users, following
    return None


async def _raise_best(at: Callable[[int], Awaitable[float]], goodputs: dict[int, float], high: int) -> None:
    """Look for more goodput between the best load and the one above it, by halves, down to a tenth of its users."""
    best = max(goodputs, key=lambda users: (goodputs[users], -users))
    if goodputs[high] >= ENOUGH * goodputs[best]:  # A plateau: between them there is no more than on it.
        return
    while high - best > max(1, best // 10):
        middle = (best + high) // 2
        if await at(middle) > goodputs[best]:
            best = middle
        else:
            high = middle


async def _lower(at: Callable[[int], Awaitable[float]], goodputs: dict[int, float]) -> None:
    """Look for the least users that give enough, by halves, down to a tenth of them."""
    most = max(goodputs.values())
    high = min(users for users, value in goodputs.items() if value >= ENOUGH * most)
    low = max((users for users in goodputs if users < high), default=0)
    while high - low > max(1, high // 10):
        middle = (low + high) // 2
        if await at(middle) >= ENOUGH * most:
            high = middle
        else:
            low = middle
