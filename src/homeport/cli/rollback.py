"""homeport rollback"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option


@click.command("rollback")
@name_argument
@file_option
@on_option
@json_option
@click.pass_obj
def command(app: CliContext, name: str | None, file: Path, on: str, json_output: bool) -> None:
    """
    Let what was verified before serve again: on this machine the last model with its settings.

    That is so whatever the file says by now. On Cloud Run it is the last such revision, at once.
    """
    from homeport.cli.session import with_endpoint, with_file

    terminal = app.terminal(json_output=json_output)
    if name is None:
        result = with_file(terminal, file, on, lambda deployment: deployment.rollback(progress=terminal))
    else:
        result = with_endpoint(
            terminal, name, file, on, lambda deployment: deployment.rollback(progress=terminal)
        )
    terminal.result(f"{result.serving} serves", result.as_json())
    if name is None:
        terminal.say(f"the file is as it was: `homeport up --on {on}` would release its state again")
