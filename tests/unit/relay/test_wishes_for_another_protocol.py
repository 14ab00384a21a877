"""A request that would rather be one of HTTP/2, or of another protocol, is answered as the request of HTTP/1.1 that it is, with its body."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import httpx2
import pytest

from gateways import asked
from homeport.endpoint import Endpoint
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.proxy import listen
from homeport.relay.headers import onward
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.onward import Onward
from homeport.relay.served import served
from homeport.relay.upstream import Upstream
from parrot_engine import Parrot
from private_service import Service, scene

WISH = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
"""As Java's client sends it, and curl's `--http2`."""
WEBSOCKET = (
    b"connection: keep-alive, upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
BODY = b'{"a": 12}'
KNOWN = b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n4\r\n" + BODY[:4] + b"\r\n5\r\n" + BODY[4:] + b"\r\n0\r\n\r\n"


async def mirror(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with what was asked, and with what body."""
    body, more = b"", True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body, more = body + message.get("body", b""), message.get("more_body", False)
    said = b"%s %s %s" % (scope["method"].encode(), scope["raw_path"], body)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]}
    )
    await send({"type": "http.response.body", "body": said})


def answers_to(pieces: list[bytes], count: int) -> list[bytes]:
    """The bodies of so many answers, each to what was sent on one connection."""

    async def play() -> list[bytes]:
        async with served(mirror, listen(0)) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            answers = []
            for _ in range(count):
                head = await reader.readuntil(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 200")
                length = head.lower().partition(b"content-length: ")[2].split()[0]
                answers.append(await reader.readexactly(int(length)))
            writer.close()
            return answers

    return asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize("wish", [WISH, WEBSOCKET], ids=["HTTP/2", "WebSocket"])
@pytest.mark.parametrize("framing", [KNOWN, IN_CHUNKS], ids=["of a known length", "in chunks"])
@pytest.mark.parametrize("size", [1, 7, 1000], ids=lambda size: f"{size} bytes a piece")
def test_its_body_is_read_however_it_comes(wish: bytes, framing: bytes, size: int) -> None:
    sent = b"POST /v1/x?a=b HTTP/1.1\r\nHost: localhost\r\n" + wish + framing
    assert answers_to([sent[at : at + size] for at in range(0, len(sent), size)], 1) == [
        b"POST /v1/x " + BODY
    ]


def test_what_comes_behind_it_on_the_connection_is_answered_in_its_turn() -> None:
    plain = b"GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wishes = [
        b"%s /%d HTTP/1.1\r\nHost: localhost\r\n%s%s" % (method, number, WISH, end)
        for number, (method, end) in enumerate([(b"GET", b"\r\n"), (b"POST", KNOWN), (b"PUT", IN_CHUNKS)])
    ]
    sent = b"".join([plain, wishes[0], wishes[1], plain, wishes[2], plain])
    assert answers_to([sent], 6) == [
        b"GET /plain ", b"GET /0 ", b"POST /1 " + BODY, b"GET /plain ", b"PUT /2 " + BODY, b"GET /plain ",
    ]  # fmt: skip


@pytest.mark.parametrize("target", [b"/v1/x", b"elsewhere.example:443"])
def test_a_tunnel_is_refused_with_its_reason(target: bytes) -> None:
    async def play() -> bytes:
        async with served(mirror, listen(0)) as url:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
            writer.write(b"CONNECT " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" + KNOWN)
            said = await reader.read()
            writer.close()
            return said

    said = asyncio.run(asyncio.wait_for(play(), 300))
    assert said.startswith(b"HTTP/1.1 400")
    assert said.count(b"HTTP/1.1") == 1, "what follows is of no request"
    assert b"CONNECT goes nowhere" in said


@pytest.mark.parametrize("framing", [KNOWN, IN_CHUNKS], ids=["of a known length", "in chunks"])
def test_the_proxy_sends_its_body_on_and_nothing_of_the_wish(framing: bytes) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        key = client.headers["authorization"].encode()
        writer.write(
            b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + key + b"\r\n" + WISH + framing
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        writer.close()

    [seen] = scene(play).seen
    assert bytes(seen.body) == BODY
    assert not {name for name, _ in seen.headers} & {b"upgrade", b"http2-settings", b"connection"}


def test_the_gateway_sends_its_body_on_and_the_next_request_is_answered_as_ever() -> None:
    body = json.dumps(asked("/v1/chat/completions", "x", stream=False)).encode()
    end = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"

    async def play() -> None:
        async with Parrot().serving() as engine:
            app = CountingApp(
                Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), GatewayMetrics("parrot")
            )
            async with served(app, listen(0)) as url:
                for wish in (WISH, b""):
                    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                    writer.write(head + wish + end)
                    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
                    writer.close()
            await app.aclose()

    asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize("told", ["9", "0", "1", "18446744073709551618", "", "x"])
def test_a_body_that_is_not_as_long_as_told_is_not_sent(told: str) -> None:
    async def play() -> None:
        async with served(mirror, listen(0)) as url:
            upstream = Upstream(Endpoint(name="home", base_url=f"{url}/v1", model="m"))
            sent = Onward(
                method="POST", target="/x", headers=[("content-length", told)], body=b"{}", chunked=False
            )
            with pytest.raises(aiohttp.ClientError, match="the body of the request has 2 bytes, and not as"):
                await upstream.send(sent)
            await upstream.aclose()

    asyncio.run(asyncio.wait_for(play(), 300))


def test_the_length_of_a_body_goes_on_though_it_is_named_as_one_of_the_connection() -> None:
    head = [(b"connection", b"content-length, x-mine"), (b"content-length", b"2"), (b"x-mine", b"1")]
    assert onward(head) == [(b"content-length", b"2")]
