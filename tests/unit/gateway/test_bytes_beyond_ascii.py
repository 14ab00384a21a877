"""Heads with bytes beyond ASCII: what arrives at the engine is what was sent, or nothing does and the client is told why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from gateways import asked, gateway
from homeport.endpoint import Endpoint
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.settings import GatewaySettings
from homeport.proxy import listen
from homeport.relay.messages import Receive, Scope, Send
from homeport.relay.served import served
from parrot_engine import Parrot

PATH = "/v1/chat/completions"
UTF8, LATIN1 = b"J\xc3\xbcrgen", b"J\xfcrgen"
SHORT = json.dumps(asked(PATH, "x", stream=False)).encode()
LONG = json.dumps(asked(PATH, "x " * 40_000, stream=False)).encode()
"""More than goes straight."""


@dataclass
class HeadNotingParrot(Parrot):
    """A parrot that notes the heads of what it is asked, byte by byte."""

    heads: list[tuple[bytes, Mapping[bytes, bytes]]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heads.append((scope["query_string"], dict(scope["headers"])))
        await super().__call__(scope, receive, send)


def request(
    fields: Sequence[bytes], body: bytes = SHORT, *, query: bytes = b"", chunked: bool = False
) -> bytes:
    """A request as it is written; what comes in chunks goes on by aiohttp, however it comes."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    lines = [b"POST %s%s HTTP/1.1" % (PATH.encode(), query), b"Host: localhost", framing, *fields]
    return b"\r\n".join([*lines, b"", b""]) + content


async def answer_to(url: str, sent: bytes) -> tuple[int, bytes]:
    """Status and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(sent)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = await (
        reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else reader.readuntil(b"0\r\n\r\n")
    )
    writer.close()
    return int(head.split()[1]), body


def through_counting(sent: bytes) -> tuple[int, bytes, HeadNotingParrot, str]:
    """What comes back through a gateway that only counts, what the engine heard, and what was counted."""

    async def play() -> tuple[int, bytes, HeadNotingParrot, str]:
        parrot = HeadNotingParrot()
        async with parrot.serving() as engine:
            metrics = GatewayMetrics("parrot")
            app = CountingApp(Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), metrics)
            try:
                async with served(app, listen(0)) as url:
                    status, body = await answer_to(url, sent)
            finally:
                await app.aclose()
        return status, body, parrot, metrics.text().decode()

    return asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize(
    ("chunked", "said"),
    [(False, UTF8), (True, UTF8), (False, LATIN1)],
    ids=["straight", "by aiohttp", "straight, of no UTF-8"],
)
def test_what_is_sent_is_what_arrives_where_the_gateway_only_counts(said: bytes, *, chunked: bool) -> None:
    sent = request([b"X-Name: " + said, b"User-Agent: " + said], query=b"?q=J%C3%BC%20%2f", chunked=chunked)
    status, _, parrot, _ = through_counting(sent)
    assert status == 200
    [(query, headers)] = parrot.heads
    assert (query, headers[b"x-name"], headers[b"user-agent"]) == (b"q=J%C3%BC%20%2f", said, said)


@pytest.mark.parametrize("chunked", [True, False], ids=["in chunks", "long"])
def test_what_cannot_go_on_as_it_is_is_refused_and_does_not_arrive(*, chunked: bool) -> None:
    sent = request([b"X-Name: " + LATIN1], SHORT if chunked else LONG, chunked=chunked)
    status, body, parrot, told = through_counting(sent)
    assert (status, parrot.heads) == (400, [])
    assert "is no UTF-8" in json.loads(body)["error"]["message"]
    assert 'error_type="400"' in told


@pytest.mark.parametrize("said", [UTF8, LATIN1])
def test_a_query_beyond_ascii_is_no_address_and_does_not_arrive(said: bytes) -> None:
    status, _, parrot, _ = through_counting(request([], query=b"?q=" + said))
    assert (status, parrot.heads) == (400, [])


@pytest.mark.parametrize(
    ("body", "said", "status"),
    [(SHORT, UTF8, 200), (LONG, UTF8, 200), (SHORT, LATIN1, 200), (LONG, LATIN1, 400)],
    ids=["short", "long", "short, of no UTF-8", "long, of no UTF-8"],
)
def test_a_gateway_that_screens_sends_on_an_id_as_it_came_or_refuses_it(
    body: bytes, said: bytes, status: int
) -> None:
    async def play() -> None:
        parrot = HeadNotingParrot()
        async with gateway(parrot, settings=GatewaySettings(screen="local")) as stage:
            found, answer = await answer_to(stage.url, request([b"X-Request-Id: " + said], body))
            assert found == status
            assert [headers[b"x-request-id"] for _, headers in parrot.heads] == (
                [said] if status == 200 else []
            )
            assert (b"is no UTF-8" in answer) == (status == 400)
            assert ('error_type="400"' in stage.metrics.text().decode()) == (status == 400)

    asyncio.run(asyncio.wait_for(play(), 300))
