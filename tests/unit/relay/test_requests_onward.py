"""How requests go on: h11 reads what was meant, whatever the method, the body and the time at which that comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import h11
import pytest

from homeport.endpoint import Endpoint
from homeport.relay.direct import DirectPool
from homeport.relay.onward import AT_ONCE, Onward
from homeport.relay.upstream import Upstream

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"content-length: 0\r\n\r\n"
LONG = bytes(range(256)) * 1024
METHODS = ["GET", "HEAD", "OPTIONS", "DELETE", "PROPFIND", "POST", "PUT", "PATCH"]
Read = tuple[str, dict[bytes, bytes], bytes]
"""Method, headers and body of a request, as h11 reads them."""


class H11Origin:
    """A server whose eyes are h11; each answer is what a test says, as soon as the request has ended, or its head has come."""

    def __init__(self, answers: list[bytes], *, early: bool) -> None:
        self._answers, self._early = answers, early
        self.connections = self.port = 0
        self.read: list[Read] = []
        self.came = asyncio.Event()
        """Something of a body has come."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        judge, method, headers, body = h11.Connection(h11.SERVER), "", {}, b""
        try:
            while True:
                event = judge.next_event()
                if event is h11.NEED_DATA:
                    judge.receive_data(await reader.read(2**16))
                elif isinstance(event, h11.Request):
                    method, headers, body = event.method.decode(), dict(event.headers), b""
                    if self._early:
                        writer.write(self._answers.pop(0))
                elif isinstance(event, h11.Data):
                    body += event.data
                    self.came.set()
                elif isinstance(event, h11.EndOfMessage):
                    self.read.append((method, headers, body))
                    if not self._early:
                        writer.write(self._answers.pop(0))
                    judge = _next(judge)
                else:
                    break
        except (h11.RemoteProtocolError, ConnectionError):
            pass
        finally:
            writer.transport.abort()


def _next(judge: h11.Connection) -> h11.Connection:
    """A fresh judge with what came after the end of a request."""
    fresh = h11.Connection(h11.SERVER)
    if rest := judge.trailing_data[0]:
        fresh.receive_data(rest)
    return fresh


@asynccontextmanager
async def staged(*answers: bytes, early: bool = False) -> AsyncIterator[tuple[H11Origin, Upstream]]:
    origin = H11Origin(list(answers), early=early)
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.port = server.sockets[0].getsockname()[1]
    upstream = Upstream(Endpoint(name="home", base_url=f"http://127.0.0.1:{origin.port}/v1", model="m"))
    try:
        yield origin, upstream
    finally:
        await upstream.aclose()
        server.close()
        await asyncio.sleep(0)


def run(play: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(300):
            await play()

    asyncio.run(bounded())


def onward(method: str, body: AsyncIterator[bytes] | bytes | None, *, length: int | None = None) -> Onward:
    headers = [] if length is None else [("content-length", str(length))]
    chunked = length is None and body is not None
    return Onward(method=method, target="/v1/any", headers=headers, body=body, chunked=chunked)


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


@pytest.mark.parametrize("method", METHODS)
def test_a_request_without_a_body_is_one_to_whoever_reads_it(method: str) -> None:
    async def play() -> None:
        async with staged(EMPTY, EMPTY) as (origin, upstream):
            for _ in range(2):
                assert (await upstream.send(onward(method, None))).status == 200
            for read, headers, body in origin.read:
                assert (read, body) == (method, b"")
                tells = {name for name in headers if name in {b"content-length", b"transfer-encoding"}}
                assert tells == ({b"content-length"} if method in {"POST", "PUT", "PATCH"} else set())
                assert headers.get(b"content-length", b"0") == b"0"
            assert (origin.connections, len(origin.read)) == (1, 2)

    run(play)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("told", [True, False], ids=["of a length", "in chunks"])
@pytest.mark.parametrize(
    "pieces",
    [(b"",), (b"all",), (b"in ", b"", b"pieces"), (LONG,), (b"a", LONG, b"z")],
    ids=["empty", "whole", "in pieces", "long", "long, in pieces"],
)
def test_a_body_is_read_as_it_was_sent_whenever_it_comes(
    method: str, pieces: tuple[bytes, ...], *, told: bool
) -> None:
    async def play() -> None:
        body = b"".join(pieces)
        length = len(body) if told else None
        async with staged(EMPTY, EMPTY) as (origin, upstream):
            (await upstream.send(onward(method, body, length=length))).close()
            (await upstream.send(onward(method, in_pieces(*pieces), length=length))).close()
            assert [(read, came) for read, _, came in origin.read] == [(method, body)] * 2
            framed = b"content-length" if told else b"transfer-encoding"
            assert [framed in headers for _, headers, _ in origin.read] == [True, True]
            assert origin.connections == 1

    run(play)


def test_a_body_on_its_way_of_which_nothing_tells_the_length_ends_and_the_next_request_is_its_own() -> None:
    async def play() -> None:
        async with staged(EMPTY, EMPTY) as (origin, upstream):
            body = in_pieces(b"GET / HTTP/1.1\r\n", b"x: 1\r\n\r\n")
            request = Onward(method="POST", target="/v1/any", headers=[], body=body, chunked=False)
            (await upstream.send(request)).close()
            (await upstream.send(onward("GET", None))).close()
            assert [(read, came) for read, _, came in origin.read] == [
                ("POST", b"GET / HTTP/1.1\r\nx: 1\r\n\r\n"),
                ("GET", b""),
            ]

    run(play)


def test_a_header_of_any_bytes_arrives_as_it_was_sent_whenever_the_body_comes() -> None:
    async def play() -> None:
        name = ("x-name", b"J\xfcrgen".decode(errors="surrogateescape"))
        async with staged(EMPTY, EMPTY, EMPTY) as (origin, upstream):
            for body in (b"{}", LONG, in_pieces(b"{", b"}")):
                request = Onward(method="POST", target="/v1/any", headers=[name], body=body, chunked=True)
                (await upstream.send(request)).close()
            assert [headers[b"x-name"] for _, headers, _ in origin.read] == [b"J\xfcrgen"] * 3

    run(play)


def test_a_body_goes_on_piece_by_piece_and_waits_where_nobody_reads_it() -> None:
    async def play() -> None:
        async with staged(EMPTY) as (origin, upstream):
            more: asyncio.Queue[bytes] = asyncio.Queue()

            async def coming() -> AsyncIterator[bytes]:
                while piece := await more.get():
                    yield piece

            asking = asyncio.create_task(upstream.send(onward("POST", coming())))
            await more.put(b"one")
            await origin.came.wait()
            assert not asking.done()
            await more.put(b"")
            assert (await asking).status == 200
            assert [body for _, _, body in origin.read] == [b"one"]

    run(play)


def test_what_nobody_reads_is_not_taken_from_who_sends() -> None:
    async def play() -> None:
        taken, most = 0, 4096

        async def coming() -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(most):
                yield bytes(AT_ONCE)
                taken += 1

        async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"content-length: 9\r\n\r\nhalf")
            await end.wait()
            writer.transport.abort()

        end = asyncio.Event()
        server = await asyncio.start_server(
            deaf, "127.0.0.1", 0, limit=1024
        )  # It stops reading at twice that.
        direct = DirectPool(
            "127.0.0.1", server.sockets[0].getsockname()[1], None, connect_s=120, patience_s=3600, kept_s=60
        )
        request = onward("POST", coming())
        answer = await direct.ask("POST", request.head("", []), request.pieces())
        assert await answer.readany() == b"half"
        for _ in range(2000):
            await asyncio.sleep(0)
        assert taken < most / 4, "256 MiB wait in memory for who does not read"
        answer.close()
        end.set()
        server.close()
        direct.close()

    run(play)


def test_an_answer_before_the_end_of_the_body_is_the_answer_and_nothing_else_goes_over_that_connection() -> (
    None
):
    async def play() -> None:
        async with staged(EMPTY, EMPTY, early=True) as (origin, upstream):
            ended = asyncio.Event()

            async def coming() -> AsyncIterator[bytes]:
                yield b"one"
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            assert (await upstream.send(onward("POST", coming()))).status == 200
            await ended.wait()
            assert (await upstream.send(onward("GET", None))).status == 200
            assert origin.connections == 2

    run(play)


def test_a_body_that_breaks_off_is_an_error_and_no_shorter_body() -> None:
    async def play() -> None:
        async with staged(EMPTY, EMPTY) as (origin, upstream):

            async def coming() -> AsyncIterator[bytes]:
                yield b"one"
                raise ConnectionResetError("the client is gone")

            with pytest.raises(aiohttp.ClientConnectionError, match="broke off: the client is gone"):
                await upstream.send(onward("POST", coming()))
            assert (await upstream.send(onward("GET", None))).status == 200
            assert ([read for read, _, _ in origin.read], origin.connections) == (["GET"], 2)

    run(play)


def test_who_gives_up_ends_the_body_too() -> None:
    async def play() -> None:
        async with staged() as (origin, upstream):
            ended = asyncio.Event()

            async def coming() -> AsyncIterator[bytes]:
                try:
                    yield b"one"
                    await asyncio.Event().wait()
                finally:
                    ended.set()

            asking = asyncio.create_task(upstream.send(onward("POST", coming())))
            await origin.came.wait()
            asking.cancel()
            await asyncio.wait({asking})
            await ended.wait()
            assert asking.cancelled()

    run(play)


def test_what_is_still_on_its_way_is_not_asked_twice() -> None:
    async def play() -> None:
        async with staged(EMPTY, b"") as (origin, upstream):
            (await upstream.send(onward("PUT", b"x"))).close()

            async def coming() -> AsyncIterator[bytes]:
                yield b"once"
                await origin.came.wait()

            origin.came.clear()
            asking = asyncio.create_task(upstream.send(onward("PUT", coming())))
            while len(origin.read) < 2:  # noqa: ASYNC110 - bounded by `run`
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            assert [body for _, _, body in origin.read] == [b"x", b"once"]

    run(play)


HEADS = {
    "a length": OK + b"Content-Length: 5\r\nX: 1\r\n\r\n",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n",
    "no length": OK + b"X: 1\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n",
    "an error": b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 2\r\n\r\n",
    "hints before it": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + OK + b"content-length: 3\r\n\r\n",
    "a length, and the end": OK + b"connection: close\r\ncontent-length: 2\r\n\r\n",
}


@pytest.mark.parametrize("name", HEADS)
def test_an_answer_to_a_head_is_what_aiohttp_reads_and_has_no_body_whatever_it_says(name: str) -> None:
    async def play() -> None:
        async with staged(HEADS[name], HEADS[name], HEADS[name], HEADS[name]) as (origin, upstream):
            seen = []
            for _ in range(2):
                answer = await upstream.send(onward("HEAD", None))
                seen.append((answer.status, list(answer.raw_headers), await answer.content.readany()))
                assert answer.content.at_eof()
            url = f"http://127.0.0.1:{origin.port}/v1/any"
            async with aiohttp.ClientSession() as session:
                for _ in range(2):
                    async with session.head(url) as judge:
                        assert seen.pop(0) == (judge.status, list(judge.raw_headers), await judge.read())

    run(play)


@pytest.mark.parametrize("more", [b"hello", b"5", OK], ids=["its body", "a piece", "another answer"])
def test_what_comes_behind_the_answer_to_a_head_is_no_answer_to_the_next_request(more: bytes) -> None:
    async def play() -> None:
        told = OK + b"content-length: 5\r\n\r\n"
        async with staged(told, told + more, told, told + b"hello") as (origin, upstream):
            for connections in (1, 1, 2):
                assert (await upstream.send(onward("HEAD", None))).status == 200
                assert origin.connections == connections
            assert await (await upstream.send(onward("GET", None))).read() == b"hello"
            assert origin.connections == 2

    run(play)


def test_an_answer_to_a_head_in_the_smallest_pieces_is_the_same() -> None:
    async def play() -> None:
        told = HEADS["hints before it"]

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while (await reader.readuntil(b"\r\n\r\n")).startswith(b"HEAD"):
                for byte in told:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0)
            writer.write(EMPTY)
            writer.close()

        server = await asyncio.start_server(slow, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        upstream = Upstream(Endpoint(name="home", base_url=f"http://127.0.0.1:{port}/v1", model="m"))
        for _ in range(3):
            answer = await upstream.send(onward("HEAD", None))
            assert list(answer.raw_headers) == [(b"content-length", b"3")]
        assert (await upstream.send(onward("GET", None))).status == 200
        await upstream.aclose()
        server.close()

    run(play)
