"""homeport plan"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import CliContext, file_option, hub_token_option, json_option, on_option

CHANGES_PENDING = 2


@click.command("plan")
@file_option
@on_option
@json_option
@click.option("--model", metavar="MODEL", help="Show what `swap MODEL` would do instead.")
@click.option("--port", type=click.IntRange(0, 65535), help="Stands in for local.port of the file.")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 where changes are pending, 0 where none are."
)
@click.option(
    "--explain",
    is_flag=True,
    help="Also how long each step takes, who says so, and which of them `up` waits for.",
)
@hub_token_option
@click.pass_obj
def command(
    app: CliContext, /, file: Path, on: str, json_output: bool, port: int | None, **more: Any
) -> int:  # Any: what click has read
    """Show what `up` would do, or with --model what `swap` would, without doing it."""
    from homeport.cli import hub_token
    from homeport.cli.session import with_file
    from homeport.cli.show import plan_text
    from homeport.cli.show_duration import explained

    terminal = app.terminal(json_output=json_output)
    token = hub_token.from_stdin(on, wanted=more["hub_token_stdin"])
    plan = with_file(
        terminal,
        file,
        on,
        lambda deployment: deployment.plan(model=more["model"], progress=terminal),
        port=port,
        hub_token=token,
    )
    text = plan_text(plan)
    terminal.result(f"{text}\n\n{explained(plan)}" if more["explain"] else text, plan.as_json())
    return CHANGES_PENDING if more["detailed_exitcode"] and plan.pending else 0
