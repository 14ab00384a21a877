"""The options that describe an agent, and what they come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from homeport.cli.context import FiniteRange, is_given, with_options

if TYPE_CHECKING:
    from homeport.agents.budget import Budget
    from homeport.agents.mcp_servers import McpServer
    from homeport.agents.tool import Tool
    from homeport.endpoint import Endpoint

how_options = with_options(
    click.option("--name", help="The endpoint; by default that of the spec here, or the only one that runs."),
    click.option("--tool", "tools", multiple=True, metavar="TOOL", help="time, calculator, files, or FILE.py:FUNCTION; by default the first three."),
    click.option("--no-tools", is_flag=True, help="None but those of --mcp."),
    click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), help="Whose files may be read; by default this one."),
    click.option("--mcp", multiple=True, metavar="SERVER", help="An MCP server: an http(s) address, or a command in quotes."),
    click.option("--mcp-token", multiple=True, metavar="SERVER=TOKEN", help="Where the token of an MCP server is: its address, and env:NAME or file:PATH."),
    click.option("--allow", multiple=True, metavar="TOOL", help="Run this tool without asking, although it may change something."),
    click.option("--allow-changes", is_flag=True, help="Run every tool without asking."),
    click.option("--system", help="Instructions, instead of homeport's."),
    click.option("--temperature", type=FiniteRange(0, 2), help="By default the engine's."),
    click.option("--max-steps", type=click.IntRange(1), default=12, show_default=True, help="Answers of the model."),
    click.option("--max-tool-calls", type=click.IntRange(0), default=24, show_default=True, help="Calls of tools."),
    click.option("--max-total-tokens", type=click.IntRange(1), default=60_000, show_default=True, help="Of all answers, prompts included."),
    click.option("--max-seconds", type=FiniteRange(min=0, min_open=True), default=300.0, show_default=True, help="From question to answer."),
    click.option("--max-usd", type=FiniteRange(min=0, min_open=True), metavar="USD", help="Of the endpoint's time, by the list price of an instance; for one that has a price."),
    click.option("--max-tokens", type=click.IntRange(1), default=2048, show_default=True, help="Of one answer."),
    click.option("--tool-seconds", type=FiniteRange(min=0, min_open=True), default=30.0, show_default=True, help="Of one call of a tool."),
    click.option("--anyway", is_flag=True, help="Also with a model that was not trained to call tools."),
)  # fmt: skip

transcript_option = click.option(
    "--transcript",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the transcript here, instead of into homeport's folder.",
)


class AgentOptions(TypedDict, total=False):
    """What click has read for `how_options`, and for those that some commands have besides."""

    name: str | None
    tools: tuple[str, ...]
    no_tools: bool
    folder: Path
    mcp: tuple[str, ...]
    mcp_token: tuple[str, ...]
    allow: tuple[str, ...]
    allow_changes: bool
    system: str | None
    temperature: float | None
    max_steps: int
    max_tool_calls: int
    max_total_tokens: int
    max_seconds: float
    max_usd: float | None
    max_tokens: int
    tool_seconds: float
    anyway: bool
    transcript: Path | None
    transcripts: Path | None


def own_tools(how: AgentOptions) -> list[Tool]:
    """Return the tools of this process that were asked for."""
    from homeport.agents.builtin import BUILTIN, builtin
    from homeport.agents.own import function_tool

    if how["tools"] and how["no_tools"]:
        raise click.UsageError("--no-tools leaves nothing for --tool: say one of them.")
    names = how["tools"] or (() if how["no_tools"] else BUILTIN)
    if "files" not in names and is_given("folder"):
        raise click.UsageError("--folder is where the tool files reads: say --tool files, too.")
    return [
        tool
        for name in dict.fromkeys(names)
        for tool in ((function_tool(name),) if ":" in name else builtin(name, how["folder"]))
    ]


def servers_of(how: AgentOptions, env: Mapping[str, str] | None = None) -> list[str | McpServer]:
    """
    Return the MCP servers that were asked for, those with a token that have one.

    Raises `SpecError` for a token of no server, for one that would be sent unencrypted, and for one that is not there.
    """
    from homeport.addresses import shown
    from homeport.agents.mcp_servers import McpServer
    from homeport.errors import SpecError
    from homeport.secret import resolve

    tokens: dict[str, str] = {}
    for setting in how["mcp_token"]:
        server, equals, reference = setting.rpartition("=")
        if not equals or not reference.startswith(("env:", "file:")):
            raise SpecError(
                "--mcp-token has an address and where its token is, and one of them is missing",
                hint="say --mcp-token https://tools.example.com/mcp=env:TOOLS_TOKEN",
            )
        if server not in how["mcp"]:
            raise SpecError(
                f"--mcp-token has a token for {shown(server)}, and no --mcp names that server",
                hint="say --mcp with the same address as well, letter by letter",
            )
        tokens[server] = reference
    return [
        McpServer(url=address, token=resolve(tokens[address], key="--mcp-token", env=env))
        if address in tokens
        else address
        for address in how["mcp"]
    ]


def ensure_allowed_are_there(how: AgentOptions, tools: Sequence[Tool]) -> None:
    """Raise `SpecError` where --allow names a tool that the agent does not have: it would be refused under its own name."""
    from homeport.errors import SpecError

    names = [tool.name for tool in tools]
    for allowed in how["allow"]:
        if allowed not in names:
            raise SpecError(
                f"--allow names {allowed}, and the agent has no such tool",
                hint=f"it has {', '.join(names) or 'none'}",
            )


def budget_of(how: AgentOptions) -> Budget:
    """Return the bounds that were asked for."""
    from homeport.agents.budget import Budget

    return Budget(
        steps=how["max_steps"],
        tool_calls=how["max_tool_calls"],
        tokens=how["max_total_tokens"],
        seconds=how["max_seconds"],
        max_tokens=how["max_tokens"],
        usd=how["max_usd"],
        tool_seconds=how["tool_seconds"],
    )


def price_of(endpoint: Endpoint, how: AgentOptions) -> float | None:
    """
    Return what an instance of the endpoint costs an hour; None where that is not known.

    Raises `Unsupported` where --max-usd needs it.
    """
    from homeport.errors import Unsupported

    if endpoint.usd_per_hour is None and how["max_usd"] is not None:
        raise Unsupported(
            f"what {endpoint.name} costs is not known, so --max-usd cannot be kept",
            hint="leave it out; --max-seconds and --max-total-tokens hold everywhere",
        )
    return endpoint.usd_per_hour
