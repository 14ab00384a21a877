"""homeport verify"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option


@click.command("verify")
@name_argument
@file_option
@on_option
@json_option
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit report to this file, too."
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; may be given several times.")
@click.option("--cold", is_flag=True, help="Measure a start from zero, too: for --on cloudrun.")
@click.option(
    "--idle",
    type=click.FloatRange(min=0),
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
    from homeport import lifecycle
    from homeport.cli.context import check_name, meant
    from homeport.cli.show import report_summary, result_line
    from homeport.errors import VerificationFailed
    from homeport.home import writing

    terminal = app.terminal(json_output=json_output)
    only, junit = how["only"], how["junit"]
    if (how["cold"] or how["idle"] is not None) and on != "cloudrun":
        raise click.UsageError("--cold and --idle are for --on cloudrun: nothing scales to zero here.")
    if on == "cloudrun":
        check_name(name, file)
        from homeport.cli.cloud import verified

        report = verified(terminal, file, only=only, cold=how["cold"], idle=how["idle"])
    else:
        wanted = lifecycle.remembered_target(meant(name, file))
        report = lifecycle.run(
            lifecycle.check(wanted, only=only, on_result=lambda result: terminal.say(result_line(result)))
        )
    if junit is not None:
        with writing(junit):
            junit.write_text(report.as_junit(), encoding="utf-8")
    terminal.result(report_summary(report), report.as_json())
    return 0 if report.passed else VerificationFailed.exit_code
