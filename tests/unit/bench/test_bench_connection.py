"""What arrives is read into room that is there, and each piece stays as it was when the next one comes."""

from __future__ import annotations

import asyncio
import tracemalloc
from dataclasses import dataclass, field

from homeport.bench.connection import Connections, Destination

ROOM = 256 * 1024
"""What asyncio makes for each piece that it reads for a protocol without a buffer of its own."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@dataclass
class Heard:
    """A receiver that keeps all pieces."""

    pieces: list[bytes] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    why: str = ""

    def head(self, status: int, at: float) -> None:
        assert status == 200

    def piece(self, data: bytes, at: float) -> None:
        self.pieces.append(data)

    def ended(self, at: float) -> None:
        self.over.set()

    def broken(self, why: str, at: float) -> None:
        self.why = why
        self.over.set()


class Answering(asyncio.BufferedProtocol):
    """Answers whatever arrives, each request being a piece, and takes no room for that."""

    def __init__(self, body: bytes) -> None:
        self.answer, self.room = HEAD % len(body) + body, bytearray(100)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def get_buffer(self, _: int) -> bytearray:
        return self.room

    def buffer_updated(self, _: int) -> None:
        self.transport.write(self.answer)


async def answered(body: bytes) -> tuple[Heard, int]:
    """Return what was heard of an answer, the second on its connection, and how much memory was taken at most meanwhile."""

    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: Answering(body), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        connections = Connections(
            Destination(host="127.0.0.1", port=port, tls=None, server_name="", head=b"POST / HTTP/1.1\r\n")
        )
        for _ in range(2):
            heard = Heard()
            tracemalloc.start()
            try:
                await connections.send(b"POST / HTTP/1.1\r\n\r\n", heard)
                await heard.over.wait()
                most = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        await connections.close()
    return heard, most


def test_a_small_piece_costs_no_room_for_a_large_one() -> None:
    heard, most = asyncio.run(answered(b"data: word\n\n"))
    assert b"".join(heard.pieces) == b"data: word\n\n"
    assert most < ROOM


def test_an_answer_longer_than_the_room_for_it_arrives_as_it_was_sent() -> None:
    body = b"".join(b"%07d\n" % number for number in range(20_000))
    heard, _ = asyncio.run(answered(body))
    assert not heard.why
    assert len(heard.pieces) > 1
    assert b"".join(heard.pieces) == body
