"""Answers of MCP servers, of which no more is taken than a tool's result may need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer: of a body or of a stream of events over HTTP, of a line over stdio."""


class AnswerTooLong(httpx2.SSEError, httpx2.StreamError):
    """
    Raised where an answer has too many bytes.

    Of both kinds since the SDK then ends that one answer: after others it would ask again for the rest of a stream, or
    end everything.
    """


class AnswerBound:
    """What is taken of one server's answers. Once one was too long, nothing more is asked of that server."""

    def __init__(self) -> None:
        self.passed = ""
        """Why the server was given up."""
        self._waiting: set[asyncio.Timeout] = set()

    @property
    def largest(self) -> int:
        """Return how many bytes one answer may have."""
        return LARGEST_ANSWER

    @asynccontextmanager
    async def within(self) -> AsyncIterator[None]:
        """Give up what is waited for in it once an answer is too long, whatever the SDK does then. Raises `AnswerTooLong`."""
        self._ensure_not_passed()
        try:
            async with asyncio.timeout(None) as given_up:
                self._waiting.add(given_up)
                try:
                    yield
                finally:
                    self._waiting.discard(given_up)
        except TimeoutError:
            self._ensure_not_passed()
            raise

    def holds(self, length: int) -> bool:
        """Return whether an answer may have so many bytes; if not, give the server up."""
        if length <= self.largest:
            return True
        if not self.passed:
            self.passed = f"an answer has more than {self.largest} bytes, and was given up"
            for given_up in self._waiting:
                given_up.reschedule(asyncio.get_running_loop().time())
        return False

    async def before(self, request: httpx2.Request) -> None:
        """Refuse a request to a server that was given up. Raises `AnswerTooLong`."""
        self._ensure_not_passed()

    async def after(self, response: httpx2.Response) -> None:
        """
        Count what is read of a response. Raises `httpx2.DecodingError` for one that is packed: nobody asked for that, and a
        little of it may be very much.
        """
        packed = response.headers.get("content-encoding", "identity")
        if packed.strip().lower() != "identity":
            raise httpx2.DecodingError(
                f"the answer is packed ({packed[:40]}), which was not asked for", request=response.request
            )
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = CountedStream(response.stream, self)

    def _ensure_not_passed(self) -> None:
        if self.passed:
            raise AnswerTooLong(self.passed)


class CountedStream(httpx2.AsyncByteStream):
    """The bytes of an answer over HTTP. Raises `AnswerTooLong` once there are too many."""

    def __init__(self, inner: httpx2.AsyncByteStream, bound: AnswerBound) -> None:
        self._inner, self._bound = inner, bound

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield them."""
        length = 0
        async for piece in self._inner:
            length += len(piece)
            if not self._bound.holds(length):
                raise AnswerTooLong(self._bound.passed)
            yield piece

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()
