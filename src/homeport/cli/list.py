"""homeport list"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option, on_option, project_option


@click.command("list")
@file_option
@on_option
@project_option
@json_option
@click.pass_obj
def command(app: CliContext, file: Path, on: str, project: str, json_output: bool) -> int:
    """
    List the endpoints on this machine, or all that carry homeport's mark in a project on Cloud Run.

    On Cloud Run no file is needed. Exits with 27 where not all of the project could be read.
    """
    from homeport import lifecycle, listing
    from homeport.errors import Incomplete

    terminal = app.terminal(json_output=json_output)
    unread: tuple[str, ...] = ()
    if on == "cloudrun":
        from homeport.cli.cloud import listed

        endpoints, unread = listed(file, project)
    else:
        endpoints = tuple(listing.of_status(status) for status in lifecycle.statuses())
    rows = listing.table(endpoints)
    data = {"endpoints": [one.as_json() for one in endpoints], "unread": list(unread)}
    if rows or json_output:
        terminal.table(listing.HEADER, rows, data=data)
    elif not unread:
        terminal.say("there is no endpoint; `homeport up` makes one")
    for one in endpoints:
        if one.other:
            terminal.say(f"of {one.name} there is also: {', '.join(one.other)}")
    for what in unread:
        terminal.say(f"not known, could not be read: {what}", style="yellow")
    return Incomplete.exit_code if unread else 0
