"""
The knee: the least load that gives all but a twentieth of the most that there is.

The number of users is doubled while goodput grows, up to the most that were asked for; then the most between the
neighbours of the best, and below it the knee, are found by halves. Beyond saturation nothing is sought.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

ENOUGH = 0.95
"""Of the most goodput: the knee is the least load that gives as much."""
GROWS = 1.05
"""By doubling users, and by its part where there are less than twice as many; less is noise or saturation."""
TIME_UP = "the time was up before the search was"
NOTHING_GOOD = "nothing keeps the objectives"
STILL_GREW = "goodput still grew there, and more were not asked for"
NO_MORE_ASKED = "more were not asked for"
MOVED = "measured again, it lies where it was not searched"
Measure = Callable[[int], Awaitable[float | str]]
"""Returns goodput at so many users; or why it cannot be told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundKnee:
    """Where the search ended."""

    users: int
    """The knee; where none was found, the least load of those that were measured which gives all but a twentieth of their most."""
    why: str
    """Why no knee was found, or ''."""
    measured: dict[int, float]


async def find(
    measure: Measure, *, most_users: int = 1024, tells: Callable[[int], bool] = lambda _: True
) -> FoundKnee:
    """Return the knee of what `measure` gives; a load that does not tell enough to be compared, by `tells`, ends no doubling."""
    goodputs: dict[int, float] = {}

    async def at(users: int) -> float:
        if users not in goodputs:
            value = await measure(users)
            if isinstance(value, str):
                raise _UntoldError(value)
            goodputs[users] = value
        return goodputs[users]

    try:
        if not await at(1):
            return _found(goodputs, NOTHING_GOOD)
        high = await _doubled(at, goodputs, most_users, tells)
        if high is not None:
            await _raise_best(at, goodputs, high)
        await _lower(at, goodputs)
    except _UntoldError as error:
        return _found(goodputs, str(error))
    if high is None and _still_grew(goodputs):
        return _found(goodputs, STILL_GREW if len(goodputs) > 1 else NO_MORE_ASKED)
    return _found(goodputs, "")


def least_enough(goodputs: Mapping[int, float]) -> int:
    """Return the least load that gives all but a twentieth of the most; 0 where there is none."""
    most = max(goodputs.values(), default=0.0)
    return min((users for users, value in goodputs.items() if value >= ENOUGH * most), default=0)


def judged_again(goodputs: Mapping[int, float], most_users: int) -> str:
    """Return why loads of a search that ended well show no knee now that some were measured again, or ''."""
    users = least_enough(goodputs)
    last = max(
        (each for each in goodputs if 2 * each >= most_users > each and not each & (each - 1)), default=0
    )
    if most_users in goodputs and last and _grows(goodputs, last, most_users) and _still_grew(goodputs):
        return STILL_GREW
    below = max((each for each in goodputs if each < users), default=0)
    return MOVED if users - below > max(1, users // 10) else ""


class _UntoldError(Exception):
    """The goodput of a load cannot be told."""


def _found(goodputs: Mapping[int, float], why: str) -> FoundKnee:
    return FoundKnee(users=least_enough(goodputs), why=why, measured=dict(sorted(goodputs.items())))


def _grows(goodputs: Mapping[int, float], users: int, more: int) -> bool:
    """Return whether `more` users give what is more than noise."""
    return goodputs[more] >= goodputs[users] * (1 + (GROWS - 1) * (more / users - 1))


def _still_grew(goodputs: Mapping[int, float]) -> bool:
    """Return whether the most users are those that give enough, as far as the search can tell loads apart."""
    most = max(goodputs)
    return most - least_enough(goodputs) <= max(1, most // 10)


async def _doubled(
    at: Callable[[int], Awaitable[float]],
    goodputs: Mapping[int, float],
    most_users: int,
    tells: Callable[[int], bool],
) -> int | None:
    """Return the load to which goodput grew no more; None where it grew to the end."""
    users = 1
    while users < most_users:
        more = min(2 * users, most_users)
        await at(more)
        if tells(users) and tells(more) and not _grows(goodputs, users, more):
            return more
        users = more
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
    high = least_enough(goodputs)
    low = max((users for users in goodputs if users < high), default=0)
    while high - low > max(1, high // 10):
        middle = (low + high) // 2
        if await at(middle) >= ENOUGH * most:
            high = middle
        else:
            low = middle
