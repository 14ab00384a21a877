"""Tools of MCP servers, over stdio and streamable HTTP. What a server says of itself is data, and is not believed."""

from __future__ import annotations

import asyncio
import re
import shlex
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO, cast

from homeport.addresses import is_loopback
from homeport.agents.tool import Tool, ToolFailed
from homeport.certificates import certificates
from homeport.errors import HomeportError, NetworkError, SpecError
from homeport.secret import Secret

if TYPE_CHECKING:
    from mcp import Client

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI's API takes as the name of a tool."""
_CONNECT_WITHIN_S = 30.0
_LONGEST_DESCRIPTION = 2_000
_MOST_TOOLS, _MOST_PAGES = 200, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """An MCP server at an address that wants a token."""

    url: str
    token: Secret


@asynccontextmanager
async def opened(servers: Sequence[str | McpServer], *, answer_within_s: float) -> AsyncIterator[list[Tool]]:
    """
    Yield the tools of MCP servers, each an http(s) address or a command, for as long as they are needed.

    All of them may change something, whatever the server says: only the user can know that one does not. Raises
    `NetworkError` for a server that cannot be reached or begun, `SpecError` for one whose tools are described wrongly.
    """
    try:
        async with AsyncExitStack() as stack:
            tools: list[Tool] = []
            for server in servers:
                log = _log(stack)
                client = await _connected(stack, server, log, answer_within_s)
                tools += await _tools(client, server if isinstance(server, str) else server.url, log)
            yield tools
    except BaseExceptionGroup as group:  # The SDK's task groups wrap whatever is raised within them.
        raise _find_cause(group) from group


def _find_cause(error: BaseException) -> BaseException:
    """Return the one that says what happened: an error of homeport's, if there is one among them."""
    leaves: list[BaseException] = []
    groups = [error]
    while groups:
        member = groups.pop(0)
        if isinstance(member, BaseExceptionGroup):
            groups += member.exceptions
        else:
            leaves.append(member)
    return next((leaf for leaf in leaves if isinstance(leaf, HomeportError)), leaves[0])


async def _connected(
    stack: AsyncExitStack, server: str | McpServer, log: TextIO, answer_within_s: float
) -> Client:
    from mcp import Client

    token = None if isinstance(server, str) else server.token
    server = server if isinstance(server, str) else server.url
    client = Client(_transport(stack, server, log, token), read_timeout_seconds=answer_within_s)
    try:
        async with asyncio.timeout(_CONNECT_WITHIN_S):
            return await stack.enter_async_context(client)
    except HomeportError:
        raise
    except Exception as error:
        raise _gone(server, "cannot be reached", error, log) from error


def _log(stack: AsyncExitStack) -> TextIO:
    """Return a file for what a server writes to its standard error: a terminal must not see it unescaped."""
    file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace"))  # noqa: SIM115 - the stack closes it
    return cast("TextIO", file)


def _transport(
    stack: AsyncExitStack, server: str, log: TextIO, token: Secret | None
) -> Any:  # Any: the SDK's own kind
    if server.startswith(("http://", "https://")):
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        from homeport.agents.bounded_answers import bounded

        url = httpx2.URL(server)
        if token and url.scheme == "http" and not is_loopback(url.host):
            raise SpecError(
                f"a token for {server} would be sent so that everybody on the way can read it",
                hint="give the address with https://",
            )
        client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(60.0, connect=5.0),
            trust_env=not is_loopback(url.host),
            verify=certificates(),
            headers={
                "accept-encoding": "identity",
                **({"authorization": f"Bearer {token.reveal()}"} if token else {}),
            },
            event_hooks={"response": [bounded]},
        )
        stack.push_async_callback(client.aclose)
        return streamable_http_client(server, http_client=client)
    from mcp.client.stdio import StdioServerParameters, stdio_client

    if token:
        raise SpecError(
            f"{server!r} is a command, and a token is sent to an address",
            hint="give it to the command in its own way, such as a variable",
        )
    try:
        command, *arguments = shlex.split(server)
    except ValueError as error:
        raise SpecError(
            f"{server!r} is neither an http(s) address nor a command", hint='say --mcp "COMMAND ARGUMENTS"'
        ) from error
    return stdio_client(StdioServerParameters(command=command, args=arguments), errlog=log)


async def _tools(client: Client, server: str, log: TextIO) -> list[Tool]:
    told: list[tuple[str, str, Any]] = []  # Any: a JSON Schema
    cursor: str | None = None
    try:
        for _ in range(_MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            told += [(tool.name, tool.description or "", tool.input_schema) for tool in page.tools]
            cursor = page.next_cursor
            if not cursor or len(told) > _MOST_TOOLS:
                break
    except Exception as error:
        raise _gone(server, "does not tell its tools", error, log) from error
    tools = [_tool(client, server, log, announcement) for announcement in told]
    if len(tools) > _MOST_TOOLS:
        raise SpecError(
            f"the MCP server {server} has more than {_MOST_TOOLS} tools",
            hint="no model chooses among so many",
        )
    return tools


def _tool(client: Client, server: str, log: TextIO, announcement: tuple[str, str, Any]) -> Tool:
    name, description, schema = announcement
    if not _NAME.fullmatch(name):
        raise SpecError(f"the MCP server {server} calls a tool {name[:80]!r}, which is no name that models can call", hint="its maker has to rename it")  # fmt: skip
    why = _wrong(schema)
    if why:
        raise SpecError(
            f"the MCP server {server} describes the arguments of {name} wrongly: {why}",
            hint="leave the server out, and tell its maker",
        )

    async def run(arguments: dict[str, Any]) -> Any:
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED

        try:
            result = await client.call_tool(name, arguments)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED:
                raise _gone(server, f"ended within the call of {name}", error, log) from error
            raise ToolFailed(f"the MCP server says: {error}") from error
        except (ConnectionError, OSError) as error:
            raise _gone(server, f"broke off within the call of {name}", error, log) from error
        except (
            RuntimeError
        ) as error:  # The SDK's, for a result that is not of the kind that the server announced.
            raise ToolFailed(f"the result of the MCP server is not what it promised: {error}") from error
        text = _text(result)
        if result.is_error:
            raise ToolFailed(text or "no explanation")
        return text

    return Tool(
        name=name,
        description=description[:_LONGEST_DESCRIPTION],
        parameters=schema,
        run=run,
        changes=True,
        origin=server,
    )


def _wrong(schema: Any) -> str:  # Any: JSON of a stranger's
    from jsonschema import Draft202012Validator, SchemaError

    if not isinstance(schema, dict) or schema.get("type") != "object":
        return "it is no schema of an object"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"it is no JSON Schema: {error.message[:200]}"
    return ""


def _text(result: Any) -> str:  # Any: the SDK's result
    parts = []
    for block in result.content:
        text = getattr(block, "text", None)
        parts.append(text if isinstance(text, str) else f"(a block of type {block.type}, which is no text)")
    if not parts and result.structured_content is not None:
        import json

        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _gone(server: str, fault: str, error: BaseException, log: TextIO) -> NetworkError:
    error = _find_cause(error)
    log.flush()
    log.seek(0)
    last = log.read()[-400:].strip()
    wrote = f"; it wrote: {last}" if last else ""
    return NetworkError(
        f"the MCP server {server} {fault}: {str(error) or type(error).__name__}{wrote}",
        hint="start the server by itself to see what is wrong with it, or leave it out",
    )
