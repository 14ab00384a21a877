"""A served application ends as soon as nothing is answered any more, and not when a clock says so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import looptime
import pytest

from homeport.proxy import listen
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.served import served

ASK = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Slow:
    """An application that says one half, and the other after so many seconds."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]}
        await send(head)
        await send({"type": "http.response.body", "body": b"ha", "more_body": True})
        await asyncio.sleep(self.seconds)
        await send({"type": "http.response.body", "body": b"lf"})


def played(play: Coroutine[Any, Any, None]) -> float:  # Any: of a coroutine's protocol
    """The seconds that it took on a clock which goes on where everybody waits for it."""
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0.0, noop_cycles=1)) as runner:
        runner.run(play)
        return runner.get_loop().time()


async def asked(app: Slow, *, until: bytes) -> bytes:
    """What somebody got from the application, who had seen that much of it when it was to end."""
    async with served(app, listen(0)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(ASK)
        seen = await reader.readuntil(until)
    seen += await reader.read()
    writer.close()
    return seen


def test_nobody_waits_for_the_end_where_nothing_is_asked() -> None:
    async def play() -> None:
        async with served(Slow(), listen(0)):
            await asyncio.sleep(0)

    assert played(play()) == 0


def test_a_connection_that_is_kept_for_another_question_is_closed_at_once() -> None:
    async def play() -> None:
        assert (await asked(Slow(), until=b"half")).endswith(b"half")

    assert played(play()) < 0.01


@pytest.mark.parametrize(("seconds", "end"), [(0.03, b"half"), (60, b"ha")], ids=["a moment", "a minute"])
def test_an_answer_that_needs_a_moment_more_is_whole_and_a_longer_one_is_broken_off(
    seconds: float, end: bytes
) -> None:
    async def play() -> None:
        assert (await asked(Slow(seconds), until=b"ha")).endswith(end)

    assert played(play()) < 1
