"""homeport usage"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import (
    CliContext,
    file_option,
    json_option,
    name_argument,
    on_option,
    project_option,
)

if TYPE_CHECKING:
    from homeport.terminal import Terminal
    from homeport.usage.report import By, UsageReport


@click.command("usage")
@name_argument
@file_option
@on_option
@project_option
@click.option(
    "--by",
    type=click.Choice(["day", "caller", "model"]),
    default="day",
    show_default=True,
    help="What each line is about.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="So many, up to now."
)
@click.option("--csv", "csv_output", is_flag=True, help="Print it as CSV.")
@json_option
@click.pass_obj
def command(
    app: CliContext,
    name: str | None,
    file: Path,
    on: str,
    project: str,
    by: str,
    days: int,
    csv_output: bool,
    json_output: bool,
) -> int:
    """
    Tell what endpoints were used for: requests, tokens, starts, hours, money. Days are UTC's.

    Engines of this machine count that themselves, homeport's own checks included. It is kept for `local.usage_days`, also
    after `down`; no prompt ever is, nor who asked. On Cloud Run it is what Cloud Monitoring has of the services that are there,
    by caller where [observe] has callers = true.
    Exits with 27 where not all of those could be read.
    """
    import os
    from typing import cast

    from homeport import deployment, naming, sync
    from homeport.errors import Incomplete
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions
    from homeport.usage.report import as_csv

    if csv_output and json_output:
        raise click.UsageError("--csv and --json are two ways to print one thing.")
    if name is not None:
        naming.ensure_possible(name)
    terminal, by_ = app.terminal(json_output=json_output), cast("By", by)
    options = OpenOptions(env=os.environ, home=find_home(), project=project)
    usage = sync.run(deployment.usage(by=by_, days=days, on=on, name=name, file=file, options=options))
    if csv_output:
        terminal.result(as_csv(usage.rows, by_))
    elif usage.rows or json_output:
        _print(terminal, usage, by_)
    elif not usage.unread:
        terminal.say(f"nothing was counted in the last {days} days")
    for note in usage.notes:
        terminal.say(note)
    for what in usage.unread:
        terminal.say(f"not known, could not be read: {what}", style="yellow")
    return Incomplete.exit_code if usage.unread else 0


def _print(terminal: Terminal, usage: UsageReport, by: By) -> None:
    from homeport.usage.report import HEADER

    regions = any(row.region for row in usage.rows)
    terminal.table(
        (by.upper(), "ENDPOINT", *(("REGION",) if regions else ()), *HEADER),
        [(row.key, row.endpoint, *((row.region,) if regions else ()), *row.cells()) for row in usage.rows],
        data=[row.as_json() for row in usage.rows],
    )
