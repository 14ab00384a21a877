"""What a tool is called with: exactly what its schema says, and nothing besides."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp_types import CallToolResult, InputRequiredResult, Tool
from pydantic import ValidationError

from homeport.json_types import JsonObject
from homeport.printable import printable


class StrictServer(MCPServer[Any]):  # Any: the SDK's lifespan, which is not used
    """A server whose tools take no argument that they do not name: the SDK would drop it, and act on what is left."""

    async def list_tools(self) -> list[Tool]:
        """Return the tools, each with a schema that is closed."""
        return [
            tool.model_copy(update={"input_schema": {**tool.input_schema, "additionalProperties": False}})
            for tool in await super().list_tools()
        ]

    async def call_tool(
        self,
        name: str,
        arguments: JsonObject,
        context: Context[Any, Any] | None = None,  # Any: as above
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. Raises `ToolError` before it begins where an argument is unknown or is not what it should be."""
        known = next(
            (one.input_schema["properties"] for one in await self.list_tools() if one.name == name), None
        )
        if known is not None and (unknown := [one for one in arguments if one not in known]):
            raise ToolError(f"`{name}` takes {_unknown(unknown, known)}. Nothing was done")
        try:
            return await super().call_tool(name, arguments, context)
        except UnexpectedToolError:
            raise  # The tool had begun.
        except ToolError as error:
            if isinstance(error.__cause__, ValidationError):
                raise ToolError(_wrong(name, error.__cause__)) from None
            raise


def _unknown(given: Iterable[str], known: Collection[str]) -> str:
    """Return what is not taken, and what is instead."""
    close = [match for one in given for match in get_close_matches(one, known, n=1, cutoff=0.5)]
    instead = (
        f"did you mean {', '.join(f'`{one}`' for one in close)}?"
        if close
        else f"it takes {', '.join(known) or 'none'}"
    )
    return f"no argument {', '.join(printable(repr(one)) for one in given)}: {instead}"


def _wrong(tool: str, error: ValidationError) -> str:
    """Return what is wrong in a line, without the words and addresses of the library that noticed it."""
    said = [
        f"`{'.'.join(map(str, one['loc']))}` {one['msg'][:1].lower()}{one['msg'][1:]}"
        + (f", but is {printable(repr(one['input'])[:60])}" if one["type"] != "missing" else "")
        for one in error.errors(include_url=False)
    ]
    return f"`{tool}`: {'; '.join(said)}. Nothing was done"
