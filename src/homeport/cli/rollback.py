"""homeport rollback"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option


@click.command("rollback")
@file_option
@json_option
@click.pass_obj
def command(app: CliContext, file: Path, json_output: bool) -> None:
    """Let the last verified revision before this one serve again, at once. On Cloud Run."""
    from homeport.cli.cloud import deployed

    revision = deployed(file, lambda one: one.roll_back())
    terminal = app.terminal(json_output=json_output)
    terminal.result(f"{revision} serves", {"serving": revision})
    terminal.say("the file is as it was: `homeport up --on cloudrun` would release its state again")
