"""
When a request is sent again, and after how long.

What is sure not to have been done is sent again whatever it is: too many requests, another operation in
progress, a connection that never stood. What may have been done is sent again only where doing it twice is
doing it once. What is only not seen yet (a new service account, a grant of a minute ago, an API that was just
enabled) is asked again for as long as the caller has said that it expects as much.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import TypeVar

from homeport.backoff import Backoff
from homeport.errors import Conflict
from homeport.google.errors import is_capacity, is_off, is_policy
from homeport.google.quotas import is_allocation, is_rate
from homeport.google.refusal import Refusal

_T = TypeVar("_T")
_LOST = frozenset((408, 500, 502, 503, 504))
_IN_PROGRESS = re.compile(
    r"operationInProgress|resourceNotReady|CONCURRENT_OPERATIONS_QUOTA_EXCEEDED"
    r"|Another activation or deactivation is in progress|peering operation in progress|too many concurrent edits"
)
_NOT_SEEN = re.compile(
    r"[Ss]ervice account \S+ does not exist|Unknown service account|Permission denied on secret"
    r"|must have permission to read the image"
)
_LONGEST_PAUSE = 10.0


class Again(Enum):
    """Whether a refused request may be sent again."""

    NO = "no"
    REFUSED = "refused"
    """It was not done, and waiting helps."""
    LOST = "lost"
    """It may have been done."""
    OFF = "off"
    """It was not done, and waiting helps if the API was enabled a moment ago."""
    UNSEEN = "unseen"
    """It was not done, and waiting helps if a service account, or what it was granted, is only not seen yet."""
    DENIED = "denied"
    """It was not done, and waiting helps if what the caller was granted is only not seen yet."""


_NOT_YET = frozenset((Again.OFF, Again.UNSEEN, Again.DENIED))


class TryRefused(Exception):
    """One try was refused."""

    def __init__(self, refusal: Refusal, wait: float | None) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal
        self.again = classify(refusal)
        self.wait = wait
        """Seconds that the server asks to wait."""


class Lost(Exception):
    """One try had no answer."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(what)
        self.sent = sent
        """Whether the request may have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how many seconds more what is only not seen yet is asked for again."""

    apis: float = 0.0
    """An API that is off."""
    accounts: float = 0.0
    """A service account that does not exist, or lacks what it was granted."""
    caller: float = 0.0
    """A permission that the caller lacks."""

    @property
    def longest(self) -> float:
        """Return the longest of the three waits, in seconds."""
        return max(self.apis, self.accounts, self.caller)

    def with_(self, again: Again) -> float:
        """Return the patience with a refusal of that sort."""
        return {Again.OFF: self.apis, Again.UNSEEN: self.accounts, Again.DENIED: self.caller}.get(again, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often something is tried, and how long it is waited between."""

    tries: int = 8
    connects: int = 4
    """Tries where not even a connection came about: a user without a network hears it soon."""
    first_wait: float = 0.5
    longest_wait: float = 30.0


class Tries:
    """
    The tries of one request: whether there is another, and whether one before may have been done.

    It is the hook that stamina asks after each failure. `until` is the moment of the loop's clock at which all
    must be over.
    """

    def __init__(self, pace: Pace, *, repeatable: bool, until: float, patience: Patience) -> None:
        self._pace = pace
        self._repeatable = repeatable
        self._until = until
        self._begun = asyncio.get_running_loop().time()
        self._patience = patience
        self._unsent = 0
        self.count = 0
        """How many have failed."""
        self.maybe_done = False
        """Whether one of them may have been carried out."""
        self.last = ""
        """What went wrong with the last."""

    def __call__(self, error: Exception) -> bool | float:
        """Return True if to try again, or after how many seconds."""
        if isinstance(error, Lost):
            again, wait = Again.LOST if error.sent else Again.REFUSED, None
            self._unsent += not error.sent
        elif isinstance(error, TryRefused):
            again, wait = error.again, error.wait
        else:
            return False
        self.count += 1
        self.last = str(error)
        self.maybe_done = self.maybe_done or again is Again.LOST
        if not self._may(again):
            return False
        if wait is None and again in _NOT_YET:
            wait = min(_LONGEST_PAUSE, 0.5 * 1.5**self.count) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
        if wait is None:
            return True
        # Nothing is gained by waiting for a moment that is past the deadline.
        return wait if self._now + wait < self._until else False

    def _may(self, again: Again) -> bool:
        if again in _NOT_YET:
            return self._now - self._begun < self._patience.with_(again)
        if again is Again.NO or (again is Again.LOST and not self._repeatable):
            return False
        return self.count < self._pace.tries and self._unsent < self._pace.connects

    @property
    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def repeated(tries: Tries, pace: Pace, once: Callable[[], Awaitable[_T]]) -> _T:
    """Return what `once` returns in the end. Raises what its last try raised."""
    try:
        return await once()
    except (Lost, TryRefused) as error:
        # What is not there is refused for good: half of the calls of a plan.
        if isinstance(error, TryRefused) and error.again is Again.NO and not tries(error):
            raise
        failed: Exception | None = error
    # Most calls come no further, and need none of what follows.
    import stamina

    _hush()
    async for attempt in stamina.retry_context(
        on=tries,
        attempts=None,
        timeout=None,
        wait_initial=pace.first_wait,
        wait_max=pace.longest_wait,
        wait_jitter=pace.first_wait,
    ):
        with attempt:
            if failed is not None:
                first, failed = failed, None
                raise first
            return await once()
    raise AssertionError("stamina raises what the last try raised")


async def while_conflicting(cycle: Callable[[], Awaitable[_T]], *, tries: int = 8) -> _T:
    """Return what `cycle` (read, modify, write) returns; all of it is done again while somebody else is quicker."""
    import stamina

    _hush()
    async for attempt in stamina.retry_context(
        on=Conflict, attempts=tries, timeout=None, wait_initial=0.5, wait_max=15, wait_jitter=1
    ):
        with attempt:
            return await cycle()
    raise AssertionError("stamina raises what the last try raised")


def looks(what: str, within: float, *, first: float = 0.5) -> Backoff:
    """Return the pauses between looks at something that takes its time at Google: ever longer, up to ten seconds."""
    return Backoff(
        what=what,
        within=within,
        first=first,
        factor=1.6,
        longest=_LONGEST_PAUSE,
        jitter=0.2,
        counts_looks=True,
    )


def classify(refusal: Refusal) -> Again:
    """Tell whether sending it again can help."""
    is_absent = refusal.code == 404 and not _NOT_SEEN.search(refusal.searchable)
    if is_absent or is_allocation(refusal) or is_capacity(refusal) or is_policy(refusal):
        return Again.NO
    in_progress = refusal.code in {400, 403, 409} and _IN_PROGRESS.search(refusal.searchable)
    if refusal.code == 429 or in_progress or (refusal.code == 403 and is_rate(refusal)):
        return Again.REFUSED
    if refusal.code in _LOST:
        return Again.LOST
    if is_off(refusal):
        return Again.OFF
    if _NOT_SEEN.search(refusal.searchable):
        return Again.UNSEEN
    # Of a member who was granted something a moment ago, some APIs say so as a wrong argument.
    denied = refusal.code == 403 or (refusal.code == 400 and "permission" in refusal.message.lower())
    return Again.DENIED if denied else Again.NO


def wait_of(retry_after: str, date: str = "") -> float | None:
    """Return the seconds that a Retry-After asks for, be it a number or a date (against the server's own `date`)."""
    text = retry_after.strip()
    if not text:
        return None
    if text.isdigit():
        return float(text)
    try:
        then = parsedate_to_datetime(text)
        now = parsedate_to_datetime(date) if date else datetime.now(UTC)
        return max(0.0, (then - now).total_seconds())
    except (TypeError, ValueError):
        return None


def _hush() -> None:
    """Keep stamina silent: without a handler Python prints its warnings to stderr, and they say only that there is a retry."""
    logger = logging.getLogger("stamina")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
