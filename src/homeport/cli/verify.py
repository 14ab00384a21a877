"""homeport verify"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import App, file_option, json_option, name_argument, on_option


@click.command("verify")
@name_argument
@file_option
@on_option
@json_option
@click.option(
    "--junit", type=click.Path(dir_okay=False, path_type=Path), help="Write a JUnit report to this file, too."
)
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; may be given several times.")
@click.pass_obj
def command(app: App, name: str | None, file: Path, on: str, json_output: bool,
            junit: Path | None, only: tuple[str, ...]) -> int:  # fmt: skip
    """Check that an endpoint is what it promises. Exits with 3 where a check failed."""
    from homeport import lifecycle
    from homeport.cli.context import meant
    from homeport.cli.show import report_summary, result_line
    from homeport.errors import VerificationFailed
    from homeport.home import writing

    terminal = app.terminal(json_output=json_output)
    if on == "cloudrun":
        from homeport.cli.cloud import verified

        if only:
            raise click.UsageError("On Cloud Run all checks are made: no --only.")
        report = verified(terminal, file)
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
