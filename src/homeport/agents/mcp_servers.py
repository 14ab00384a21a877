"""Tools of MCP servers, over stdio and streamable HTTP. What a server says of itself is data, and is not believed."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from homeport.addresses import ensure_address, is_loopback, is_of_web, shown
from homeport.agents.last_words import LastWords
from homeport.agents.promised import Promise, SchemasLook
from homeport.agents.server_faults import fault_of, find_cause, is_end, is_own
from homeport.agents.tool import Tool, ToolFailed
from homeport.certificates import certificates
from homeport.errors import HomeportError, NetworkError, SpecError
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress, Silent
from homeport.proxy_variables import by_environment
from homeport.secret import Secret

if TYPE_CHECKING:
    from mcp import Client

    from homeport.agents.bounded_answers import AnswerBound

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI's API takes as the name of a tool."""
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
"""How an address begins, and no command does."""
_BEGUN_WITHIN_S = 120.0
"""Of one server: many a command fetches it first."""
_ANSWERS_WITHIN_S = 30.0
"""What it has may take that long to tell in any case, however little a call of a tool may."""
_LONGEST_DESCRIPTION = 2_000
_LOCKED = "where it wants a token, --mcp-token says where that is: --mcp-token ADDRESS=env:NAME"
_MOST_TOOLS, _MOST_PAGES = 200, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """An MCP server at an address that wants a token."""

    url: str
    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class _BegunServer:
    given: str
    """Its address or its command."""
    token: Secret | None
    log: LastWords
    """What it writes to its standard error."""
    bound: AnswerBound

    @property
    def name(self) -> str:
        """Return it as messages show it: an address may have a secret in it, also one that is mistyped and so is no address."""
        mistyped = "@" in self.given and not self.given.strip().count(" ")
        return shown(self.given) if mistyped or _SCHEME.match(self.given) else self.given

    def gone(self, fault: str, error: BaseException) -> NetworkError:
        """Return what is said where it does not answer any more."""
        why = self.bound.passed or fault_of(find_cause(error), self.bound.status)
        last = self.log.text()
        wrote = f"; it wrote: {last}" if last else ""
        return NetworkError(
            f"the MCP server {self.name} {fault}: {why}{wrote}",
            hint=_LOCKED
            if self.bound.status in {401, 403}
            else "start the server by itself to see what is wrong with it, or leave it out",
        )


class _Announced(NamedTuple):
    name: str
    description: str
    takes: Json
    """A JSON Schema of a stranger's, and so is the next."""
    returns: Json


@asynccontextmanager
async def opened(
    servers: Sequence[str | McpServer], *, answer_within_s: float, progress: Progress | None = None
) -> AsyncIterator[list[Tool]]:
    """
    Yield the tools of MCP servers, each an http(s) address or a command, for as long as they are needed.

    All of them may change something, whatever the server says: only the user can know that one does not. Raises
    `NetworkError` for a server that cannot be reached or begun, `SpecError` for one whose tools are described wrongly.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(_sdk_untold())
        tools: list[Tool] = []
        for server in servers:
            begun = _begun(stack, server)
            with _told_of(begun.name, tools, progress or Silent()):
                client = await stack.enter_async_context(_connected(begun, answer_within_s))
                tools += await _tools(client, begun, max(answer_within_s, _ANSWERS_WITHIN_S))
        yield tools


@contextmanager
def _told_of(name: str, tools: Sequence[Tool], progress: Progress) -> Iterator[None]:
    """Tell that a server is begun, which may take long, and with how many of `tools`."""
    key, before = f"MCP server {name}", len(tools)
    progress.started(key, f"starting the {key}")
    try:
        yield
    except BaseException:
        progress.failed(key, "")
        raise
    count = len(tools) - before
    progress.finished(key, f"{key}: {count} tool{'' if count == 1 else 's'}")


@contextmanager
def _sdk_untold() -> Iterator[None]:
    """Keep what the SDK logs from a terminal that nobody set up for it: tracebacks, and with them what a server said."""
    handler, own, general = logging.NullHandler(), logging.getLogger("mcp"), logging.getLogger("client")

    def is_told(record: logging.LogRecord) -> bool:
        of_sdk = f"{os.sep}mcp{os.sep}client{os.sep}" in record.pathname
        return not of_sdk or general.hasHandlers()

    own.addHandler(handler)
    general.addFilter(is_told)
    try:
        yield
    finally:
        general.removeFilter(is_told)
        own.removeHandler(handler)


def _begun(stack: AsyncExitStack, server: str | McpServer) -> _BegunServer:
    from homeport.agents.bounded_answers import AnswerBound

    log = stack.enter_context(LastWords())
    if isinstance(server, str):
        return _BegunServer(given=server, token=None, log=log, bound=AnswerBound())
    return _BegunServer(given=server.url, token=server.token, log=log, bound=AnswerBound())


@asynccontextmanager
async def _connected(server: _BegunServer, answer_within_s: float) -> AsyncIterator[Client]:
    from mcp import Client

    try:
        async with AsyncExitStack() as stack:
            # To the first question a server still begins; what others may take is bounded where they are asked.
            client = Client(
                _transport(stack, server), read_timeout_seconds=max(answer_within_s, _BEGUN_WITHIN_S)
            )
            try:
                async with asyncio.timeout(_BEGUN_WITHIN_S), server.bound.within():
                    await stack.enter_async_context(client)
            except HomeportError:
                raise
            except Exception as error:
                raise server.gone("cannot be reached", error) from error
            # It may look at a result for ever: `promised` does that, within bounds.
            setattr(client.session, "validate_tool_result", _left_to_us)  # noqa: B010 - a method of one session
            yield client
    except BaseExceptionGroup as group:  # The SDK's task groups wrap whatever is raised within them.
        raise find_cause(group) from group


def _transport(stack: AsyncExitStack, server: _BegunServer) -> Any:  # Any: the SDK's own kind
    if is_of_web(server.given):
        return _over_http(stack, server)
    if _SCHEME.match(server.given):
        raise SpecError(
            f"{server.name!r} is no address of an MCP server",
            hint="say one that begins with http:// or https://, or a command",
        )
    if server.token:
        raise SpecError(
            f"{server.name!r} is a command, and a token is sent to an address",
            hint="give it to the command in its own way, such as a variable",
        )
    return _over_stdio(server)


def _over_http(stack: AsyncExitStack, server: _BegunServer) -> Any:  # Any: the SDK's own kind
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    from homeport.agents.bounded_answers import BoundedClient

    ensure_address(server.given, called=f"the MCP server {server.name}")
    url, token = httpx2.URL(server.given), server.token
    if token and url.scheme == "http" and not is_loopback(url.host):
        raise SpecError(
            f"a token for {server.name} would be sent so that everybody on the way can read it",
            hint="give the address with https://",
        )
    client = BoundedClient(
        server.bound,
        trust_env=by_environment(not is_loopback(url.host)),
        verify=certificates(),
        headers={
            "accept-encoding": "identity",
            **({"authorization": f"Bearer {token.reveal()}"} if token else {}),
        },
    )
    stack.push_async_callback(client.aclose)
    return streamable_http_client(server.given, http_client=client, max_sse_event_size=server.bound.largest)


def _over_stdio(server: _BegunServer) -> Any:  # Any: the SDK's own kind
    from mcp.client.stdio import StdioServerParameters, stdio_client

    from homeport.agents.bounded_lines import BOUND, COUNTED

    try:
        command, *arguments = shlex.split(server.given)
    except ValueError as error:
        raise SpecError(
            f"{server.name!r} is neither an http(s) address nor a command",
            hint='say --mcp "COMMAND ARGUMENTS"',
        ) from error
    BOUND.set(server.bound)
    program, *more = _tied([command, *arguments])
    return stdio_client(
        StdioServerParameters(command=program, args=more, encoding=COUNTED), errlog=server.log.file
    )


def _tied(command: list[str]) -> list[str]:
    """Return the command so that it ends where homeport is killed, which closes its stdin and nothing else: not each server reads that."""
    if sys.platform != "linux" or shutil.which(command[0]) is None:  # The SDK says that it is not there.
        return command
    return [sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")), str(os.getpid()), *command]


async def _left_to_us(name: str, result: Any) -> None:  # Any: the SDK's result
    """Look at nothing."""


async def _tools(client: Client, server: _BegunServer, within_s: float) -> list[Tool]:
    from anyio.lowlevel import checkpoint

    told: list[_Announced] = []
    cursor: str | None = None
    try:
        async with asyncio.timeout(within_s), server.bound.within():
            for _ in range(_MOST_PAGES):
                page = await client.list_tools(cursor=cursor)
                told += [
                    _Announced(tool.name, tool.description or "", tool.input_schema, tool.output_schema)
                    for tool in page.tools
                ]
                cursor = page.next_cursor
                if not cursor or len(told) > _MOST_TOOLS:
                    break
    except Exception as error:
        raise server.gone("does not tell its tools", error) from error
    if len(told) > _MOST_TOOLS:
        raise SpecError(
            f"the MCP server {server.name} has more than {_MOST_TOOLS} tools",
            hint="no model chooses among so many",
        )
    look = SchemasLook()
    for one in told:
        await checkpoint()  # Large schemas take long, and Ctrl-C is looked at only here.
        _ensure_described(server, one, look)
    return [_tool(client, server, one) for one in told]


def _ensure_described(server: _BegunServer, announced: _Announced, look: SchemasLook) -> None:
    name = announced.name
    if not _NAME.fullmatch(name):
        raise SpecError(f"the MCP server {server.name} calls a tool {name[:80]!r}, which is no name that models can call", hint="its maker has to rename it")  # fmt: skip
    for of, why in (
        ("arguments", look.fault_of(announced.takes)),
        ("result", "" if announced.returns is None else look.fault_of(announced.returns)),
    ):
        if why and look.over:
            raise SpecError(
                f"the MCP server {server.name} describes its tools at greater length than is looked at: all of them together have more parts, up to {name}",
                hint="leave the server out, or let its maker offer fewer tools or simpler ones",
            )
        if why:
            raise SpecError(
                f"the MCP server {server.name} describes the {of} of {name} wrongly: {why}",
                hint="leave the server out, and tell its maker",
            )


def _tool(client: Client, server: _BegunServer, announced: _Announced) -> Tool:
    name = announced.name
    promise = None if announced.returns is None else Promise(announced.returns)

    async def run(arguments: JsonObject) -> str:
        import httpx2
        from mcp import MCPError
        from pydantic import ValidationError

        try:
            async with server.bound.within():
                result = await client.call_tool(name, arguments)
        except (MCPError, httpx2.HTTPError, OSError) as error:
            if server.bound.passed or not isinstance(error, MCPError):
                raise server.gone(f"broke off within the call of {name}", error) from error
            if is_end(error):
                raise server.gone(f"ended within the call of {name}", error) from error
            raise ToolFailed(_refusal(error, server.bound.status)) from error
        except (ValidationError, RuntimeError) as error:  # A result that the SDK cannot read as one.
            raise ToolFailed(f"the MCP server's result cannot be used: {fault_of(error)}") from error
        text = _text(result)
        if result.is_error:
            raise ToolFailed(text or "no explanation")
        if why := _broken(promise, result):
            raise ToolFailed(f"the result of the MCP server is not what it promised: {why}")
        return text

    return Tool(
        name=name,
        description=announced.description[:_LONGEST_DESCRIPTION],
        parameters=announced.takes,
        run=run,
        changes=True,
        origin=server.name,
    )


def _refusal(error: BaseException, status: int | None) -> str:
    """Return what the model is told where a call is answered with an error."""
    if is_own(error):
        return f"the MCP server says: {error}"
    return f"the MCP server failed: {fault_of(error, status)}"


def _broken(promise: Promise | None, result: Any) -> str:  # Any: the SDK's result
    """Return how a result is not what was promised; '' where it is, or nobody can tell."""
    if promise is None:
        return ""
    if result.structured_content is None and "structured_content" not in result.model_fields_set:
        return "it has no structured content"
    return promise.broken(result.structured_content)


def _text(result: Any) -> str:  # Any: the SDK's result
    parts = []
    for block in result.content:
        text = getattr(block, "text", None)
        parts.append(text if isinstance(text, str) else f"(a block of type {block.type}, which is no text)")
    if not parts and result.structured_content is not None:
        import json

        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)
