"""homeport observe"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option

if TYPE_CHECKING:
    from homeport.observe.check import ObserveFinding
    from homeport.terminal import Terminal

_PROMETHEUS = "http://127.0.0.1:9090"
_MARKS = {"ok": "✓", "failed": "✗", "unknown": "?"}


@click.group("observe")
def command() -> None:
    """Look whether an endpoint is seen: one of this machine by your Prometheus, one on Cloud Run by Cloud Monitoring."""


@command.command("check")
@name_argument
@file_option
@on_option
@click.option(
    "--prometheus",
    metavar="URL",
    help=f"Where the Prometheus answers that sees an endpoint of this machine.  [default: {_PROMETHEUS}]",
)
@json_option
@click.pass_obj
def check(
    app: CliContext, name: str | None, file: Path, on: str, prometheus: str | None, json_output: bool
) -> int:
    """Ask: do samples arrive, does each panel have data, could each alert fire. No instance is woken."""
    from homeport.cli.session import with_endpoint
    from homeport.errors import Unsupported, VerificationFailed
    from homeport.observe.check import ObserveVerdict
    from homeport.targets import registry
    from homeport.targets.base import Capability

    terminal = app.terminal(json_output=json_output)
    if Capability.OBSERVED not in registry.module(on).CAPABILITIES:
        findings = _by_prometheus(terminal, name, file, prometheus or _PROMETHEUS)
    elif prometheus is not None:
        raise Unsupported(
            f"--prometheus is for an endpoint of this machine; {registry.TITLES[on]} is asked what it has measured itself",
            hint="leave --prometheus out, or --on",
        )
    else:
        findings = with_endpoint(terminal, name, file, on, lambda deployment: deployment.observed())
    lines = [f"{_MARKS[each.verdict]} {each.what}: {each.text}" + (f"\n    do: {each.hint}" if each.hint else "") for each in findings]  # fmt: skip
    terminal.result("\n".join(lines), [asdict(each) for each in findings])
    failed = any(each.verdict is ObserveVerdict.FAILED for each in findings)
    return VerificationFailed.exit_code if failed else 0


def _by_prometheus(
    terminal: Terminal, name: str | None, file: Path, address: str
) -> tuple[ObserveFinding, ...]:
    """Return what a Prometheus at `address` has of an endpoint of this machine."""
    from homeport import sync
    from homeport.cli.session import this_machines
    from homeport.observe import check as checks
    from homeport.observe.files import scraped
    from homeport.observe.query import at_address

    scrape = scraped(this_machines(terminal, name, file), file)

    async def look() -> tuple[ObserveFinding, ...]:
        async with at_address(address) as api:
            return await checks.check(scrape.watched, api)

    return sync.run(look())
