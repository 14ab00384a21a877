"""Answers that no engine should give: a client of the proxy gets what can be told of them, and its connection serves on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import h11
import pytest

from homeport.endpoint import Endpoint
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.proxy import listen, running
from homeport.relay.served import served

OK = b"HTTP/1.1 200 OK\r\n"
NEXT = OK + b"content-length: 4\r\n\r\nnext"
ASK = b"POST /v1/any HTTP/1.1\r\nhost: localhost\r\n%scontent-length: 2\r\n\r\n{}"
Seen = tuple[int, bytes, dict[bytes, bytes]]
"""Status, body and headers of an answer, as h11 reads it."""


@asynccontextmanager
async def proxy(engine: str) -> AsyncIterator[str]:
    endpoint = Endpoint(name="home", base_url=f"{engine}/v1", model="m")
    async with running(endpoint, listen(0), key=None) as url:
        yield url


@asynccontextmanager
async def counting(engine: str) -> AsyncIterator[str]:
    endpoint = Endpoint(name="home", base_url=f"{engine}/v1", model="m")
    app = CountingApp(endpoint, GatewayMetrics("parrot"))
    try:
        async with served(app, listen(0)) as url:
            yield url
    finally:
        await app.aclose()


BETWEEN: dict[str, Callable[[str], AbstractAsyncContextManager[str]]] = {"proxy": proxy, "gateway": counting}


@asynccontextmanager
async def engine(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """The address of a server that answers so to the first request, as it should to all others; and what it was asked."""
    asked: list[bytes] = []

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            while True:
                asked.append(await reader.readuntil(b"{}"))
                writer.write(answer if len(asked) == 1 else NEXT)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
    finally:
        server.close()
        await asyncio.gather(*(task for task in serving if task), return_exceptions=True)


async def read(reader: asyncio.StreamReader, judge: h11.Connection) -> Seen | None:
    """An answer as h11 reads it; None where the connection ends without one."""
    judge.send(h11.Request(method="POST", target="/v1/any", headers=[("host", "localhost")]))
    judge.send(h11.EndOfMessage())
    status, headers, body = 0, {}, b""
    while True:
        event = judge.next_event()
        if event is h11.NEED_DATA:
            judge.receive_data(await reader.read(2**16))
        elif isinstance(event, h11.Response):
            status, headers = event.status_code, dict(event.headers)
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            return status, body, headers
        else:
            return None


Road = Callable[[str], str]
"""The address of an endpoint whose requests go to that of an engine."""


@pytest.fixture(params=["straight", "by a proxy"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Road:
    """The engine by its own address, or in the place of a proxy that the environment names."""

    def by_proxy(engine: str) -> str:
        monkeypatch.setenv("http_proxy", engine)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        return "http://service.invalid"

    return by_proxy if request.param == "by a proxy" else str


def answers(
    between: str, answer: bytes, *, road: Road = str, requests: int = 2, more: bytes = b""
) -> list[Seen | None]:
    """What a client reads that asks again and again over one connection."""

    async def play() -> list[Seen | None]:
        async with engine(answer) as (address, _), BETWEEN[between](road(address)) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            judge, seen = h11.Connection(h11.CLIENT), []
            for _ in range(requests):
                writer.write(ASK % more)
                seen.append(await read(reader, judge))
                if judge.our_state is not h11.DONE or judge.their_state is not h11.DONE:
                    break
                judge.start_next_cycle()
            writer.close()
            return seen

    return asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize(
    "rest",
    [b"\r\n", b"content-length: 0\r\n\r\n", b"content-length: 5\r\n\r\n", b"content-length: 5\r\n\r\nhello",
     b"transfer-encoding: chunked\r\n\r\n"],
    ids=["nothing", "a length of 0", "a length", "a length and a body", "chunks"],
)  # fmt: skip
def test_an_answer_that_has_no_body_is_one_and_the_connection_serves_on(
    between: str, status: int, rest: bytes
) -> None:
    first, second = answers(between, b"HTTP/1.1 %d X\r\netag: 1\r\n" % status + rest)
    assert first is not None
    assert first[:2] == (status, b"")
    assert (first[2][b"etag"], first[2].keys() & {b"content-length", b"transfer-encoding"}) == (b"1", set())
    assert second is not None
    assert second[:2] == (200, b"next")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 099 X\r\ncontent-length: 2\r\n\r\nhi", b"there is none below 100"),
        (b"HTTP/1.1 600 X\r\ncontent-length: 2\r\n\r\nhi", b"there is none above 599"),
        (b"HTTP/1.1 999 X\r\ncontent-length: 2\r\n\r\nhi", b"there is none above 599"),
        (b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", b"it changes the protocol"),
        (OK + b"transfer-encoding: gzip\r\n\r\npacked", b"of which only chunks can be read"),
        (OK + b"transfer-encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"of which only chunks can be read"),
        (OK + b"transfer-encoding: chunked, gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"not once as the last"),
        (OK + b"transfer-encoding: chunked, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"not once as the last"),
        (OK + b"transfer-encoding: chunked\t\r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"not once as the last"),
        (OK + b"transfer-encoding: identity, chunked \t \r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"not once as the last"),
        (OK + b"transfer-encoding: chunked\r\n \r\n\r\n2\r\nhi\r\n0\r\n\r\n", b"no answer of HTTP"),
    ],
    ids=["099", "600", "999", "101", "packed", "packed, in chunks", "chunks, packed", "chunks in chunks", "a tab behind",
         "blanks behind", "a line folded"],
)  # fmt: skip
def test_what_is_no_answer_is_told_as_that_on_every_road(
    between: str, answer: bytes, why: bytes, road: Road
) -> None:
    first, second = answers(between, answer, road=road)
    assert first is not None
    assert first[0] == 502
    assert why in first[1]
    assert second is not None
    assert second[:2] == (200, b"next")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("interim", [100, 103])
def test_what_comes_before_an_answer_is_passed_over_on_every_road(
    between: str, interim: int, road: Road
) -> None:
    first, second = answers(between, b"HTTP/1.1 %d X\r\nlink: x\r\n\r\n" % interim + NEXT, road=road)
    assert first is not None
    assert (first[0], first[1], b"link" in first[2]) == (200, b"next", False)
    assert second is not None
    assert second[:2] == (200, b"next")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("coding", [b"chunked ", b", chunked"])
def test_chunks_are_read_however_they_are_spelled_on_every_road(
    between: str, coding: bytes, road: Road
) -> None:
    told = OK + b"transfer-encoding: " + coding + b"\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n"
    first, second = answers(between, told, road=road)
    assert first is not None
    assert first[:2] == (200, b"hi")
    assert second is not None
    assert second[:2] == (200, b"next")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(
    "answer",
    [
        OK + b"content-length: 2\r\n\r\nhi" + NEXT.replace(b"next", b"evil"),
        OK + b"content-length: 2\r\n\r\nhievil",
    ],
    ids=["an answer", "bytes"],
)
def test_what_an_engine_says_behind_its_answer_is_no_answer_to_the_next_request(
    between: str, answer: bytes
) -> None:
    first, second = answers(between, answer)
    assert first is not None
    assert first[:2] == (200, b"hi")
    assert second is not None
    assert second[:2] == (200, b"next")


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip", b"chunked, chunked", b"identity", b"xchunked"])
def test_a_body_that_is_packed_for_its_transfer_is_not_handed_on_as_if_it_were_not(
    between: str, coding: bytes
) -> None:
    async def play() -> None:
        async with engine(NEXT) as (address, asked), BETWEEN[between](address) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            head = b"POST /v1/any HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: %s\r\n\r\n" % coding
            writer.write(head + b"2\r\n{}\r\n0\r\n\r\n")
            said = await reader.read()
            assert said.startswith(b"HTTP/1.1 400")
            assert (b"in no other coding of its transfer" in said) == (
                coding != b"chunked, chunked"
            )  # The parser's.
            assert asked == []
            writer.close()

    asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize(
    "coding", [b"Chunked", b"chunked ", b", chunked", b" , ,chunked", b"identity, chunked"]
)
def test_a_body_in_chunks_goes_on_however_that_is_spelled(between: str, coding: bytes) -> None:
    async def play() -> None:
        async with engine(NEXT) as (address, asked), BETWEEN[between](address) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            head = b"POST /v1/any HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: %s\r\n\r\n" % coding
            writer.write(head + b"2\r\n{}\r\n0\r\n\r\n")
            seen = await read(reader, h11.Connection(h11.CLIENT))
            assert seen is not None
            assert seen[:2] == (200, b"next")
            assert len(asked) == 1
            writer.close()

    asyncio.run(asyncio.wait_for(play(), 300))
