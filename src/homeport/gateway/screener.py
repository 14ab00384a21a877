"""What of a request and of an answer is put before the screen, and in how many calls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

from homeport.gateway.breaker import Breaker
from homeport.gateway.holding import CONTEXT
from homeport.gateway.plain import as_screened
from homeport.gateway.screens.base import Screen
from homeport.gateway.seen import SeenTexts
from homeport.gateway.settings import GatewaySettings
from homeport.gateway.texts import TextKind, TextPiece
from homeport.gateway.verdict import Side, found

_TOGETHER = 4_000
"""Characters of several texts that are judged in one call: more would hide one bad sentence among many good ones."""


class Screener:
    """Screens by one screen. Remembers what passed."""

    def __init__(self, screen: Screen, settings: GatewaySettings) -> None:
        self.settings = settings
        self._screen = Breaker(screen, deadline_s=settings.deadline_s)
        self._seen = SeenTexts()

    async def aclose(self) -> None:
        """Close the screen."""
        await self._screen.aclose()

    async def request(self, pieces: Iterable[TextPiece]) -> int:
        """Screen what is new of a request; returns in how many calls. Raises `Refused`."""
        wanted = {
            TextKind.PROMPT: self.settings.prompts,
            TextKind.ASSISTANT: self.settings.prompts,
            TextKind.TOOL_RESULT: self.settings.tool_results,
        }
        new: list[TextPiece] = []
        texts: list[str] = []
        before = ""
        for one in pieces:
            if not wanted[one.kind]:
                continue
            if self._seen.has(one.kind.value, one.text):
                before = one.text
                continue
            # What was said before belongs to it: half a sentence passes, and so does its other half.
            texts.append(f"{before[-CONTEXT:]}\n\n{one.text}" if before else one.text)
            new.append(one)
            before = ""
        calls = await self._all(_batches(texts), Side.PROMPT)
        for one in new:
            self._seen.add(one.kind.value, one.text)
        return calls

    async def answer(self, texts: Iterable[str]) -> int:
        """Screen texts of an answer; returns in how many calls. Raises `Refused`."""
        if not self.settings.answers:
            return 0
        return await self._all(_batches(texts), Side.ANSWER)

    def remember(self, text: str) -> None:
        """Remember an answer that has passed as a whole: it comes back as history."""
        if self.settings.answers:
            self._seen.add(TextKind.ASSISTANT.value, text)

    async def _all(self, texts: Iterable[str], side: Side) -> int:
        asked = [asyncio.ensure_future(self._one(text, side)) for text in texts]
        try:
            for one in asked:
                await one
        finally:
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
        return len(asked)

    async def _one(self, text: str, side: Side) -> None:
        filters = await self._screen.judge(as_screened(text), side)
        if filters:
            raise found(side, filters)


def _batches(texts: Iterable[str]) -> Iterator[str]:
    """Yield the texts, short ones together. None is cut."""
    held: list[str] = []
    size = 0
    for text in texts:
        if held and size + len(text) > _TOGETHER:
            yield "\n\n".join(held)
            held, size = [], 0
        held.append(text)
        size += len(text)
    if held:
        yield "\n\n".join(held)
