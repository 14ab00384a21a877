"""A way to a scripted engine in the test's own process, past sockets and threads: test_verify.py holds it to the way over them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from scripted_engine import LINES, Defect, Engine, EngineReply


class StraightToEngine(httpx2.AsyncBaseTransport):
    """What a client sends goes to the engine, wherever the client believes that it lies."""

    def __init__(self, engine: Engine, **_: Any) -> None:  # Any: of a transport over sockets
        self._engine = engine

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        if self._engine.has(Defect.HANGS_UP):
            raise httpx2.RemoteProtocolError(
                "Server disconnected without sending a response.", request=request
            )
        reply = self._engine.reply(
            request.method,
            request.url.raw_path.decode(),
            request.headers.get("authorization", ""),
            json.loads(body or b"{}"),
        )
        headers = {"content-type": reply.kind, **reply.headers}
        if reply.stream:
            return httpx2.Response(reply.status, headers=headers, content=_events(reply, request))
        content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        return httpx2.Response(reply.status, headers=headers, content=content)


async def _events(reply: EngineReply, request: httpx2.Request) -> AsyncIterator[bytes]:
    end = "\n" if reply.kind == LINES else "\n\n"
    for line in reply.stream:
        yield f"{line}{end}".encode()
    if reply.broken:
        raise httpx2.RemoteProtocolError("peer closed connection", request=request)
