"""A client that sends a second request before the first is answered is seen to leave, and what is read ahead of it has a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from homeport.relay.messages import Message, Receive, Scope, Send
from homeport.relay.presence import hung_up
from homeport.relay.protocol import BoundedProtocol

REQUEST = b"GET /any HTTP/1.1\r\nhost: localhost\r\n\r\n"
ROOM = 4


class Line(asyncio.Transport):
    """A transport whose other end is a test."""

    def __init__(self) -> None:
        super().__init__()
        self._reads, self.written, self.closed = True, b"", False

    def write(self, data: Any) -> None:  # Any: whatever holds bytes
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True

    def reads(self) -> bool:
        return self._reads


class Watching:
    """An application that answers when it may, at once in part under /begun, and notes which request's client it saw leave."""

    def __init__(self) -> None:
        self.begun = self.left = 0
        self.may = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        if scope["path"] == "/begun":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"some", "more_body": True})
            await hung_up(receive)
            self.left += 1
            return
        leaving, waiting = asyncio.ensure_future(hung_up(receive)), asyncio.ensure_future(self.may.wait())
        await asyncio.wait({leaving, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if leaving.done():
            self.left += 1
            return
        leaving.cancel()
        start: Message = {"type": "http.response.start", "status": 204, "headers": []}
        await send(start)
        await send({"type": "http.response.body", "body": b""})


def play(work: Callable[[Watching, Line, BoundedProtocol], Awaitable[None]]) -> None:
    """Do the work of a test at a connection that has begun."""

    async def played() -> None:
        app, line = Watching(), Line()
        config = Config(app, lifespan="off", log_config=None, ws="none")
        config.load()
        protocol = BoundedProtocol(config=config, server_state=ServerState(), app_state={})
        protocol.connection_made(line)
        await work(app, line, protocol)

    asyncio.run(played())


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110 - turns of the loop, and no time
            await asyncio.sleep(0)


@pytest.mark.parametrize("behind", range(ROOM + 2))
def test_who_leaves_is_seen_to_whatever_waits_behind_the_request_that_is_answered(behind: int) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(REQUEST)
        await until(lambda: app.begun == 1)
        for _ in range(behind):
            protocol.data_received(REQUEST)
        protocol.connection_lost(None)
        await until(lambda: app.left == 1)
        assert not line.written
        assert app.begun == 1, "what waits is not begun for nobody"

    play(work)


def test_requests_are_read_ahead_up_to_a_bound_and_each_is_answered_all_the_same() -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(REQUEST)
        await until(lambda: app.begun == 1)
        for _ in range(ROOM):
            protocol.data_received(REQUEST)
            assert line.reads(), "else nobody sees the client leave"
        for _ in range(3):
            protocol.data_received(REQUEST)
            assert not line.reads(), "else a client fills the memory"
        app.may.set()
        await until(lambda: line.written.count(b"HTTP/1.1 204") == ROOM + 4)
        assert line.reads()
        protocol.connection_lost(None)

    play(work)


def test_a_body_that_waits_behind_a_request_has_its_bound_as_well() -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(REQUEST)
        await until(lambda: app.begun == 1)
        protocol.data_received(b"POST /any HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        assert line.reads()
        protocol.data_received(bytes(2**17))
        assert not line.reads()
        protocol.connection_lost(None)
        await until(lambda: app.left == 1)

    play(work)


UNREADABLE = b"GET\0/any HTTP/1.1\r\n\r\n"
ELSEWHERE = b"GET http://elsewhere.example/ HTTP/1.1\r\nhost: localhost\r\n\r\n"
NO_CHUNK = b"POST /any HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n"
ENDLESS = b"GET / HTTP/1.1\r\nx: " + b"a" * 2**17


@pytest.mark.parametrize(
    "refused", [UNREADABLE, ELSEWHERE, NO_CHUNK, ENDLESS], ids=["no HTTP", "no path", "body", "head"]
)
@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "one by one"])
@pytest.mark.parametrize("before", range(4))
def test_what_is_refused_behind_other_requests_is_refused_after_their_answers(
    refused: bytes, before: int, *, together: bool
) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        pieces = [REQUEST] * before + [refused]
        for piece in [b"".join(pieces)] if together else pieces:
            protocol.data_received(piece)
        # A head that came with the end of another request is measured by what comes after.
        for piece in (b"a" * 2**17, REQUEST):
            protocol.data_received(piece)
        assert line.closed == (not before), "who waits for an answer gets it first"
        app.may.set()
        await until(lambda: line.closed)
        statuses = [part[:3] for part in line.written.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"204"] * before + [b"400"]
        assert app.begun == before, "nothing is read behind what cannot be read"
        protocol.connection_lost(None)

    play(work)


def test_an_answer_that_has_begun_is_broken_off_where_the_body_it_answers_cannot_be_read() -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(
            b"POST /begun HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
        )
        await until(lambda: b"some" in line.written)
        protocol.data_received(b"no size\r\n")
        assert line.closed
        assert b" 400 " not in line.written, "else it would be read as a part of the answer"
        protocol.connection_lost(None)
        await until(lambda: app.left == 1)

    play(work)


def test_a_body_that_cannot_be_read_is_refused_where_its_answer_has_not_begun() -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(NO_CHUNK[: -len(b"no size\r\n")])
        await until(lambda: app.begun == 1)
        protocol.data_received(b"no size\r\n")
        assert line.closed
        assert line.written.startswith(b"HTTP/1.1 400")
        protocol.connection_lost(None)
        await until(lambda: app.left == 1)

    play(work)


async def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the loop's clock jump, and what is due by then be done."""
    clock = asyncio.get_running_loop().time
    monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: clock() + seconds)
    for _ in range(10):
        await asyncio.sleep(0)


TOO_SLOW = b"the head of a request may take 60 s"


@pytest.mark.parametrize("before", [False, True], ids=["first", "behind an answer"])
@pytest.mark.parametrize("size", [1, 20, len(REQUEST) - 1])
def test_who_holds_a_connection_with_half_a_head_is_told_and_let_go(
    size: int, *, before: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        app.may.set()
        if before:
            protocol.data_received(REQUEST)
            await until(lambda: b"204" in line.written)
        answered = len(line.written)
        protocol.data_received(REQUEST[:size])
        await later(monkeypatch, 50)
        open_until_then = not line.closed
        protocol.data_received(REQUEST[size : size + 1][: len(REQUEST) - 1 - size])
        await later(monkeypatch, 10)
        assert (open_until_then, line.closed) == (True, True)
        assert line.written[answered:].startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert line.written.endswith(TOO_SLOW)

    play(work)


def test_who_connects_and_says_nothing_is_let_go_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        await later(monkeypatch, 60)
        assert (line.closed, line.written) == (True, b"")

    play(work)


def test_who_waits_for_an_answer_may_hold_half_a_head_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        protocol.data_received(REQUEST + REQUEST[:9])
        await until(lambda: app.begun == 1)
        for _ in range(5):
            await later(monkeypatch, 60)
        assert (line.closed, line.written) == (False, b"")
        app.may.set()
        await until(lambda: line.written.count(b"204") == 1)
        protocol.data_received(REQUEST[9:])
        await until(lambda: line.written.count(b"204") == 2)
        assert not line.closed

    play(work)


def test_a_body_may_take_longer_than_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(app: Watching, line: Line, protocol: BoundedProtocol) -> None:
        app.may.set()
        protocol.data_received(b"POST /any HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{")
        await until(lambda: app.begun == 1)
        await later(monkeypatch, 600)
        assert b"408" not in line.written

    play(work)
