"""homeport status"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option

if TYPE_CHECKING:
    from homeport.results import Status

_BROKEN = {"dead", "failed", "unresponsive", "unsupervised"}


@click.command("status")
@name_argument
@file_option
@on_option
@json_option
@click.pass_obj
def command(app: CliContext, name: str | None, file: Path, on: str, json_output: bool) -> int:
    """
    Show the endpoints on this machine, from any directory; on Cloud Run that of the file.

    Each with since when, and what it was used for: requests, tokens, and on Cloud Run money, as Cloud Monitoring tells them.
    Exits with 20 where one does not answer, else with 21 where a record cannot be read.
    """
    from homeport import deployment, sync
    from homeport.cli.session import with_endpoint
    from homeport.cli.show import status_row, status_text
    from homeport.errors import Incomplete, NotRunning, StateError
    from homeport.targets import registry
    from homeport.targets.base import Capability

    terminal = app.terminal(json_output=json_output)
    listed = Capability.LISTING in registry.module(on).CAPABILITIES
    if not listed:
        its_status = with_endpoint(terminal, name, file, on, lambda deployment: deployment.status())
        terminal.result(status_text(its_status), its_status.as_json())
        return Incomplete.exit_code if its_status.unread else 0
    if name is None:
        statuses = sync.run(deployment.statuses(on=on))
    else:
        statuses = [with_endpoint(terminal, name, file, on, lambda deployment: deployment.status())]
    if not statuses:
        terminal.say("no endpoint runs here; `homeport up` starts one")
    header = ("NAME", "STATE", "URL", "MODEL", "ENGINE", "MEMORY", "SINCE", "CHECKS")
    if statuses or json_output:
        terminal.table(header, [status_row(s) for s in statuses], data=[s.as_json() for s in statuses])
    for line in (line for status in statuses for line in _notes(status)):
        terminal.say(line)
    broken = [status for status in statuses if status.state in _BROKEN]
    for status in broken:
        why = f" ({status.reason})" if status.reason else ""
        terminal.say(
            f"{status.name} is {status.state}{why}: `homeport up` mends it, `homeport logs {status.name}` tells more"
        )
    unreadable = [status for status in statuses if status.state == "unreadable"]
    for status in unreadable:
        terminal.say(
            f"the record of {status.name} is unreadable: `homeport down {status.name}` ends it and forgets it"
        )
    silent = [status for status in broken if status.state != "unsupervised"]
    return NotRunning.exit_code if silent else StateError.exit_code if unreadable else 0


def _notes(status: Status) -> Iterator[str]:
    """Yield what there is to say of one endpoint under the table."""
    from homeport.cli.show import restarts_text, usage_text

    for remark in (restarts_text(status), usage_text(status)):
        if remark:
            yield remark
    if status.rollback_to:
        yield f"{status.name}: `homeport rollback` would serve {status.rollback_to} again"
    if status.rollback_refused:
        yield f"{status.name}: `homeport rollback` would refuse: {status.rollback_refused}"
    if status.rollback_unknown:
        yield f"{status.name}: what `homeport rollback` would serve is not known: {status.rollback_unknown}"
