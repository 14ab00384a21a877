"""homeport up"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import (
    CliContext,
    as_rehearsed,
    file_option,
    hub_token_option,
    json_option,
    on_option,
    yes_option,
)

if TYPE_CHECKING:
    from homeport.deployment import Deployment
    from homeport.reconcile import Plan
    from homeport.results import UpResult
    from homeport.targets.base import UpOptions
    from homeport.terminal import Terminal
    from homeport.verify import Result


@click.command("up")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@file_option
@on_option
@json_option
@yes_option
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Stands in for local.port of the file; 0 takes any."
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Also where another file's endpoint has the name: it is this file's then.",
)
@click.option("--no-verify", is_flag=True, help="Stop once a token came out, without the checks.")
@click.option(
    "--canary", default="", metavar="10,50", help="On Cloud Run: percents of traffic on the way to all of it."
)
@hub_token_option
@click.pass_obj
def command(
    app: CliContext, /, files: tuple[Path, ...], file: Path, on: str, json_output: bool, yes: bool, port: int | None,
    **more: Any,
) -> int:  # Any: what click has read  # fmt: skip
    """
    Serve the model: plan, confirm, fetch, start, verify, print the endpoint.

    Several FILEs are several endpoints on this machine: their memory is counted together before anything starts, and
    with --json a list is printed.
    """
    from homeport.cli import hub_token, up_several
    from homeport.cli.session import with_file
    from homeport.errors import PortTaken
    from homeport.targets.base import UpOptions

    _ensure_one_way(files, on, port)
    terminal = app.terminal(json_output=json_output)
    options = UpOptions(verify=not more["no_verify"], canary=percents(more["canary"]))
    token = hub_token.from_stdin(on, wanted=more["hub_token_stdin"])

    def bring_up(port: int | None, *, yes: bool, file: Path = files[0] if files else file) -> UpResult:
        work = partial(run_with_approval, terminal=terminal, options=options, yes=yes)
        return with_file(terminal, file, on, work, port=port, hub_token=token, take_over=more["take_over"])

    if len(files) > 1:
        return up_several.bring_up(terminal, files, lambda path: bring_up(None, yes=yes, file=path))
    try:
        result = bring_up(port, yes=yes)
    except PortTaken as error:
        if yes or not error.port or not terminal.interactive:
            raise
        terminal.say(str(error))
        if not terminal.confirm(f"take port {error.port} instead?"):
            raise
        result = bring_up(error.port, yes=True)
    return tell(terminal, result)


def _ensure_one_way(files: tuple[Path, ...], on: str, port: int | None) -> None:
    """Raise `click.UsageError` where files are named in two ways, or what is for one file is said of several."""
    from homeport.deployment import require
    from homeport.targets.base import Capability

    source = click.get_current_context().get_parameter_source("file")
    if files and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("name the file once: as FILE or with --file")
    require(on, {Capability.TOGETHER: len(files) > 1})
    if len(files) > 1 and port is not None:
        raise click.UsageError("--port is for one file; each of several has its own local.port")


async def run_with_approval(
    one: Deployment, *, terminal: Terminal, options: UpOptions, yes: bool, model: str | None = None
) -> UpResult:
    """Return what `up`, or with a `model` `swap`, comes to: the plan shown and asked about, each check told."""
    from homeport.cli.approval import asking
    from homeport.cli.show import plan_text
    from homeport.cli.show_duration import expected_of

    verb = partial(one.swap, model) if model is not None else one.up
    agreed = asking(terminal, yes=yes, text=plan_text)

    def tell_result(result: Result) -> None:
        from homeport.cli.show_report import (
            result_line,
        )  # Late: a plan is shown before, by what knows no checks.

        terminal.say(result_line(result))

    def approve(plan: Plan) -> bool:
        if not agreed(plan):
            return False
        terminal.expect(expected_of(plan))
        return True

    try:
        return await verb(
            options,
            approve=approve,
            progress=terminal,
            on_result=tell_result,
        )
    finally:
        terminal.expect("")


def tell(terminal: Terminal, result: UpResult) -> int:
    """Print the result; returns the exit code."""
    from homeport.cli.show import timeline, up_text
    from homeport.errors import VerificationFailed

    if result.timeline:
        terminal.say(f"  started: {timeline(dict(result.timeline))}")
    elif not result.changed and result.report is None:
        terminal.say("nothing to do: it is as the file says")
    if result.report is not None:
        from homeport.cli.show_report import report_summary

        terminal.say(f"  {report_summary(result.report)}")
    terminal.result(up_text(result), result.as_json())
    if result.report is not None and not result.report.passed:
        return VerificationFailed.exit_code
    terminal.say(as_rehearsed(result.next_steps))
    return 0


def percents(text: str) -> tuple[int, ...]:
    """Parse `10,50` into numbers. Raises `click.BadParameter` for anything else than rising percents."""
    try:
        parsed = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        parsed = (0,)
    if list(parsed) != sorted(set(parsed)) or any(not 0 < percent <= 100 for percent in parsed):
        raise click.BadParameter(f"{text!r} is not like 10,50,100", param_hint="--canary")
    return parsed
