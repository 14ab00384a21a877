"""homeport down"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import (
    CliContext,
    file_option,
    json_option,
    name_argument,
    on_option,
    project_option,
    yes_option,
)


@click.command("down")
@name_argument
@file_option
@on_option
@json_option
@yes_option
@click.option("--purge", is_flag=True, help="Remove its weights, too; on Cloud Run also the hub's token.")
@project_option
@click.pass_obj
def command(
    app: CliContext,
    /,
    name: str | None,
    file: Path,
    on: str,
    json_output: bool,
    yes: bool,
    purge: bool,
    project: str,
) -> None:
    """
    End an endpoint, with all its processes: shown first, then asked. Weights stay, unless --purge.

    On Cloud Run everything that carries its mark goes, in whichever region; with a NAME no file is needed.
    """
    from homeport.cli.approval import asking
    from homeport.cli.session import with_endpoint
    from homeport.cli.show import teardown_text

    terminal = app.terminal(json_output=json_output)
    approve = asking(terminal, yes=yes, text=teardown_text, question="end it?", default=False)
    removal = with_endpoint(
        terminal,
        name,
        file,
        on,
        lambda deployment: deployment.down(purge=purge, approve=approve, progress=terminal),
        project=project,
        by_name=True,
    )
    text = "\n".join(f"removed {thing}" for thing in removal.gone)
    terminal.result(text or f"nothing of {removal.name} is there; nothing to remove", removal.as_json())
    if removal.kept:
        terminal.say(removal.kept)
