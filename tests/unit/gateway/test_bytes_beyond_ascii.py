"""Heads with bytes beyond ASCII: what arrives at the engine is what was sent, whenever the body comes."""

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
"""More than is written in one go."""


@dataclass
class HeadNotingParrot(Parrot):
    """A parrot that notes the heads of what it is asked, byte by byte."""

    heads: list[tuple[bytes, Mapping[bytes, bytes]]] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.heads.append((scope["query_string"], dict(scope["headers"])))
        self.arrived.set()
        await super().__call__(scope, receive, send)


def request(
    fields: Sequence[bytes], body: bytes = SHORT, *, query: bytes = b"", chunked: bool = False
) -> bytes:
    """A request as it is written."""
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    content = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    lines = [b"POST %s%s HTTP/1.1" % (PATH.encode(), query), b"Host: localhost", framing, *fields]
    return b"\r\n".join([*lines, b"", b""]) + content


async def answer_to(
    url: str, sent: bytes, rest: bytes = b"", arrived: asyncio.Event | None = None
) -> tuple[int, bytes]:
    """Status and body of the answer; the rest is sent once what is before it has arrived."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    writer.write(sent)
    if arrived is not None:
        await arrived.wait()
        writer.write(rest)
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    body = await (
        reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else reader.readuntil(b"0\r\n\r\n")
    )
    writer.close()
    return int(head.split()[1]), body


def through_counting(sent: bytes, late: int = 0) -> tuple[int, HeadNotingParrot]:
    """The status of what comes back through a gateway that only counts, and what the engine heard; so many bytes are sent late."""

    async def play() -> tuple[int, HeadNotingParrot]:
        parrot = HeadNotingParrot()
        async with parrot.serving() as engine:
            metrics = GatewayMetrics("parrot")
            app = CountingApp(Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), metrics)
            try:
                async with served(app, listen(0)) as url:
                    cut = len(sent) - late
                    status, _ = await answer_to(url, sent[:cut], sent[cut:], parrot.arrived if late else None)
            finally:
                await app.aclose()
        return status, parrot

    return asyncio.run(asyncio.wait_for(play(), 300))


@pytest.mark.parametrize("said", [UTF8, LATIN1], ids=["UTF-8", "no UTF-8"])
@pytest.mark.parametrize("late", [0, 7], ids=["at once", "late"])
@pytest.mark.parametrize(
    ("body", "chunked"),
    [(SHORT, False), (SHORT, True), (LONG, False), (LONG, True)],
    ids=["short", "short, in chunks", "long", "long, in chunks"],
)
def test_what_is_sent_is_what_arrives_where_the_gateway_only_counts(
    said: bytes, body: bytes, late: int, *, chunked: bool
) -> None:
    fields = [b"X-Name: " + said, b"User-Agent: " + said]
    sent = request(fields, body, query=b"?q=J%C3%BC%20%2f", chunked=chunked)
    status, parrot = through_counting(sent, late)
    assert status == 200
    [(query, headers)] = parrot.heads
    assert (query, headers[b"x-name"], headers[b"user-agent"]) == (b"q=J%C3%BC%20%2f", said, said)


@pytest.mark.parametrize("said", [UTF8, LATIN1])
def test_a_query_beyond_ascii_is_no_address_and_does_not_arrive(said: bytes) -> None:
    status, parrot = through_counting(request([], query=b"?q=" + said))
    assert (status, parrot.heads) == (400, [])


@pytest.mark.parametrize("body", [SHORT, LONG], ids=["short", "long"])
@pytest.mark.parametrize("said", [UTF8, LATIN1], ids=["UTF-8", "no UTF-8"])
def test_a_gateway_that_screens_sends_on_an_id_as_it_came(body: bytes, said: bytes) -> None:
    async def play() -> None:
        parrot = HeadNotingParrot()
        async with gateway(parrot, settings=GatewaySettings(screen="local")) as stage:
            status, _ = await answer_to(stage.url, request([b"X-Request-Id: " + said], body))
            assert status == 200
            assert [headers[b"x-request-id"] for _, headers in parrot.heads] == [said]

    asyncio.run(asyncio.wait_for(play(), 300))
