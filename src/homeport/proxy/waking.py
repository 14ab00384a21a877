"""Tells that a service is waited for, which may be starting from zero."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar

from homeport.progress import Progress

_SLOW_S = 3.0
"""A first byte that takes longer is worth a word."""
_STAYS_UP_S = 600.0
"""For so long Cloud Run keeps an instance with a GPU after its last request; then a slow answer is not that."""


class Answered(Protocol):
    """The head of an answer."""

    @property
    def ok(self) -> bool:
        """Tell whether it is none of refusal or failure."""


_A = TypeVar("_A", bound=Answered)


class Waking:
    """Says once that the service called `name` is waited for, however many requests wait."""

    def __init__(self, name: str, progress: Progress, cold_start: str = "") -> None:
        self._name, self._progress = name, progress
        self._usual = f", which takes {cold_start}" if cold_start else ""
        self._key = f"waiting for {name}"
        self._answered: float | None = None
        self._waiting = 0
        self._told = False

    async def first_of(self, asked: Awaitable[_A]) -> _A:
        """Return the answer, as soon as its head is there."""
        loop = asyncio.get_running_loop()
        up = self._answered is not None and loop.time() - self._answered < _STAYS_UP_S
        slow = None if up else loop.call_later(_SLOW_S, self._tell)
        self._waiting += 1
        response = None
        try:
            response = await asked
        finally:
            self._waiting -= 1
            if slow is not None:
                slow.cancel()
            self._end(response)
        if response.ok:
            self._answered = loop.time()
        return response

    def _tell(self) -> None:
        if not self._told:
            self._told = True
            what = f"{self._name} has not answered yet: it may be starting from zero{self._usual}"
            self._progress.started(self._key, what)

    def _end(self, response: Answered | None) -> None:
        if not self._told:
            return
        if response is not None and response.ok:
            self._told = False
            self._progress.finished(self._key, f"{self._name} answers")
        elif not self._waiting:
            self._told = False
            self._progress.failed(self._key, f"{self._name} did not answer")
