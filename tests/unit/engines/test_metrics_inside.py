"""What vLLM counts is answered at a port of loopback, and at the port of requests for nobody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import Message, Receive, Scope, Send

from homeport.engines.vllm.server.homeport_inside import OnlyInside
from homeport.free_ports import free_port

TOLD = 'vllm:num_requests_running{engine="0"} 1.0\n'


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["app"] is not None, "vLLM's routes look at it"
    await PlainTextResponse(TOLD)(scope, receive, send)


def app() -> Starlette:
    """As vLLM's: the metrics are mounted, so that anything that begins so leads there."""
    metrics = Mount("/metrics", app=told)
    metrics.path_regex = re.compile("^/metrics(?P<path>.*)$")
    made = Starlette(routes=[metrics, Route("/health", lambda _: PlainTextResponse("well"))])
    made.add_middleware(OnlyInside)
    return made


def with_both(
    monkeypatch: pytest.MonkeyPatch,
    work: Callable[[httpx2.AsyncClient, str], Awaitable[None]],
    *,
    afterwards: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """
    Do `work` while the application lives, with a client of its port of requests and the other port's address.

    What is done `afterwards` begins once it has ended.
    """
    port = free_port("127.0.0.1")
    monkeypatch.setenv("HOMEPORT_METRICS_PORT", f"{port}")
    served = app()

    async def live() -> None:
        inbox: asyncio.Queue[Message] = asyncio.Queue()
        outbox: asyncio.Queue[Message] = asyncio.Queue()

        async def send(message: Message) -> None:
            await outbox.put(message)

        life = asyncio.create_task(served({"type": "lifespan", "asgi": {}, "state": {}}, inbox.get, send))
        await inbox.put({"type": "lifespan.startup"})
        assert (await outbox.get())["type"] == "lifespan.startup.complete"
        transport = httpx2.ASGITransport(served)
        async with httpx2.AsyncClient(transport=transport, base_url="http://home") as outside:
            await work(outside, f"http://127.0.0.1:{port}")
        await inbox.put({"type": "lifespan.shutdown"})
        await life
        if afterwards is not None:
            await afterwards()

    asyncio.run(live())


def test_within_the_instance_they_are_told_and_from_outside_there_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(outside: httpx2.AsyncClient, inside: str) -> None:
        async with httpx2.AsyncClient(trust_env=False, verify=False) as sidecar:
            answer = await sidecar.get(
                f"{inside}/metrics", headers={"accept": "application/openmetrics-text"}
            )
            assert (answer.status_code, answer.text) == (200, TOLD)
            assert (await sidecar.get(f"{inside}/health")).status_code == 404, (
                "nothing else is to be had there"
            )
            assert (await sidecar.post(f"{inside}/metrics")).status_code == 404
        for path in ("/metrics", "/metrics/", "/metrics?name=x", "/metricsx"):
            assert (await outside.get(path)).status_code == 404, path
        assert (await outside.get("/health")).status_code == 200

    with_both(monkeypatch, work)


def test_one_who_asks_as_no_scraper_does_gets_nothing_and_the_next_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(_: httpx2.AsyncClient, inside: str) -> None:
        port = int(inside.rpartition(":")[2])
        for garbage in (b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"\x16\x03\x01" + b"a" * 70_000 + b"\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(garbage)
            assert b" 200 " not in await reader.read()
            writer.close()
        async with httpx2.AsyncClient(trust_env=False, verify=False) as sidecar:
            assert (await sidecar.get(f"{inside}/metrics")).status_code == 200

    with_both(monkeypatch, work)


def test_the_engine_ends_while_a_scraper_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 and newer would wait for such a connection, where it is left to them."""
    monkeypatch.setitem(globals(), "TOLD", "x" * 2**24)
    connections: list[asyncio.StreamWriter] = []

    async def work(outside: httpx2.AsyncClient, inside: str) -> None:
        host, port = inside.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        connections.append(writer)
        writer.write(b"GET /metrics HTTP/1.1\r\nhost: here\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200"), "the answer has begun"

    async def leave() -> None:
        connections[0].transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait_for(asyncio.gather(*others, return_exceptions=True), 60)

    with_both(monkeypatch, work, afterwards=leave)
