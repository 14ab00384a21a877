"""An MCP server that lies of its tools: line by line, by hand, since no SDK would. `python lying_server.py KIND`."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

KIND = sys.argv[1]
LOUD = 50 * 2**20
"""Bytes that `loud` writes to its standard error."""
TOOL: dict[str, Any] = {
    "name": "add",
    "description": "Add.",
    "inputSchema": {"type": "object", "properties": {}},
}
if KIND == "no-schema":
    TOOL["inputSchema"] = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
elif KIND == "name":
    TOOL["name"] = "add; rm -rf"
elif KIND == "large":
    TOOL["inputSchema"] = {"type": "object", "properties": {"a": {"description": "x" * 70_000}}}
elif KIND == "expression":
    TOOL["outputSchema"] = {
        "type": "object",
        "properties": {"total": {"pattern": "^(e|e)*$", "type": "string"}},
    }
elif KIND == "branches":
    ways = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(60)}
    TOOL["outputSchema"] = {
        "type": "object", "properties": {"total": {"$ref": "#/$defs/a0"}}, "$defs": {**ways, "a60": {"type": "string"}},
    }  # fmt: skip
elif KIND == "circle":
    TOOL["outputSchema"] = {"type": "object", "$ref": "#"}
elif KIND == "large-result":
    TOOL["outputSchema"] = {"type": "object", "description": "x" * 70_000}
elif KIND == "no-schema-result":
    TOOL["outputSchema"] = {"type": "object", "properties": {"a": {"type": "nonsense"}}}
elif KIND == "output":
    TOOL["outputSchema"] = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}


def listen_no_more() -> None:
    """Write into a file which process this is, and read nothing any more."""
    draft = Path(f"{sys.argv[2]}.new")
    draft.write_text(str(os.getpid()))
    draft.replace(sys.argv[2])
    while True:
        time.sleep(60)


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
        for _ in range(LOUD // 65536):
            os.write(2, b"x" * 65536)
        kind = "a pipe" if stat.S_ISFIFO(os.fstat(2).st_mode) else "something that keeps it all"
        os.write(2, f"\nout of luck, into {kind}".encode())
        sys.exit(1)
    if "id" not in message:
        continue
    if KIND == "latin-1" and method == "tools/call":
        text = (
            '{"jsonrpc": "2.0", "id": %s, "result": {"content": [{"type": "text", "text": "J\xfcrgen"}]}}\n'
        )
        sys.stdout.buffer.write(f"J\xfcrgen is asked\n{text % json.dumps(message['id'])}".encode("latin-1"))
        sys.stdout.buffer.flush()
        continue
    answer: dict[str, Any]
    if KIND == "late" and method == "tools/list":
        continue
    if KIND == "late":
        time.sleep(1)
    if method == "initialize":
        answer = {"result": {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "liar", "version": "1"}}}  # fmt: skip
    elif method == "tools/list":
        many = [{**TOOL, "name": f"add{number}"} for number in range(201)]
        if KIND == "long-together":
            wide = {f"a{number}": {"type": "integer"} for number in range(1_000)}
            many = [{**one, "inputSchema": {"type": "object", "properties": wide}} for one in many[:100]]
        answer = {"result": {"tools": many if KIND in {"many", "long-together"} else [TOOL]}}
        if KIND == "endless-pages":
            time.sleep(0.2)
            answer["result"]["nextCursor"] = "on"
    elif method == "tools/call" and KIND == "refuses":
        answer = {
            "error": {"code": -32000, "message": "out of luck"}
        }  # The number of the SDK for a connection that is over.
    elif method == "tools/call" and KIND == "no-result":
        answer = {"result": {"content": "3"}}
    elif method == "tools/call":
        total = "e" * 40 + "!" if KIND == "expression" else "three"
        answer = {
            "result": {"content": [{"type": "text", "text": "3"}], "structuredContent": {"total": total}}
        }
    else:
        answer = {"error": {"code": -32601, "message": "no such method"}}
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], **answer}) + "\n")
    sys.stdout.flush()
    if KIND == "deaf" and method == "tools/list":
        listen_no_more()
