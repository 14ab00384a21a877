"""What of a request and of an answer is put before the screen, and in how many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from homeport.gateway.breaker import Breaker
from homeport.gateway.holding import CONTEXT
from homeport.gateway.plain import as_screened
from homeport.gateway.screened_texts import ScreenedTexts
from homeport.gateway.screens.base import Screen
from homeport.gateway.settings import GatewaySettings
from homeport.gateway.texts import TextKind, TextPiece
from homeport.gateway.verdict import Reason, Refused, Side, found

_TOGETHER = 4_000
"""Characters of several texts that are judged in one call: more would hide one bad sentence among many good ones."""
MOST_CHARACTERS = 2**20
"""Of one text: more than any filter of Model Armor's takes, and than most models do."""
_AT_ONCE = 16
"""Calls of one request that are under way: one long conversation must not take all that a minute has."""


@dataclass(frozen=True, slots=True)
class ScreenedRequest:
    """A request in which nothing was found."""

    calls: int
    ending: str
    """The end of what it says, which its answer follows."""


class Screener:
    """Screens by one screen. Remembers what passed."""

    def __init__(self, screen: Screen, settings: GatewaySettings) -> None:
        self.settings = settings
        self._screen = Breaker(screen, deadline_s=settings.deadline_s)
        self._seen = ScreenedTexts()

    async def aclose(self) -> None:
        """Close the screen."""
        await self._screen.aclose()

    async def request(self, pieces: Iterable[TextPiece]) -> ScreenedRequest:
        """Screen what is new of a request. Raises `Refused`."""
        screened = {
            TextKind.PROMPT: self.settings.prompts,
            TextKind.ASSISTANT: self.settings.prompts,
            TextKind.TOOL_RESULT: self.settings.tool_results,
        }
        new: list[tuple[str, str, str]] = []
        batches = _Batches()
        for piece in pieces:
            if not screened[piece.kind]:
                continue
            if self._seen.has(piece.kind.value, piece.text, batches.ending):
                batches.skip(piece.text)
            else:
                new.append((piece.kind.value, piece.text, batches.ending))
                batches.add(piece.text)
        calls = await self._all(batches.made(), Side.PROMPT)
        for each in new:
            self._seen.add(*each)
        return ScreenedRequest(calls, batches.ending)

    async def answer(self, texts: Iterable[str]) -> int:
        """Screen texts of an answer; returns in how many calls. Raises `Refused`."""
        if not self.settings.answers:
            return 0
        batches = _Batches()
        for text in texts:
            batches.add(text)
        return await self._all(batches.made(), Side.ANSWER)

    def remember(self, text: str, after: str) -> None:
        """Remember an answer that has passed as a whole, and the end of its request: both come back as history."""
        if self.settings.answers:
            self._seen.add(TextKind.ASSISTANT.value, text, after)

    async def _all(self, texts: Iterable[str], side: Side) -> int:
        few = asyncio.Semaphore(_AT_ONCE)
        tasks = [asyncio.ensure_future(self._one(text, side, few)) for text in texts]
        try:
            for task in tasks:
                await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _one(self, text: str, side: Side, few: asyncio.Semaphore) -> None:
        async with few:
            if len(text) > MOST_CHARACTERS:
                raise Refused(
                    Reason.TOO_LONG, f"a text may have {MOST_CHARACTERS} characters to be screened here"
                )
            filters = await self._screen.judge(as_screened(text), side)
        if filters:
            raise found(side, filters)


class _Batches:
    """Texts in their order, short ones together; each batch begins with the end of what is before it. None is cut."""

    def __init__(self) -> None:
        self.ending = ""
        """The end of all that was said so far: what comes next may belong to it, as the second half of a sentence does."""
        self._made: list[str] = []
        self._held: list[str] = []
        self._size = 0
        self._skipped = False

    def add(self, text: str) -> None:
        """Take a text that is to be screened."""
        if self._size and self._size + len(text) > _TOGETHER:
            self._made.append("\n\n".join(self._held))
            self._held, self._size = [], 0
        if self.ending and (self._skipped or not self._held):
            self._held.append(self.ending)
        self._held.append(text)
        self._size += len(text)
        self._skipped = False
        self._note(text)

    def skip(self, text: str) -> None:
        """Take a text that was screened before."""
        self._skipped = True
        self._note(text)

    def made(self) -> list[str]:
        """Return what is to be screened."""
        return [*self._made, "\n\n".join(self._held)] if self._held else self._made

    def _note(self, text: str) -> None:
        self.ending = f"{self.ending[-CONTEXT:]}\n\n{text[-CONTEXT:]}".strip("\n")[-CONTEXT:]
