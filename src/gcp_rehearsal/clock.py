"""The rehearsal's time: as fast as one likes, and ahead by a word."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count


class Clock:
    """
    Seconds since 1970 as the rehearsal has them, and what is to happen when.

    It runs `speed` times as fast as the event loop's own clock, so that on a loop whose clock jumps, operations
    of minutes take no time at all.
    """

    def __init__(self, *, speed: float = 1.0, start: float | None = None) -> None:
        self.speed = speed
        self._now = time.time() if start is None else start
        self._ticks: float | None = None
        self._moment: float | None = None
        self._real = 0
        self.each_time: Callable[[], None] = _nothing
        """What is done whenever time has been looked at, besides what has come due."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def now(self) -> float:
        """Return the seconds since 1970; in what `after` does, the moment for which it was meant."""
        if self._moment is not None:
            return self._moment
        ticks = _ticks()
        # Another event loop may count from elsewhere; the cloud's time goes on.
        if self._ticks is not None and ticks > self._ticks:
            self._now += (ticks - self._ticks) * (1.0 if self._real else self.speed)
        self._ticks = ticks
        return self._now

    def text(self, at: float | None = None) -> str:
        """Return a moment, now if not said, as Google writes it: `2026-11-24T09:00:00.123456Z`."""
        moment = datetime.fromtimestamp(self.now() if at is None else at, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def after(self, seconds: float, what: Callable[[], None]) -> float:
        """Do `what` in so many seconds; returns when that is."""
        when = self.now() + seconds
        heapq.heappush(self._due, (when, next(self._order), what))
        return when

    def settle(self) -> None:
        """Do what has come due. The cloud does this before it looks at a request."""
        while self._due and self._due[0][0] <= self.now():
            when, _, action = heapq.heappop(self._due)
            before, self._moment = self._moment, when
            try:
                action()
            finally:
                self._moment = before
        if self._moment is None:
            self.each_time()

    def real_time(self, begins: bool) -> None:
        """Note that something real begins, or ends: while any goes on, the clock runs as fast as this machine's.

        A process that starts for 40 s then does so for 40 s in the rehearsal, too, whatever its speed.
        """
        self.now()
        self._real += 1 if begins else -1

    def jump(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self._now += seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until so many of the rehearsal's seconds have passed."""
        await asyncio.sleep(seconds / self.speed)


def moment(text: str) -> float:
    """Return the seconds since 1970 of a moment as Google writes it, or of a day. Raises `ValueError` for anything else."""
    parsed = datetime.fromisoformat(text.upper())
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


def _ticks() -> float:
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


def _nothing() -> None:
    """Do nothing, until somebody has something to do."""
