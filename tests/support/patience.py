"""Waiting for what another process or thread does, where nothing tells of it but a look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


def until(
    look: Callable[[], _T],
    good: Callable[[_T], object] = bool,
    *,
    within_s: float = 180.0,
    every_s: float = 0.05,
    told: Callable[[], str] = str,
) -> _T:
    """What `look` sees once it is good. One that never is fails the test, with what was seen last and what is `told`."""
    end = time.monotonic() + within_s
    while not good(seen := look()):
        assert time.monotonic() < end, f"it never was: {seen!r}\n{told()}"
        time.sleep(every_s)
    return seen


async def until_awaited(
    look: Callable[[], Awaitable[_T]],
    good: Callable[[_T], object] = bool,
    *,
    within_s: float = 180.0,
    every_s: float = 0.05,
) -> _T:
    """What `look` sees once it is good, as `until`, for whoever has a loop of events that goes on meanwhile."""
    end = time.monotonic() + within_s
    while not good(seen := await look()):
        assert time.monotonic() < end, f"it never was: {seen!r}"
        await asyncio.sleep(every_s)
    return seen
