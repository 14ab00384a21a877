"""What is taken of an MCP server's answers over HTTP: events are counted one by one, however their lines end and wherever they are cut."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.agents import bounded_answers
from homeport.agents.bounded_answers import AnswerBound, BoundedClient, CountedStream, ServerGivenUp

MOST = 1000
EVENT = b"event: message\ndata: " + b"x" * 300
ENDS = (b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\n\r", b"\r\n\n", b"\r\n\r", b"\r\r\n")


class InPieces(httpx2.AsyncByteStream):
    """What came, in these pieces."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def counted(raw: bytes, cuts: Sequence[int]) -> bytes:
    """What is given on of a stream of events."""

    async def read() -> bytes:
        places = [0, *sorted({min(cut, len(raw)) for cut in cuts}), len(raw)]
        pieces = [raw[begin:end] for begin, end in pairwise(places)]
        stream = CountedStream(InPieces(pieces), AnswerBound(), events=True)
        return b"".join([piece async for piece in stream])

    return asyncio.run(read())


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer may have `MOST` bytes here."""
    monkeypatch.setattr(bounded_answers, "LARGEST_ANSWER", MOST)


@given(st.lists(st.sampled_from(ENDS), min_size=9, max_size=9), st.lists(st.integers(0, 3500), max_size=9))
def test_a_stream_of_events_may_be_long_however_each_ends_and_wherever_it_is_cut(
    ends: list[bytes], cuts: list[int]
) -> None:
    raw = b"".join(EVENT + end for end in ends)
    assert counted(raw, cuts) == raw


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
@given(cuts=st.lists(st.integers(0, 3500), max_size=9))
def test_lines_of_one_event_are_one_answer(end: bytes, cuts: list[int]) -> None:
    with pytest.raises(ServerGivenUp, match="more than 1000 bytes"):
        counted((b"data: " + b"x" * 300 + end) * 5, cuts)


class Reluctant(httpx2.AsyncBaseTransport):
    """A way to a server on which connections do not come to be at first."""

    def __init__(self, *errors: Exception) -> None:
        self._errors, self.asked = list(errors), 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        if self._errors:
            raise self._errors.pop(0)
        return httpx2.Response(200, json={"jsonrpc": "2.0", "id": 1, "result": {}})


QUESTION = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
NEWS = {"jsonrpc": "2.0", "method": "notifications/cancelled"}
ANSWER = {"jsonrpc": "2.0", "id": 7, "result": {}}


def posted(way: Reluctant, message: object) -> tuple[int, str]:
    """The status of the response to a message, and why the server was given up."""
    bound = AnswerBound()

    async def post() -> int:
        async with BoundedClient(bound, transport=way) as client:
            return (await client.post("http://localhost/mcp", content=json.dumps(message))).status_code

    return asyncio.run(post()), bound.passed


@pytest.mark.parametrize("error", [httpx2.ConnectTimeout("too slow"), httpx2.ConnectError("refused")])
def test_a_connection_that_does_not_come_to_be_is_tried_once_more(error: Exception) -> None:
    way = Reluctant(error)
    assert posted(way, QUESTION) == (200, "")
    assert way.asked == 2
    way = Reluctant(error, error, error)
    assert posted(way, QUESTION) == (502, str(error))
    assert way.asked == 2


def test_a_question_whose_answer_broke_off_is_not_asked_again() -> None:
    way = Reluctant(httpx2.ReadError("broke off"))
    assert posted(way, QUESTION) == (502, "broke off")
    assert way.asked == 1


@pytest.mark.parametrize("message", [NEWS, ANSWER], ids=["a notification", "an answer to the server"])
def test_what_wants_no_answer_gives_nobody_up(message: object) -> None:
    assert posted(Reluctant(httpx2.ReadError("broke off")), message) == (502, "")
