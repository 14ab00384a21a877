"""
Waiting for something that takes its time: one policy, wherever homeport looks again and again.

Each wait says what it waits for and for how long. Its pauses grow up to a longest one; its clock can be another's, so
that a test of a wait does not wait. What is sent again after a refusal is not waited for here: see `google/retry.py`.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from dataclasses import dataclass, field
from typing import Final, Protocol

UNTIL_STOPPED: Final = math.inf
"""`within` of a wait that somebody else ends: a reader who follows a log, another process that lets go of a lock."""
_LOG: Final = logging.getLogger(__name__)


class Timekeeper(Protocol):
    """Tells the time in seconds, and lets it pass."""

    def now(self) -> float:
        """Return the seconds since any fixed moment."""

    async def pause(self, seconds: float) -> None:
        """Let `seconds` pass for a coroutine."""

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass for a thread."""


class SystemTime:
    """The time of the event loop where one runs, otherwise of the system."""

    def now(self) -> float:
        """Return the loop's seconds, or the system's monotonic ones."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Sleep on the event loop."""
        await asyncio.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep in this thread."""
        time.sleep(seconds)


@dataclass(slots=True, kw_only=True)
class Backoff:
    """The pauses of one wait. It begins when it is made."""

    what: str
    """What is waited for, as a text goes on after "waiting for"."""
    within: float
    """Seconds after which nothing is waited for any more; `UNTIL_STOPPED` where somebody else ends it."""
    first: float
    """Seconds of the first pause."""
    factor: float = 1.0
    """Each pause is so many times as long as the one before."""
    longest: float = math.inf
    """Seconds that no pause is longer than."""
    jitter: float = 0.0
    """The share by which a pause is longer or shorter by chance, which spreads load."""
    counts_looks: bool = False
    """Whether the time that a look takes is part of the pause."""
    clock: Timekeeper = field(default_factory=SystemTime)
    told: bool = False
    """Whether a person was told of the wait."""
    next_pause: float = field(init=False)
    """Seconds of the pause to come, before chance."""
    _until: float = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self.next_pause = self.first
        self._since = self.clock.now()
        self._until = self._since + self.within

    async def pause(self) -> bool:
        """Wait until it is time to look again. Return False, at once, where the time for it is over."""
        seconds = self._due()
        if seconds is None:
            return False
        await self.clock.pause(seconds)
        self._since = self.clock.now()
        return True

    def sleep(self) -> bool:
        """Do what `pause` does, in a thread without an event loop."""
        seconds = self._due()
        if seconds is None:
            return False
        self.clock.sleep(seconds)
        self._since = self.clock.now()
        return True

    def _due(self) -> float | None:
        now = self.clock.now()
        if now >= self._until:
            _LOG.debug("no longer waiting for %s, after %g s", self.what, self.within)
            return None
        seconds = self.next_pause
        if self.jitter:
            seconds *= random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - spreads load
        if self.counts_looks:
            seconds -= now - self._since
        self.next_pause = min(self.next_pause * self.factor, self.longest)
        _LOG.debug("waiting for %s", self.what)
        return max(0.0, seconds)
