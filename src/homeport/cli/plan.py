"""homeport plan"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import App, file_option, json_option

CHANGES_PENDING = 2


@click.command("plan")
@file_option
@json_option
@click.option("--port", type=click.IntRange(0, 65535), help="Stands in for local.port of the file.")
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 where changes are pending, 0 where none are."
)
@click.pass_obj
def command(app: App, file: Path, json_output: bool, port: int | None, detailed_exitcode: bool) -> int:
    """Show what `up` would do, without doing it."""
    from homeport import lifecycle
    from homeport.cli.show import plan_text

    plan = lifecycle.run(lifecycle.target(file, port=port).plan())
    app.terminal(json_output=json_output).result(plan_text(plan), plan.as_json())
    return CHANGES_PENDING if detailed_exitcode and plan.pending else 0
