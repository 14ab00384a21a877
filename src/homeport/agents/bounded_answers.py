"""Answers of MCP servers, of which no more is taken than a tool's result may need."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

_CONNECTED_WITHIN_S, _WRITTEN_WITHIN_S, _TAKEN_LEAVE_WITHIN_S = 5.0, 60.0, 5.0
_JSON, _EVENTS = "application/json", "text/event-stream"
_EVENT_END = re.compile(rb"(?>\r\n|\r|\n){2}")
"""The end of a line, and that of an empty one: each is any of three, and the first of them is one end and not two."""
_MOST_SENT_ON, _SENT_ON = 5, "homeport_sent_on"
"""So often a message is sent on to another address of its server; where it is counted."""
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer: of a body or of an event of a stream over HTTP, of a line over stdio."""


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
        self.status: int | None = None
        """The last status over HTTP by which a message was refused."""
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
        if response.status_code >= 400 and response.request.method == "POST":
            self.status = response.status_code
        packed = response.headers.get("content-encoding", "identity")
        if packed.strip().lower() != "identity":
            raise httpx2.DecodingError(
                f"the answer is packed ({packed[:40]}), which was not asked for", request=response.request
            )
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = CountedStream(response.stream, self, events=_kind(response) == _EVENTS)

    def _ensure_not_passed(self) -> None:
        if self.passed:
            raise ServerGivenUp(self.passed)


class CountedStream(httpx2.AsyncByteStream):
    """
    The bytes of an answer over HTTP. Raises `ServerGivenUp` once there are too many: of a body, or of one of the events of a
    stream, which may go on for as long as the server has something to tell.
    """

    def __init__(self, inner: httpx2.AsyncByteStream, bound: AnswerBound, *, events: bool) -> None:
        self._inner, self._bound, self._events = inner, bound, events

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield them."""
        length, last = 0, b""
        async for piece in self._inner:
            length += len(piece)
            if self._events:
                held = last + piece
                ends = [found.end() for found in _EVENT_END.finditer(held)]
                length = len(held) - ends[-1] if ends else length
                last = held[-3:]
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

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:  # Any: httpx2's settings
        """
        Return the response. A question that fails gives the server up; it, or whatever else is posted, is answered as by a server
        that is out of order: an error would end the SDK's task group, and cancel whatever is done within it.
        """
        if request.method == "DELETE":
            async with asyncio.timeout(_TAKEN_LEAVE_WITHIN_S):
                response = await super().send(request, **how)
                await response.aread()
                return response
        if request.method != "POST":  # It begins a stream, which the SDK does without, or takes up again.
            return await super().send(request, **how)
        await request.aread()  # Of one that was sent on, nobody has.
        try:
            response = await self._post(request, **how)
            await _take(request, response)
        except httpx2.HTTPError as error:
            if _is_question(request):
                self._bound.give_up(str(error) or type(error).__name__)
            return httpx2.Response(502, request=request)
        return response

    async def _post(self, request: httpx2.Request, **how: Any) -> httpx2.Response:  # Any: httpx2's settings
        """Send it, once more where no connection came to be: nothing of it was read then."""
        try:
            return await super().send(request, **how)
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            return await super().send(request, **how)


async def _take(request: httpx2.Request, response: httpx2.Response) -> None:
    """Read what the SDK reads whole: the answer to a question, and what a redirect says beside its address."""
    try:
        if fault := _fault(request, response):
            raise httpx2.RemoteProtocolError(fault, request=request)
        if response.next_request or (_is_answer(request, response) and _is_json(response)):
            await response.aread()
    except httpx2.HTTPError:
        await response.aclose()
        raise


def _fault(request: httpx2.Request, response: httpx2.Response) -> str:
    """Return why the SDK takes nothing from a response, in words of ours: its own would be told as the server's."""
    then, kind = response.next_request, _kind(response)
    if then is not None:
        at = str(then.url.copy_with(userinfo=b"", query=None, fragment=None))[:200]
        if not _is_followed(request, then):
            return f"it sends to {at}, which is not followed: give that address if that server is meant"
        then.extensions[_SENT_ON] = request.extensions.get(_SENT_ON, 0) + 1
        if then.extensions[_SENT_ON] > _MOST_SENT_ON:
            return f"it sends from address to address, {_MOST_SENT_ON} times and on, and answers at none: the last is {at}"
    refused = response.status_code >= 400
    if (
        then is None
        and not refused
        and _is_answer(request, response)
        and not (_is_json(response) or kind == _EVENTS)
    ):
        return f"the answer is {kind[:80] or 'of no kind'}, which is neither JSON nor a stream of events"
    return ""


def _is_followed(request: httpx2.Request, then: httpx2.Request) -> bool:
    """Return whether a redirect stays with its server, and takes the message along."""
    here, there = request.url, then.url
    upgraded = (here.scheme, there.scheme, here.port, there.port) == ("http", "https", None, None)
    return (
        then.method == request.method
        and here.host == there.host
        and (upgraded or (here.scheme, here.port) == (there.scheme, there.port))
        and there.userinfo in (b"", here.userinfo)
    )


def _is_answer(request: httpx2.Request, response: httpx2.Response) -> bool:
    """Return whether more than a status is wanted, and comes."""
    return response.status_code != 202 and _is_question(request)


def _is_question(request: httpx2.Request) -> bool:
    """Return whether a message wants an answer: neither a notification nor itself the answer to what the server asked."""
    message = json.loads(request.content)
    return "method" in message and "id" in message


def _is_json(response: httpx2.Response) -> bool:
    """Return whether the SDK reads it as one message: that of any kind of JSON whose name begins so, such as `application/json-rpc`."""
    return _kind(response).startswith(_JSON)


def _kind(response: httpx2.Response) -> str:
    kind: str = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind
