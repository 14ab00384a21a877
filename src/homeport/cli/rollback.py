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

    terminal = app.terminal(json_output=json_output)

    async def back(deployment: Deployment) -> None:
        result = await deployment.rollback(progress=terminal)
        terminal.result(f"{result.serving} serves", result.as_json())
        if name is None and (note := await _beside_the_file(deployment, on)):
            terminal.say(as_rehearsed(note))

    if name is None:
        with_file(terminal, file, on, back)
    else:
        with_endpoint(terminal, name, file, on, back)


async def _beside_the_file(deployment: Deployment, on: str) -> str:
    """Return what to know of the file, which stays as it is; '' where it asks for nothing but what serves."""
    from homeport.errors import HomeportError
    from homeport.targets import registry

    flag = registry.flag(on)
    try:
        differs = (await deployment.plan()).pending
    except HomeportError as error:
        return f"the file is as it was; whether `homeport up{flag}` would change this again is not known: {error}"
    if not differs:
        return ""
    return f"the file is as it was, and asks for something else: `homeport plan{flag}` shows what `homeport up{flag}` would change"
