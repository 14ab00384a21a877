"""homeport up"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import (
    NO_PORT,
    CliContext,
    file_option,
    hub_token_option,
    json_option,
    on_option,
    yes_option,
)

if TYPE_CHECKING:
    from homeport.lifecycle import Up
    from homeport.targets.local.target import LocalTarget
    from homeport.terminal import Terminal


@click.command("up")
@file_option
@on_option
@json_option
@yes_option
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Stands in for local.port of the file; 0 takes any."
)
@click.option("--no-verify", is_flag=True, help="Stop once a token came out, without the checks.")
@click.option(
    "--canary", default="", metavar="10,50", help="On Cloud Run: percents of traffic on the way to all of it."
)
@click.option(
    "--take-over",
    is_flag=True,
    help="Also where another file's endpoint has the name: it is this file's then.",
)
@hub_token_option
@click.pass_obj
def command(
    app: CliContext, /, file: Path, on: str, json_output: bool, yes: bool, port: int | None, **more: Any
) -> int:  # Any: what click has read
    """Serve the model: plan, confirm, fetch, start, verify, print the endpoint."""
    from homeport import lifecycle
    from homeport.errors import PortTaken

    no_verify = more["no_verify"]
    terminal = app.terminal(json_output=json_output)
    if on == "cloudrun":
        from homeport.cli import cloud

        if no_verify:
            raise click.UsageError("On Cloud Run nothing has traffic that was not verified: no --no-verify.")
        if port is not None:
            raise click.UsageError(NO_PORT)
        if more["take_over"]:
            raise click.UsageError(
                "--take-over is for this machine: on Cloud Run the file's name is the endpoint."
            )
        token = cloud.hub_token(wanted=more["hub_token_stdin"])
        cloud.up(terminal, file, yes=yes, canary=percents(more["canary"]), token=token)
        return 0
    if more["canary"] or more["hub_token_stdin"]:
        raise click.UsageError("--canary and --hub-token-stdin are for --on cloudrun.")

    def wanted(port: int | None) -> LocalTarget:
        return lifecycle.target(file, port=port, take_over=more["take_over"])

    try:
        return bring_up(terminal, wanted(port), yes=yes, verify=not no_verify)
    except PortTaken as error:
        terminal.close()
        if yes or not error.port or not terminal.interactive:
            raise
        terminal.say(str(error))
        if not terminal.confirm(f"take port {error.port} instead?"):
            raise
        return bring_up(terminal, wanted(error.port), yes=True, verify=not no_verify)


def percents(text: str) -> tuple[int, ...]:
    """`10,50` as numbers. Raises `click.BadParameter` for anything else than rising percents."""
    try:
        found = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        found = (0,)
    if list(found) != sorted(set(found)) or any(not 0 < one <= 100 for one in found):
        raise click.BadParameter(f"{text!r} is not like 10,50,100", param_hint="--canary")
    return found


def bring_up(terminal: Terminal, target: LocalTarget, *, yes: bool, verify: bool) -> int:
    """Show the plan, ask, do it, verify, and tell; returns the exit code."""
    from homeport import lifecycle
    from homeport.cli.approval import asking
    from homeport.cli.show import plan_text, result_line

    try:
        up = lifecycle.run(
            lifecycle.bring_up(
                target,
                approve=asking(terminal, yes=yes, text=plan_text),
                progress=terminal,
                on_result=lambda result: terminal.say(result_line(result)),
                verify=verify,
            )
        )
    finally:
        terminal.close()
    return _tell(terminal, up)


def _tell(terminal: Terminal, up: Up) -> int:
    from homeport.cli.show import report_summary, timeline, up_text
    from homeport.errors import VerificationFailed

    if up.changed:
        terminal.say(f"  started: {timeline(dict(up.record.timeline))}")
    elif up.report is None:
        terminal.say("nothing to do: it is as the file says")
    if up.report is not None:
        terminal.say(f"  {report_summary(up.report)}")
    data = {
        "endpoint": {"name": up.endpoint.name, "base_url": up.endpoint.base_url, "model": up.endpoint.model},
        "changed": list(up.changed),
        "timeline_s": dict(up.record.timeline),
        "report": up.report.as_json() if up.report else None,
    }
    terminal.result(up_text(up), data)
    if up.report is not None and not up.report.passed:
        return VerificationFailed.exit_code
    terminal.say('next: homeport chat "…" · homeport env · homeport status · homeport down')
    return 0
