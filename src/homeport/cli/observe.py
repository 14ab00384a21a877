"""homeport observe"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument

_MARKS = {"ok": "✓", "failed": "✗", "unknown": "?"}


@click.group("observe")
def command() -> None:
    """Look whether an endpoint of this machine is seen by your Prometheus: see `homeport export prometheus`."""


@command.command("check")
@name_argument
@file_option
@click.option(
    "--prometheus",
    default="http://127.0.0.1:9090",
    show_default=True,
    metavar="URL",
    help="Where the Prometheus answers.",
)
@json_option
@click.pass_obj
def check(app: CliContext, name: str | None, file: Path, prometheus: str, json_output: bool) -> int:
    """Ask it: do samples arrive, does each panel have data, could each alert fire."""
    from homeport import sync
    from homeport.cli.session import this_machines
    from homeport.errors import VerificationFailed
    from homeport.observe import check as checks
    from homeport.observe.files import scraped
    from homeport.observe.query import at_address

    terminal = app.terminal(json_output=json_output)
    one = scraped(this_machines(terminal, name, file), file)

    async def look() -> tuple[checks.ObserveFinding, ...]:
        async with at_address(prometheus) as api:
            return await checks.check(one.watched, api)

    found = sync.run(look())
    lines = [f"{_MARKS[each.verdict]} {each.what}: {each.text}" + (f"\n    do: {each.hint}" if each.hint else "") for each in found]  # fmt: skip
    terminal.result("\n".join(lines), [asdict(each) for each in found])
    failed = any(each.verdict is checks.ObserveVerdict.FAILED for each in found)
    return VerificationFailed.exit_code if failed else 0
