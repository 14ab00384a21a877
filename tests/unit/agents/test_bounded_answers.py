"""What is asked of MCP servers over HTTP, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from homeport.agents import bounded_answers
from homeport.agents.bounded_answers import AnswerBound, BoundedClient, CountedStream, ServerGivenUp


def test_an_answer_is_waited_for_as_long_as_its_call_may_take_and_a_connection_is_not() -> None:
    """Its caller bounds the call: a bound beside that would end a run in which a tool may take an hour."""
    asked: list[dict[str, float | None]] = []

    def answered(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.extensions["timeout"])
        return httpx2.Response(202)

    async def work() -> None:
        async with BoundedClient(AnswerBound(), transport=httpx2.MockTransport(answered)) as client:
            await client.post("http://127.0.0.1:9/mcp", json={"method": "notifications/x"})

    asyncio.run(work())
    (timeout,) = asked
    assert timeout["read"] is None
    assert timeout["connect"] is not None


class _Pieces(httpx2.AsyncByteStream):
    def __init__(self, whole: bytes, size: int) -> None:
        self._pieces = [whole[at : at + size] for at in range(0, len(whole), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def _read(whole: bytes, size: int, *, events: bool) -> bytes:
    async def work() -> bytes:
        stream = CountedStream(_Pieces(whole, size), AnswerBound(), events=events)
        return b"".join([piece async for piece in stream])

    return asyncio.run(work())


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_of_a_stream_each_event_is_counted_by_itself_however_it_comes_apart(
    end: bytes, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", 40)
    event = b"event: message" + end + b"data: 1234" + end + end
    assert _read(event * 50, size, events=True) == event * 50
    with pytest.raises(ServerGivenUp, match="more than 40 bytes"):
        _read(event * 50, size, events=False)
    long = event + (b"data: 1234" + end) * 5
    with pytest.raises(ServerGivenUp, match="more than 40 bytes"):
        _read(long, size, events=True)
