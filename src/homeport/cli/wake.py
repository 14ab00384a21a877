"""homeport wake"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option, with_options

if TYPE_CHECKING:
    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint
    from homeport.endpoint.wake import Wakefulness

_UNITS = {"h": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:h|min|m|s))+")
_LONGEST_S = 7 * 86_400.0


def _seconds(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return a duration as people write it: 2h, 90m, 1h30m, 45s."""
    if value is None:
        return None
    if not _DURATION.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no duration; say 2h, 90m or 1h30m")
    seconds = sum(
        float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)(h|min|m|s)", value)
    )
    if not 0 < seconds <= _LONGEST_S:
        raise click.BadParameter(f"{value!r} should be more than nothing, and a week at most")
    return float(seconds)


_service = with_options(
    click.option("--url", help="Any private Cloud Run service, instead of the file's: needs the right to call it, and no other."),
    click.option("--model", default="", help="The model that the service at --url has; by default the first that it lists."),
    click.option("--for", "within_s", callback=_seconds, metavar="DURATION", help="Ask once a minute for so long, such as 2h, or until Ctrl-C."),
)  # fmt: skip


@click.command("wake")
@name_argument
@_service
@file_option
@on_option
@json_option
@click.pass_obj
def command(
    app: CliContext, /, name: str | None, file: Path, on: str, json_output: bool, **service: Any
) -> None:  # Any: what click has read
    """
    Ask the endpoint for one token now, and wait for it: whoever comes next waits for no start.

    With --for it is kept awake: on Cloud Run an idle instance may be ended at any time, and costs until it is.
    """
    from homeport import sync
    from homeport.cli.session import sleeps

    terminal = app.terminal(json_output=json_output)
    within_s, url = service["within_s"], service["url"]
    if url is None and service["model"]:
        raise click.UsageError("--model is for --url.")
    if url is not None and name is not None:
        raise click.UsageError(
            "NAME is of an endpoint that is known here, --url of any other: give one of them."
        )
    if within_s is not None and url is None and not sleeps(on):
        raise click.UsageError(
            "--for is for what scales to zero; an endpoint on this machine stays until `homeport down`."
        )
    try:
        vigil = _by_url(url, service["model"]) if url else _look_up(terminal, name, file, on)
        vigil.progress = terminal
        result = sync.run(vigil.wake())
        if within_s is not None:
            with suppress(KeyboardInterrupt):
                sync.run(_hold_awake(terminal, vigil, within_s))
            terminal.say(vigil.text())
            result = vigil.result or result
    finally:
        terminal.close()
    terminal.result(
        f"{result.endpoint} is awake: its token came after {result.first_token_s:.1f} s", result.as_json()
    )


async def _hold_awake(terminal: Any, vigil: Wakefulness, within_s: float) -> None:  # Any: the terminal
    # Told within the loop: a Ctrl-C while a loop is being made leaves one that complains when it is collected.
    terminal.say(f"asking once a minute for {within_s / 60:g} min; Ctrl-C ends it")
    await vigil.keep(within_s)


def _look_up(terminal: Any, name: str | None, file: Path, on: str) -> Wakefulness:  # Any: the terminal
    from homeport.cli.session import sleeps, with_endpoint
    from homeport.endpoint.wake import Wakefulness

    async def connect(deployment: Deployment) -> tuple[Endpoint, str]:
        return await deployment.connect(), await deployment.expected_cold_start() if sleeps(on) else ""

    endpoint, usually = with_endpoint(terminal, name, file, on, connect)
    return Wakefulness(endpoint=endpoint, usually=usually, usd_per_hour=endpoint.usd_per_hour)


def _by_url(url: str, model: str) -> Wakefulness:
    from homeport import sync
    from homeport.cli.service_url import service_at
    from homeport.endpoint.wake import Wakefulness

    return Wakefulness(endpoint=sync.run(service_at(url, "", (model,) if model else ())))
