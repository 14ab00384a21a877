"""homeport list"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import (
    CliContext,
    as_rehearsed,
    file_option,
    json_option,
    on_option,
    project_option,
)


@click.command("list")
@file_option
@on_option
@project_option
@json_option
@click.pass_obj
def command(app: CliContext, file: Path, on: str, project: str, json_output: bool) -> int:
    """
    List the endpoints on this machine, or all that carry homeport's mark in a project on Cloud Run.

    On Cloud Run no file is needed. What was not looked for there is told, kind by kind; --json has it in `not_looked_for`. Exits with 27
    where not all of the project could be read.
    """
    import os

    from homeport import deployment, listing, sync
    from homeport.errors import Incomplete
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions
    from homeport.words import counted

    terminal = app.terminal(json_output=json_output)
    options = OpenOptions(env=os.environ, home=find_home(), project=project)
    inventory = sync.run(deployment.listing(on=on, file=file, options=options))
    rows = listing.table(inventory.endpoints)
    if rows or json_output:
        terminal.table(listing.HEADER, rows, data=inventory.as_json())
    elif not inventory.unread:
        terminal.say(as_rehearsed("no endpoint was found; `homeport up` makes one"))
    for endpoint in inventory.endpoints:
        if also := [*(part.text for part in endpoint.parts), *endpoint.other]:
            terminal.say(f"of {endpoint.name} there is also: {', '.join(also)}")
    for text, refused in inventory.gaps():
        if rows or refused:
            terminal.say(as_rehearsed(text), style="yellow" if refused else "dim")
    if not rows and (left := len({one.kind for one in inventory.not_looked_for if not one.refused})):
        terminal.say(
            f"{counted(left, 'kind')} of things were not looked for, or not everywhere: --json names each",
            style="dim",
        )
    return Incomplete.exit_code if inventory.unread else 0
