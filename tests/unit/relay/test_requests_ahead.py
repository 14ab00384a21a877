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
        self._reads, self.written = True, b""

    def write(self, data: Any) -> None:  # Any: whatever holds bytes
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True

    def reads(self) -> bool:
        return self._reads


class Watching:
    """An application that answers when it may, and notes which request's client it saw leave."""

    def __init__(self) -> None:
        self.begun = self.left = 0
        self.may = asyncio.Event()

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
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
