"""The proxy: two hundred clients that hang up, before, in and behind their answers, leave nothing open, and others are served."""

from __future__ import annotations

import asyncio

import pytest

from homeport.endpoint import Endpoint
from homeport.proxy import listen, running

CLIENTS = 200
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ASK = b"POST /v1/any HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n"


class SlowEngine:
    """An engine that says as much as it is told to, and counts who is there."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        self.open = self.asked = 0
        self.serving: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving.add(asyncio.current_task())
        self.open += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            self.asked += 1
            writer.write(self._said)
            while await reader.read(2**16):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()


async def until(engine: SlowEngine, *, asked: int, still: int) -> None:
    async with asyncio.timeout(300):
        while engine.asked < asked or engine.open > still:  # noqa: ASYNC110 - bounded
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"2\r\nhi\r\n"], ids=["nothing", "a head", "a piece"])
@pytest.mark.parametrize("body", [b"{}", b"{"], ids=["asked", "still asking"])
def test_who_hangs_up_leaves_no_connection_to_the_engine_and_the_next_is_answered(
    said: bytes, body: bytes
) -> None:
    async def play() -> None:
        engine = SlowEngine(said)
        server = await asyncio.start_server(engine.serve, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        endpoint = Endpoint(name="home", base_url=address, model="m")
        async with running(endpoint, listen(0), key=None) as url:
            port = int(url.rpartition(":")[2])
            clients = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(CLIENTS)]
            for client in clients:
                client.write(ASK + body)
            await until(engine, asked=CLIENTS, still=CLIENTS)
            for number, client in enumerate(clients):
                client.transport.abort() if number % 2 else client.close()
            await until(engine, asked=CLIENTS, still=0)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            writer.close()
        server.close()
        await asyncio.gather(*(task for task in engine.serving if task))

    asyncio.run(asyncio.wait_for(play(), 600))
