"""Answers of MCP servers, of which no more is taken than a tool's result may need."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

_CONNECTED_WITHIN_S, _WRITTEN_WITHIN_S, _TAKEN_LEAVE_WITHIN_S = 5.0, 60.0, 5.0
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer: of a body or of a stream of events over HTTP, of a line over stdio."""


class ServerGivenUp(httpx2.SSEError, httpx2.StreamError):
    """
    Raised where an answer has too many bytes, or the server was given up before.

    Of both kinds since the SDK then ends that one answer: after others it would ask again for the rest of a stream, or
    end everything.
    """


class AnswerBound:
    """What is taken of one server's answers. Once one was too long, or did not come whole, nothing more is asked of that server."""

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
        """Give up what is waited for in it once the server is given up, whatever the SDK does then. Raises `ServerGivenUp`."""
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
        self.give_up(f"an answer has more than {self.largest} bytes, and was given up")
        return False

    def give_up(self, why: str) -> None:
        """Ask nothing more of the server, and wake whoever waits for it."""
        if self.passed:
            return
        self.passed = why
        for given_up in self._waiting:
            given_up.reschedule(asyncio.get_running_loop().time())

    async def before(self, request: httpx2.Request) -> None:
        """Refuse a request to a server that was given up. Raises `ServerGivenUp`."""
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
            raise ServerGivenUp(self.passed)


class CountedStream(httpx2.AsyncByteStream):
    """The bytes of an answer over HTTP. Raises `ServerGivenUp` once there are too many."""

    def __init__(self, inner: httpx2.AsyncByteStream, bound: AnswerBound) -> None:
        self._inner, self._bound = inner, bound

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield them."""
        length = 0
        async for piece in self._inner:
            length += len(piece)
            if not self._bound.holds(length):
                raise ServerGivenUp(self._bound.passed)
            yield piece

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()


class BoundedClient(httpx2.AsyncClient):
    """
    Asks one MCP server over HTTP, within its bound.

    It is not said how long an answer may take: whoever asks bounds the call, and only they know what it is for.
    """

    def __init__(self, bound: AnswerBound, **more: Any) -> None:  # Any: httpx2's settings
        super().__init__(
            timeout=httpx2.Timeout(
                None, connect=_CONNECTED_WITHIN_S, write=_WRITTEN_WITHIN_S, pool=_WRITTEN_WITHIN_S
            ),
            event_hooks={"request": [bound.before], "response": [bound.after]},
            **more,
        )
        self._bound = bound

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        """
        Return the response. A POST that fails gives the server up, and is answered as by a server that is out of order:
        an error would end the SDK's task group, and cancel whatever is done within it.
        """
        if request.method == "DELETE":
            async with asyncio.timeout(_TAKEN_LEAVE_WITHIN_S):
                response = await super().send(request, **how)
                await response.aread()
                return response
        if request.method != "POST":  # It begins a stream, which the SDK does without, or takes up again.
            return await super().send(request, **how)
        try:
            response = await super().send(request, **how)
            if _is_read_whole(request, response):
                await _read(response)
        except httpx2.HTTPError as error:
            self._bound.give_up(str(error) or type(error).__name__)
            return httpx2.Response(502, request=request)
        return response


def _is_read_whole(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Return whether the SDK reads all of it: the answer to a question, and what a redirect says beside its address."""
    if response.next_request is not None:
        return True
    kind = response.headers.get("content-type", "").lower()
    return _wants_answer(request) and response.status_code != 202 and kind.startswith("application/json")


def _wants_answer(request: httpx2.Request) -> bool:
    message = json.loads(request.content)
    return "method" in message and "id" in message


async def _read(response: httpx2.Response) -> None:
    try:
        await response.aread()
    except httpx2.HTTPError:
        await response.aclose()
        raise
