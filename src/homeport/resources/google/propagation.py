"""
Grants and enabled APIs take minutes to be seen everywhere. What needs one has patience: after a change of ours for as
long as Google says, and otherwise for a while, since another run of ours may have made the change a moment ago.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from homeport.backoff import Backoff
from homeport.errors import OperationFailed, PermissionDenied
from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile import Outputs

CHANGED_S = 600.0
"""Google: "typically 2 minutes, potentially 7 minutes or longer" (IAM, access change propagation, read 2026-11)."""
FOUND_S = 180.0
"""For what was there when it was read. Whatever is really lacking is told of that much later."""
_T = TypeVar("_T")


class Of(Enum):
    """What spreads."""

    APIS = "apis"
    GRANT = "grant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreading:
    """What is live of a thing whose changes take time to be seen."""

    live: Json
    of: Of
    changed: bool
    """Whether we have just changed it."""
    until: float
    """Until when, on the event loop's clock, others may not see it."""


def found(live: Json, of: Of) -> Spreading:
    """Return what was there."""
    return Spreading(live=live, of=of, changed=False, until=asyncio.get_running_loop().time() + FOUND_S)


def changed(live: Json, of: Of) -> Spreading:
    """Return what we have just changed."""
    return Spreading(live=live, of=of, changed=True, until=asyncio.get_running_loop().time() + CHANGED_S)


def patient(google: Google, outputs: Outputs, needs: Iterable[str]) -> Google:
    """Return the client, with patience for what among `needs` may not be seen yet."""
    names = tuple(needs)
    return google.patient(
        _seconds_left(outputs, names, lambda live: live.of is Of.GRANT and live.changed),
        apis=_seconds_left(outputs, names, lambda live: live.of is Of.APIS),
        accounts=_seconds_left(outputs, names, lambda live: live.of is Of.GRANT),
    )


async def while_it_spreads(work: Callable[[], Awaitable[_T]], outputs: Outputs, needs: Iterable[str]) -> _T:
    """
    Return what `work` comes to, begun again where its operation failed for want of a permission that may only
    not be seen yet. Raises what `work` raises otherwise.
    """
    names = tuple(needs)
    granted = _seconds_left(outputs, names, lambda live: live.of is Of.GRANT)
    wait = Backoff(what="a grant to be seen", within=granted, first=5.0, factor=1.5, longest=30.0)
    while True:
        try:
            return await work()
        except (PermissionDenied, OperationFailed) as error:
            lacks = isinstance(error, PermissionDenied) or "ermission" in str(error)
            if (
                not lacks
                or _seconds_left(outputs, names, lambda live: live.of is Of.GRANT) <= wait.next_pause
            ):
                raise
        await wait.pause()


def _seconds_left(outputs: Outputs, needs: Iterable[str], which: Callable[[Spreading], bool]) -> float:
    ends = [live.until for need in needs if isinstance(live := outputs.get(need), Spreading) and which(live)]
    return max(0.0, max(ends, default=0.0) - asyncio.get_running_loop().time())
