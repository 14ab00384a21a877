"""homeport logs"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, json_option, name_argument, on_option, spec_option

if TYPE_CHECKING:
    from homeport.deployed import Deployment


@click.command("logs")
@name_argument
@spec_option("--file")
@on_option
@json_option
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes; Ctrl-C ends it.")
@click.option("-n", "--lines", type=click.IntRange(0), help="Only the last so many.")
@click.pass_obj
def command(
    app: CliContext, name: str | None, file: Path, on: str, json_output: bool, follow: bool, lines: int | None
) -> None:
    """Show what the engine wrote."""
    from homeport import lifecycle
    from homeport.cli.context import check_name, meant
    from homeport.printable import printable_log

    terminal = app.terminal(json_output=json_output)
    if on == "cloudrun":
        check_name(name, file)
        from homeport.cli.cloud import deployed

        async def show(one: Deployment) -> None:
            async for line in one.logs(lines=lines or 100, follow=follow):
                terminal.write(printable_log(f"{line}\n"))

        deployed(file, show)
        return
    log = lifecycle.log_of(meant(name, file))
    if json_output:
        text = log.read_text(errors="replace").splitlines()
        terminal.result("", {"log": str(log), "lines": text[-lines:] if lines else text})
        return
    for piece in lifecycle.log_text(log, lines=lines, follow=follow):
        terminal.write(printable_log(piece))
    terminal.flush()
