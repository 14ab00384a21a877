"""
An MCP server for tests, over stdio or streamable HTTP: `python tool_server.py [http PORT TOKEN]`. Over HTTP it is there
twice: /mcp lets everybody in, /locked who shows the token. Some of its tools misbehave.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import uvicorn
from mcp.server.mcpserver import Image, MCPServer
from mcp_types import ToolAnnotations

server = MCPServer("tests")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def die() -> str:
    """End the server in the middle of the call."""
    sys.stderr.write("\x1b[31mout of luck\n")
    sys.stderr.flush()
    os._exit(3)


@server.tool()
def slow() -> str:
    """Take very long."""
    time.sleep(60)
    return "at last"


@server.tool()
def fails() -> str:
    """Fail."""
    raise ValueError("no such thing")


@server.tool()
def large() -> str:
    """Return ten megabytes."""
    return "x" * 10_000_000


@server.tool()
def picture() -> Image:
    """Return a picture."""
    return Image(data=b"\x89PNG\r\n\x1a\n", format="png")


class Locked:
    """Has a second address, /locked, where only who shows a token is let in."""

    def __init__(self, app: Any, token: str) -> None:  # Any: ASGI
        self.app, self.expected = app, f"Bearer {token}".encode()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # Any: ASGI
        if scope["type"] == "http" and scope["path"] == "/locked":
            if dict(scope["headers"]).get(b"authorization") != self.expected:
                await send({"type": "http.response.start", "status": 401, "headers": []})
                await send({"type": "http.response.body", "body": b"who are you?"})
                return
            scope = {**scope, "path": "/mcp", "raw_path": b"/mcp"}
        await self.app(scope, receive, send)


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        uvicorn.run(
            Locked(server.streamable_http_app(), sys.argv[3]), host="127.0.0.1", port=int(sys.argv[2])
        )
    else:
        server.run("stdio")
