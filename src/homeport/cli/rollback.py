"""homeport rollback"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import (
    CliContext,
    as_rehearsed,
    file_option,
    json_option,
    name_argument,
    on_option,
)

if TYPE_CHECKING:
    from homeport.deployment import Deployment


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
    from homeport.cli.show import timeline
    from homeport.cli.show_report import report_summary
    from homeport.targets import registry

    terminal = app.terminal(json_output=json_output)

    async def back(deployment: Deployment) -> None:
        result = await deployment.rollback(progress=terminal)
        if result.timeline:
            terminal.say(f"  started: {timeline(dict(result.timeline))}")
        if result.report is not None:
            terminal.say(f"  {report_summary(result.report)}")
        terminal.result(f"{result.serving} serves", result.as_json())
        if name is None:
            flag = registry.flag(on)
            terminal.say(
                as_rehearsed(
                    f"the file is as it was: `homeport plan{flag}` shows whether `homeport up{flag}` would change this"
                )
            )

    if name is None:
        with_file(terminal, file, on, back)
    else:
        with_endpoint(terminal, name, file, on, back)
