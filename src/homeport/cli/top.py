"""homeport top"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, places_option, project_option
from homeport.targets import registry

if TYPE_CHECKING:
    from homeport.metrics.live import LiveEndpoint, Looks
    from homeport.targets.base import OpenOptions

_CLOUD_S = 15.0
"""What Google tells is asked for this often at most."""


@click.command("top")
@file_option
@places_option
@project_option
@click.option(
    "--every", type=click.FloatRange(0.5, 3600), default=2.0, show_default=True, help="Seconds between looks."
)
@click.option("--once", is_flag=True, help="Look twice, a second apart, print that, and end.")
@json_option
@click.pass_obj
def command(
    app: CliContext,
    file: Path,
    places: tuple[str, ...],
    project: str,
    every: float,
    once: bool,
    json_output: bool,
) -> None:
    """
    Show live what endpoints do: requests, tokens a second, TTFT, memory. Ctrl-C ends it.

    It asks for no token and wakes nothing. Where the output is no terminal, or with --json, it prints once and ends.
    What an engine does not tell is `not known`, and not 0.
    """
    from homeport.cli.top_text import header, rows, unknown
    from homeport.home import find_home
    from homeport.metrics.live import Looks
    from homeport.targets.base import OpenOptions

    terminal = app.terminal(json_output=json_output)
    options = OpenOptions(env=os.environ, home=find_home(), project=project)
    looks, where = Looks(), places or (registry.DEFAULT,)
    if once or json_output or not sys.stdout.isatty():
        found = asyncio.run(_twice(where, file, options, looks))
        terminal.table(header(), rows(found), data=[one.as_json() for one in found])
        for line in unknown(found):
            terminal.say(line)
        return
    with suppress(KeyboardInterrupt):
        asyncio.run(_live(where, file, options, every))


async def _look(
    places: tuple[str, ...], file: Path, options: OpenOptions, looks: Looks
) -> list[LiveEndpoint]:
    found = await asyncio.gather(*(registry.live(on).endpoints(file, options) for on in places))
    return looks.looked([one for some in found for one in some])


async def _twice(
    places: tuple[str, ...], file: Path, options: OpenOptions, looks: Looks
) -> list[LiveEndpoint]:
    """Return the second of two looks, which knows what happened since the first."""
    first = await _look(places, file, options, looks)
    if not any(one.snapshot for one in first):
        return first
    await asyncio.sleep(1.0)
    return await _look(places, file, options, looks)


async def _live(places: tuple[str, ...], file: Path, options: OpenOptions, every: float) -> None:
    """Draw until Ctrl-C. Each place is looked at in its own time, so that a slow one holds up no other."""
    from rich.console import Console
    from rich.live import Live

    from homeport.cli.top_text import TopScreen
    from homeport.metrics.live import Looks

    screen = TopScreen(every)

    async def follow(on: str) -> None:
        looks, pause = Looks(), every if on == registry.DEFAULT else max(every, _CLOUD_S)
        while True:
            screen.show(on, await _look((on,), file, options, looks), at=time.time())
            await asyncio.sleep(pause)

    console = Console()
    with Live(screen, console=console, screen=True, refresh_per_second=2):
        await asyncio.gather(*(follow(on) for on in places))
