"""homeport usage"""

from __future__ import annotations

import click

from homeport.cli.context import CliContext, json_option, name_argument


@click.command("usage")
@name_argument
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
    app: CliContext, name: str | None, by: str, days: int, csv_output: bool, json_output: bool
) -> None:
    """
    Tell what the endpoints of this machine were used for: requests, tokens, starts, hours. Days are UTC's.

    Engines count that themselves, homeport's own checks included. It is kept for `local.usage_days`, also after `down`;
    no prompt ever is, nor who asked.
    """
    import time
    from typing import cast

    from homeport import naming
    from homeport.home import find_home
    from homeport.usage.ledger import Ledger
    from homeport.usage.report import HEADER, By, as_csv, grouped

    if csv_output and json_output:
        raise click.UsageError("--csv and --json are two ways to print one thing.")
    if name is not None:
        naming.ensure_possible(name)
    terminal, by_ = app.terminal(json_output=json_output), cast("By", by)
    since = time.time() - days * 86_400
    found = grouped(Ledger(find_home().root).rows(since=since, endpoint=name), by_)
    if csv_output:
        terminal.result(as_csv(found, by_))
        return
    if not found and not json_output:
        terminal.say(f"nothing was counted in the last {days} days")
        return
    header = (by.upper(), "ENDPOINT", *HEADER)
    terminal.table(
        header,
        [(row.key, row.endpoint, *row.cells()) for row in found],
        data=[row.as_json() for row in found],
    )
