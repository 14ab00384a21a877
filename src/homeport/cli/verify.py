"""homeport verify"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import CliContext, FiniteRange, file_option, json_option, name_argument, on_option


@click.command("verify")
@name_argument
@file_option
@on_option
@json_option
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit report to this file, too."
)
@click.option(
    "--only",
    multiple=True,
    metavar="[REGION/]CHECK",
    help="Only this check, in one region or in all; may be given several times.",
)
@click.option("--cold", is_flag=True, help="Measure a start from zero, too: for --on cloudrun.")
@click.option(
    "--idle",
    type=FiniteRange(min=0),
    metavar="SECONDS",
    help="How long it is left alone before; by default until Cloud Run keeps no instance.",
)
@click.pass_obj
def command(
    app: CliContext,
    /,
    name: str | None,
    file: Path,
    on: str,
    json_output: bool,
    **how: Any,  # Any: what click has read
) -> int:
    """Check that an endpoint is what it promises. Exits with 3 where a check failed."""
    from homeport.cli.session import with_endpoint
    from homeport.cli.show_report import report_summary, result_line
    from homeport.deployment import ensure_checks
    from homeport.errors import VerificationFailed
    from homeport.home import ensure_file_writable, write_whole
    from homeport.targets.base import VerifyOptions

    terminal = app.terminal(json_output=json_output)
    junit = how["junit"]
    if junit is not None:
        ensure_file_writable(junit)
    options = VerifyOptions(only=how["only"], cold=how["cold"], idle_s=how["idle"])
    ensure_checks(options.only, on)
    report = with_endpoint(
        terminal,
        name,
        file,
        on,
        lambda deployment: deployment.verify(
            options, progress=terminal, on_result=lambda result: terminal.say(result_line(result))
        ),
    )
    if junit is not None:
        write_whole(junit, report.as_junit())
    terminal.result(report_summary(report), report.as_json())
    return 0 if report.passed else VerificationFailed.exit_code
