"""
MCP servers over HTTP that no SDK would make. The first part of the path says what is answered to everything; behind `/call/`,
the server is a good one until its tool is called, and then answers so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

LONG = 2 * 2**20
"""Characters of the result of `event`."""
TOOLS = [{"name": "add", "inputSchema": {"type": "object", "properties": {}}}]
STREAM = "text/event-stream"
JSON = "application/json"


class HostileMcp(ThreadingHTTPServer):
    """The server, and what it was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str]] = []
        """The path, and the method of MCP (or of HTTP, where there is none)."""

    def address(self, path: str) -> str:
        """Where it answers so."""
        return f"http://127.0.0.1:{self.server_port}/{path}"

    @contextmanager
    def running(self) -> Iterator[HostileMcp]:
        with self:
            Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
            try:
                yield self
            finally:
                self.shutdown()


class _Answers(BaseHTTPRequestHandler):
    server: HostileMcp

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path, method = self.path.strip("/"), request["method"]
        self.server.asked.append((path, method))
        kind = path.removeprefix("call/")
        if kind != path and method != "tools/call":
            kind = "good"
        getattr(self, f"_{kind.replace('-', '_')}")(request)

    def do_GET(self) -> None:
        self.server.asked.append((self.path.strip("/"), "GET"))
        self._head(405, JSON)

    def _good(self, request: dict[str, Any]) -> None:
        if "id" not in request:
            self._head(202, JSON)
            return
        results: dict[str, Any] = {
            "initialize": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "hostile", "version": "1"}},
            "tools/list": {"tools": TOOLS},
        }  # fmt: skip
        known = request["method"] in results
        answer = {"result": results[request["method"]]} if known else {"error": {"code": -32601, "message": "no such method"}}  # fmt: skip
        self._head(200, JSON)
        self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], **answer}).encode())

    def _endless(self, request: dict[str, Any]) -> None:
        self._head(200, JSON)
        self._write_on()

    def _endless_event(self, request: dict[str, Any]) -> None:
        """An event of a stream that may be taken up again, in an hour: a client that believed that would wait."""
        self._head(200, STREAM)
        self.wfile.write(
            b'id: 1\nretry: 3600000\ndata: {"jsonrpc": "2.0", "method": "notifications/x"}\n\ndata: '
        )
        self._write_on()

    def _event(self, request: dict[str, Any]) -> None:
        """One event, with a result of `LONG` characters."""
        result = {"content": [{"type": "text", "text": "x" * LONG}]}
        data = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result})
        self._head(200, STREAM)
        self.wfile.write(f"event: message\ndata: {data}\n\n".encode())

    def _chatty(self, request: dict[str, Any]) -> None:
        """A stream of `LONG` bytes of notifications, the first of which is wrong, and then the result."""
        self._head(200, STREAM)
        told: dict[str, Any] = {"jsonrpc": "2.0", "method": "notifications/message"}
        self._tell({**told, "params": {"level": "no such level"}})
        for _ in range(LONG // 65536):
            self._tell({**told, "params": {"level": "info", "data": "x" * 65536}})
        self._tell(
            {"jsonrpc": "2.0", "id": request["id"], "result": {"content": [{"type": "text", "text": "3"}]}}
        )

    def _tell(self, message: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(message)}\r\n\r\n".encode())

    def _no_json(self, request: dict[str, Any]) -> None:
        self._head(200, JSON)
        self.wfile.write(b"{oops")

    def _no_json_event(self, request: dict[str, Any]) -> None:
        self._head(200, STREAM)
        self.wfile.write(b"data: {oops\n\n")

    def _cut(self, request: dict[str, Any]) -> None:
        """Less than was announced."""
        self._head(200, JSON, length="100")
        self.wfile.write(b"{")

    def _hung_up(self, request: dict[str, Any]) -> None:
        """Nothing at all."""
        self.close_connection = True

    def _cut_way(self, request: dict[str, Any]) -> None:
        """Where else it is, on this server, and less of a body than was announced."""
        self.send_response(307)
        self.send_header("location", self.path)
        self.send_header("content-length", "100")
        self.end_headers()

    def _loop(self, request: dict[str, Any]) -> None:
        """Where else it is: here."""
        self._send_to(self.path)

    def _moved(self, request: dict[str, Any]) -> None:
        """Where else it is: at a path that answers."""
        self._send_to("/call/json-rpc")

    def _send_to(self, path: str) -> None:
        self.send_response(307)
        self.send_header("location", path)
        self.send_header("content-length", "0")
        self.end_headers()

    def _json_rpc(self, request: dict[str, Any]) -> None:
        """JSON under the name that the media type of JSON-RPC was once proposed to have."""
        result = {"content": [{"type": "text", "text": "3"}]}
        self._head(200, "application/json-rpc")
        self.wfile.write(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode())

    def _packed(self, request: dict[str, Any]) -> None:
        self._head(200, JSON, encoding="gzip")

    def _page(self, request: dict[str, Any]) -> None:
        self._head(200, "text/html")

    def _elsewhere(self, request: dict[str, Any]) -> None:
        self.send_response(307)
        self.send_header("location", "http://127.0.0.1:9/mcp")
        self.end_headers()

    def _head(self, status: int, kind: str, **more: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        for name, value in more.items():
            self.send_header(f"content-{name}", value)
        self.end_headers()

    def _write_on(self) -> None:
        with suppress(OSError):  # The client has had enough.
            while True:
                self.wfile.write(b"x" * 65536)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
