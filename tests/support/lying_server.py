"""An MCP server that lies of its tools: line by line, by hand, since no SDK would. `python lying_server.py KIND`."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

KIND = sys.argv[1]
LOUD = 400 * 2**20
"""Bytes that `loud` has on its standard error."""
TOOL: dict[str, Any] = {
    "name": "add",
    "description": "Add.",
    "inputSchema": {"type": "object", "properties": {}},
}
if KIND == "no-schema":
    TOOL["inputSchema"] = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
elif KIND == "name":
    TOOL["name"] = "add; rm -rf"
elif KIND == "output":
    TOOL["outputSchema"] = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


def write_on() -> None:
    """Write a line without an end, until somebody ends this."""
    while True:
        sys.stdout.write("x" * 65536)


for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if KIND == "endless" or (KIND == "endless-call" and method == "tools/call"):
        write_on()
    if KIND == "loud" and method == "tools/call":
        os.ftruncate(2, LOUD)  # As if so much had been written to it.
        os.lseek(2, 0, os.SEEK_END)
        os.write(2, b"\nout of luck")
        sys.exit(1)
    if "id" not in message:
        continue
    answer: dict[str, Any]
    if method == "initialize":
        answer = {"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "liar", "version": "1"}}}  # fmt: skip
    elif method == "tools/list":
        answer = {"result": {"tools": [TOOL]}}
    elif method == "tools/call":
        answer = {
            "result": {"content": [{"type": "text", "text": "3"}], "structuredContent": {"total": "three"}}
        }
    else:
        answer = {"error": {"code": -32601, "message": "no such method"}}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}) + "\n")
    sys.stdout.flush()
