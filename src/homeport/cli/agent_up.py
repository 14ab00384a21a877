"""homeport agent up"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import file_option, on_option, yes_option


@click.command("up")
@file_option
@on_option
@yes_option
@click.pass_context
def command(context: click.Context, /, file: Path, on: str, yes: bool) -> int:
    """
    Bring up the file's agent beside its model, with all that both need, and ask it something that wants a tool.

    What `homeport up` and `homeport verify --only agent` do, for a file with [agent].
    """
    from homeport import spec
    from homeport.cli import up, verify
    from homeport.deployment import require
    from homeport.errors import SpecError
    from homeport.targets.base import Capability

    require(on, {Capability.AGENT: True})
    if spec.load(file).agent is None:
        raise SpecError(
            f"{file} describes no agent",
            hint='add the table [agent], with tools = ["time", "calculator"] or others: docs/agents.md',
        )
    code: int = context.invoke(up.command, file=file, on=on, yes=yes)
    if code:
        return code
    verified: int = context.invoke(verify.command, file=file, on=on, only=("agent",))
    return verified
