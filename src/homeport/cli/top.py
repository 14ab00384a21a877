"""homeport top"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import (
    CliContext,
    FiniteRange,
    file_option,
    is_given,
    json_option,
    name_argument,
    places_option,
    project_option,
)
from homeport.targets import registry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeport.live_places import LivePlace
    from homeport.metrics.live import Looks
    from homeport.targets.base import OpenOptions
    from homeport.terminal import Terminal

_CLOUD_S = 15.0
"""What Google tells is asked for this often at most."""


@click.command("top")
@name_argument
@file_option
@places_option
@project_option
@click.option(
    "--every", type=FiniteRange(0.5, 3600), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Look twice, a second apart, print that, and end.")
@json_option
@click.pass_obj
def command(
    app: CliContext,
    name: str | None,
    file: Path,
    places: tuple[str, ...],
    project: str,
    every: float,
    once: bool,
    json_output: bool,
) -> int:
    """
    Show live what endpoints do: requests, tokens a second, TTFT, memory. Ctrl-C ends it.

    It asks for no token and wakes nothing. Where the output is no terminal, or with --json, it prints once and ends.
    What an engine does not tell is `not known`, and not 0. A place that cannot be read says why beside the others, and
    what is printed once then exits with 27.
    """
    from homeport.home import find_home
    from homeport.metrics.live import Looks
    from homeport.targets.base import OpenOptions

    if is_given("every") and (once or json_output):
        raise click.UsageError(
            "--every is for looks that go on, and --once and --json look twice and end: not both."
        )
    terminal = app.terminal(json_output=json_output)
    options = OpenOptions(env=os.environ, home=find_home(), project=project)
    looks, where = Looks(), places or (registry.DEFAULT,)
    if once or json_output or not sys.stdout.isatty():
        return _tell(terminal, asyncio.run(_twice(where, file, options, looks)), name)
    with suppress(KeyboardInterrupt):
        asyncio.run(_live(where, file, options, every, name))
    return 0


def _tell(terminal: Terminal, looked_at: Sequence[LivePlace], name: str | None) -> int:
    """Print what was seen, of the endpoint `name` alone where there is one; return the exit code."""
    from homeport.cli.top_text import header, rows, unknown
    from homeport.errors import Incomplete, NotRunning

    looked_at = [place.only(name) for place in looked_at]
    endpoints = [endpoint for place in looked_at for endpoint in place.endpoints]
    refused = [place.error for place in looked_at if place.error is not None]
    if len(refused) == len(looked_at):
        raise refused[0]
    if name is not None and not endpoints and not any(place.lines() for place in looked_at):
        raise NotRunning(f"no endpoint called {name} runs", hint="`homeport top` shows those that do")
    terminal.table(
        header(),
        rows(endpoints),
        data=[endpoint.as_json() for endpoint in endpoints],
        empty="" if refused else "no endpoint runs; `homeport up` starts one",
    )
    for line in unknown(endpoints):
        terminal.say(line)
    unread = [line for place in looked_at for line in place.lines()]
    for line in unread:
        terminal.say(line, style="yellow")
    return Incomplete.exit_code if unread else 0


async def _twice(where: tuple[str, ...], file: Path, options: OpenOptions, looks: Looks) -> list[LivePlace]:
    """Return the second of two looks, which knows what happened since the first; the first where no figures are told."""
    from homeport.live_places import look_at

    first = await look_at(where, file, options)
    for place in first:
        looks.looked(place.endpoints)
    with_figures = [place.on for place in first if any(endpoint.snapshot for endpoint in place.endpoints)]
    if not with_figures:
        return first
    await asyncio.sleep(1.0)
    again = {place.on: place for place in await look_at(with_figures, file, options)}
    return [
        replace(now, endpoints=tuple(looks.looked(now.endpoints)))
        for now in (again.get(place.on, place) for place in first)
    ]


async def _live(
    places: tuple[str, ...], file: Path, options: OpenOptions, every: float, name: str | None
) -> None:
    """Draw until Ctrl-C. Each place is looked at in its own time, so that a slow one, or one that is shut, holds up no other."""
    from rich.console import Console
    from rich.live import Live

    from homeport.cli.top_text import TopScreen
    from homeport.live_places import look
    from homeport.metrics.live import Looks

    screen = TopScreen(every)

    async def follow(on: str) -> None:
        looks, pause = Looks(), max(every, _CLOUD_S) if on in registry.CLOUDS else every
        while True:
            place = (await look(on, file, options)).only(name)
            endpoints = tuple(looks.looked(place.endpoints))
            screen.show(replace(place, endpoints=endpoints), at=time.time())
            await asyncio.sleep(pause)

    console = Console()
    with Live(screen, console=console, screen=True, refresh_per_second=2):
        await asyncio.gather(*(follow(on) for on in places))
