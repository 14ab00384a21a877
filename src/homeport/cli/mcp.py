"""homeport mcp"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, ensure_none_before_subcommand, is_given

if TYPE_CHECKING:
    from types import ModuleType

    from homeport.terminal import Terminal

PORT = 8385
"""Where it listens with --http, unless told otherwise."""


@click.group("mcp", invoke_without_command=True)
@click.option("--http", is_flag=True, help="Listen on a port of this machine instead of standard input.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="For --http; 0 for any."
)
@click.option(
    "--allow-changes",
    is_flag=True,
    help="Offer up, down, swap and rollback, too: each returns its plan first, and wants it confirmed.",
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    show_default=True,
    help="Where the files are that may be named, and below.",
)
@click.pass_context
def command(ctx: click.Context, /, http: bool, port: int, allow_changes: bool, folder: Path) -> None:
    """
    Offer these commands to a coding agent, as tools over MCP: those that only look, unless --allow-changes.

    On standard input and output a client starts it; with --http it listens on loopback, wants a key that it prints, and
    runs until Ctrl-C. Needs the extra homeport[agents].
    """
    if ctx.invoked_subcommand is not None:
        ensure_none_before_subcommand(ctx)
        return
    from homeport import sync

    if not http and is_given("port"):
        raise click.UsageError("--port is where --http listens: say --http, too.")
    app: CliContext = ctx.obj
    if not http and sys.stdin.isatty():
        app.terminal().note(
            "a client starts this, and speaks MCP on its standard input: docs/mcp.md shows how. --http listens on a port. "
            "Ctrl-C ends it"
        )
    server = _server()
    mcp_server = server.made(folder, allow_changes=allow_changes)
    if not http:
        sync.run(server.on_standard_streams(mcp_server))
        return
    _on_port(app.terminal(), server, mcp_server, port)


@command.command("skill")
@click.option(
    "--install",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Write it to FOLDER/homeport/SKILL.md, such as .agents/skills.",
)
@click.option("--force", is_flag=True, help="With --install: replace a SKILL.md that says something else.")
@click.pass_obj
def skill(app: CliContext, folder: Path | None, force: bool) -> None:
    """Print the skill that tells an agent how to use homeport (SKILL.md), or install it."""
    from homeport.errors import SpecError
    from homeport.home import write_whole, writing
    from homeport.skills import NAME, text

    terminal = app.terminal()
    if folder is None:
        if force:
            raise click.UsageError(
                "--force is about a file that --install would replace: say --install FOLDER, too."
            )
        terminal.write(text())
        terminal.flush()
        return
    path = folder / NAME / "SKILL.md"
    with writing(path):
        if not force and path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text():
            raise SpecError(
                f"{path} is there and says something else",
                hint="where it is that of an earlier homeport, --force replaces it",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text())
    terminal.say(f"wrote {path}")


def _server() -> ModuleType:
    """Return the server's module. Raises `ExtraMissing` where the extra is not installed."""
    from homeport.extras import missing

    try:
        import mcp.server.mcpserver  # noqa: F401 - looked for by itself: another import that fails is a mistake
    except ImportError as error:
        raise missing("this needs the MCP SDK, 2.3 or newer", "agents") from error
    from homeport.mcp import server

    return server


def _on_port(
    terminal: Terminal, server: ModuleType, mcp_server: Any, port: int
) -> None:  # Any: the SDK's server
    from homeport import addresses, door, sync

    key = door.new_key()
    listening = addresses.listen(port, lambda free: f"homeport mcp --http --port {free}, or --port 0 for any")

    def ready(url: str) -> None:
        client = {"type": "http", "url": url, "headers": {"Authorization": f"Bearer {key.reveal()}"}}
        terminal.say(f"homeport's tools are at {url}. Ctrl-C ends it. For a client's configuration:")
        terminal.secret_result(json.dumps({"mcpServers": {"homeport": client}}, indent=2), {})

    with suppress(KeyboardInterrupt):
        sync.run(server.on_port_until_cancelled(mcp_server, listening, key, ready))
