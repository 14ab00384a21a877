"""homeport logs"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, json_option, name_argument, on_option, spec_option

if TYPE_CHECKING:
    from homeport.deployment import Deployment


@click.command("logs")
@name_argument
@spec_option("--file")
@on_option
@json_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes; Ctrl-C ends it.")
@click.option(
    "-n", "--lines", type=click.IntRange(0), default=200, show_default=True, help="Only the last so many."
)
@click.option("--all", "every", is_flag=True, help="Every line that there is.")
@click.pass_obj
def command(
    app: CliContext, /, name: str | None, file: Path, on: str, json_output: bool, **which: Any
) -> None:  # Any: what click has read
    """Show what the engine wrote."""
    from homeport.cli.session import with_endpoint
    from homeport.printable import printable_log

    if which["follow"] and json_output:
        raise click.UsageError("--follow goes on for ever, and --json is one document: not both.")
    terminal = app.terminal(json_output=json_output)
    shown: list[str] = []

    async def show(deployment: Deployment) -> None:
        lines = None if which["every"] else which["lines"]
        async for piece in deployment.logs(lines=lines, follow=which["follow"]):
            if json_output:
                shown.append(piece.removesuffix("\n"))
            else:
                terminal.write(printable_log(piece))

    with_endpoint(terminal, name, file, on, show)
    terminal.flush()
    if json_output:
        terminal.result("", {"lines": shown})
