"""
Keeps what vLLM counts within its instance: /metrics is answered at a port of loopback alone, which nothing is routed to.

It stands alone, imports nothing of homeport, and is imported by vLLM by name (`--middleware homeport_inside.OnlyInside`)
from a folder in PYTHONPATH. HOMEPORT_METRICS_PORT names the port. At the port of requests the path gets 404, for everybody.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

_Scope = MutableMapping[str, Any]  # Any: ASGI
_Message = MutableMapping[str, Any]  # Any: ASGI
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]

PATH = "/metrics"
_HEAD_S = 5.0
"""For a scraper to say what it wants."""


class OnlyInside:
    """ASGI middleware: who comes by the port of requests does not see the metrics."""

    def __init__(self, app: Callable[[_Scope, _Receive, _Send], Awaitable[None]]) -> None:
        self._app = app
        self._owner: Any = None  # Any: vLLM's application, as its routes expect it in a scope

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            self._owner = scope.get("app")
            port = int(os.environ["HOMEPORT_METRICS_PORT"])
            listening = await asyncio.start_server(self._answer, "127.0.0.1", port)
            try:
                await self._app(scope, receive, send)
            finally:
                # Left by `async with`, it would wait for scrapers, since Python 3.12: also for one that reads nothing.
                listening.close()
        elif str(scope.get("path", "")).startswith(PATH):
            await _hide(scope, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request of a scraper's, and close."""
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _HEAD_S)
            first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
            verb, _, target = first.rpartition(" ")[0].partition(" ")
            status = 404
            headers: list[tuple[str, str]] = []
            body = b""
            if verb == "GET" and target.partition("?")[0] == PATH:
                status, headers, body = await self._metrics(lines)
            passed_on = [f"{name}: {value}" for name, value in headers if name != "content-length"]
            response_head = [
                f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not'}",
                *passed_on,
                f"content-length: {len(body)}",
                "connection: close",
            ]
            writer.write("\r\n".join([*response_head, "", ""]).encode("latin-1") + body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError):
            pass  # One that does not ask as a scraper does gets no answer.
        finally:
            writer.close()

    async def _metrics(self, lines: list[str]) -> tuple[int, list[tuple[str, str]], bytes]:
        """Return status, headers and content of the application's own answer."""
        pairs = [line.partition(":") for line in lines]
        scope: _Scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": PATH,
            "raw_path": PATH.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (name.strip().lower().encode("latin-1"), value.strip().encode("latin-1"))
                for name, _, value in pairs
            ],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
            "state": {},
            "app": self._owner,
        }
        status, headers, body = 500, list[tuple[str, str]](), bytearray()

        async def receive() -> _Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: _Message) -> None:
            nonlocal status, headers
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [
                    (name.decode("latin-1").lower(), value.decode("latin-1"))
                    for name, value in message.get("headers", ())
                ]
            elif message["type"] == "http.response.body":
                body.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        return status, headers, bytes(body)


async def _hide(scope: _Scope, send: _Send) -> None:
    if scope["type"] != "http":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"error": {"message": "there is nothing here", "type": "not_found", "code": 404}})
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
