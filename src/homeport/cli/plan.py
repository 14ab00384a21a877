"""homeport plan"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, hub_token_option, json_option, on_option

CHANGES_PENDING = 2


@click.command("plan")
@file_option
@on_option
@json_option
@click.option("--port", type=click.IntRange(0, 65535), help="Stands in for local.port of the file.")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 where changes are pending, 0 where none are."
)
@hub_token_option
@click.pass_obj
def command(
    app: CliContext,
    file: Path,
    on: str,
    json_output: bool,
    port: int | None,
    detailed_exitcode: bool,
    hub_token_stdin: bool,
) -> int:
    """Show what `up` would do, without doing it."""
    from homeport.cli import hub_token
    from homeport.cli.session import with_file
    from homeport.cli.show import plan_text

    terminal = app.terminal(json_output=json_output)
    token = hub_token.from_stdin(on, wanted=hub_token_stdin)
    plan = with_file(terminal, file, on, lambda one: one.plan(progress=terminal), port=port, hub_token=token)
    terminal.result(plan_text(plan), plan.as_json())
    return CHANGES_PENDING if detailed_exitcode and plan.pending else 0
