"""The proxy: requests that come in one piece, as small ones do. Nothing waits for their bodies, and nothing reads them on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import httpx2
import pytest

from homeport.catalog.cloudrun import limits
from homeport.progress import Silent
from homeport.proxy import app
from homeport.proxy.body import Body
from homeport.relay.presence import PRESENCE, WHOLE, Presence, unless_gone
from private_service import KEY, Service, reached, scene

HEAD = b"host: localhost\r\nauthorization: Bearer " + KEY.encode() + b"\r\n"


def request(path: str, body: bytes, *, chunked: bool = False) -> bytes:
    """A request as it is written in one go."""
    if chunked:
        framed, length = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), b"transfer-encoding: chunked"
    else:
        framed, length = body, b"content-length: %d" % len(body)
    return b"POST %s HTTP/1.1\r\n%s%s\r\n\r\n%s" % (path.encode(), HEAD, length, framed)


async def connection(client: httpx2.AsyncClient) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the proxy."""
    return await asyncio.open_connection(client.base_url.host, client.base_url.port)


LARGE = bytes(range(256)) * 700


@pytest.mark.parametrize(
    ("body", "chunked"),
    [
        (b"{}", False),
        (b"{}", True),
        (LARGE, False),
        (LARGE, True),
        (b"", False),
    ],  # A chunk of no bytes is the end.
    ids=["small", "small chunk", "large", "large chunk", "empty"],
)
def test_a_request_passes_as_it_is(body: bytes, *, chunked: bool) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await connection(client)
        for _ in range(2):
            writer.write(request("/v1/any", body, chunked=chunked))
            head = await reader.readuntil(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head
            received = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                received += (await reader.readexactly(size + 2))[:-2]
            await reader.readexactly(2)
            assert received == body
        writer.close()

    for seen in scene(play).seen:
        assert bytes(seen.body) == body
        length = seen.header("content-length")
        assert length == (None if chunked else str(len(body)))


@pytest.mark.parametrize(
    "streams", [False, True], ids=["before the first byte", "in the middle of an answer"]
)
def test_a_client_that_leaves_ends_the_work_for_it(*, streams: bool) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await connection(client)
        writer.write(request("/v1/pieces", b"{}"))
        await service.arrived.wait()
        if streams:
            await service.pieces.put(b"data: 1\n\n")
            await reader.readuntil(b"data: 1\n\n")
        writer.close()
        await asyncio.wait_for(service.gone.wait(), 120)

    scene(play)


def test_a_client_that_leaves_with_a_second_request_behind_the_first_ends_the_work_for_it() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        _, writer = await connection(client)
        writer.write(request("/v1/pieces", b"{}"))
        await service.arrived.wait()
        writer.write(request("/v1/any", b"second"))
        writer.close()
        await asyncio.wait_for(service.gone.wait(), 120)

    assert scene(play).asked == 1, "nothing is begun for who has left"


def test_no_task_watches_a_request_that_is_there_and_one_that_is_on_its_way_is_watched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched = []

    async def noted(
        work: Coroutine[Any, Any, None], gone: Coroutine[Any, Any, None]
    ) -> None:  # Any: as there
        watched.append(True)
        await unless_gone(work, gone)

    monkeypatch.setattr(app, "unless_gone", noted)

    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await connection(client)
        writer.write(request("/v1/any", b"as a whole"))
        await reader.readuntil(b"as a whole")
        assert watched == []
        service.arrived.clear()
        framed = request("/v1/any", b"in pieces")
        writer.write(framed[:-3])
        await service.arrived.wait()
        writer.write(framed[-3:])
        await reader.readuntil(b"in pieces")
        assert watched == [True]
        writer.close()

    scene(play)


def test_the_head_the_body_and_the_end_of_a_short_answer_are_one_write_to_the_socket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await connection(client)
        written: list[bytes] = []
        kind = type(writer.transport)
        write = kind.write

        def noted(transport: asyncio.WriteTransport, data: bytes) -> None:
            if transport.get_extra_info("sockname")[1] == client.base_url.port:
                written.append(bytes(data))
            write(transport, data)

        monkeypatch.setattr(kind, "write", noted)
        writer.write(request("/v1/chat/completions", b'{"messages": [{"content": "hello"}]}'))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert b"hello" in body
        assert written == [head + body]
        writer.close()

    scene(play)


def test_a_whole_body_above_the_limit_is_explained() -> None:
    sent: list[dict[str, Any]] = []  # Any: ASGI

    async def receive() -> dict[str, Any]:  # Any: ASGI
        return {"type": "http.request", "body": bytes(limits().request_bytes + 1), "more_body": False}

    async def send(message: dict[str, Any]) -> None:  # Any: ASGI
        sent.append(message)

    async def played() -> None:
        async with reached(Service()) as endpoint:
            proxy = app.ProxyApp(endpoint, key=None, models=[], progress=Silent())
            state = {WHOLE: True, PRESENCE: Presence()}
            scope = {"type": "http", "method": "POST", "path": "/v1/any", "raw_path": b"/v1/any", "query_string": b"",
                     "headers": [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")], "state": state}  # fmt: skip
            await proxy(scope, receive, send)
            await proxy.aclose()

    asyncio.run(played())
    assert sent[0]["status"] == 413
    assert b"32 MiB" in sent[1]["body"]


def test_requests_that_are_written_one_behind_the_other_are_answered_in_their_order() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await connection(client)
        writer.write(b"".join(request("/v1/any", b"answer-%d" % number) for number in range(12)))
        for number in range(12):
            await reader.readuntil(b"answer-%d" % number)
        writer.close()

    assert [bytes(seen.body) for seen in scene(play).seen] == [b"answer-%d" % number for number in range(12)]


def test_a_start_from_zero_is_waited_out_with_the_whole_body_sent_again() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.starting.extend([503, 429])
        service.retry_after = "0"
        reader, writer = await connection(client)
        writer.write(request("/v1/any", b"the whole body"))
        await reader.readuntil(b"the whole body")
        writer.close()

    service = scene(play)
    assert service.asked == 3
    assert [bytes(seen.body) for seen in service.seen] == [b"the whole body"]


@pytest.mark.parametrize(
    ("pieces", "as_bytes"),
    [((b"all",), True), ((b"", b"all", b""), True), ((b"a", b"ll"), False), ((b"",), True)],
)
def test_a_body_that_came_in_one_piece_or_is_none_is_sent_as_bytes(
    pieces: tuple[bytes, ...], *, as_bytes: bool
) -> None:
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:  # Any: ASGI
        return messages.pop(0)

    async def sent() -> tuple[bool, bytes]:
        body = Body(receive)
        while messages:
            assert not isinstance(body.to_send(), bytes)
            assert await body.read_piece()
        found = body.to_send()
        return isinstance(found, bytes), found if isinstance(found, bytes) else b"".join(
            [x async for x in found]
        )

    assert asyncio.run(sent()) == (as_bytes, b"".join(pieces))
