"""An MCP server for tests, over stdio or streamable HTTP: `python tool_server.py [http PORT]`. Some of its tools misbehave."""

from __future__ import annotations

import os
import sys
import time

from mcp.server.mcpserver import MCPServer
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["http"]:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
    else:
        server.run("stdio")
