"""homeport console"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, places_option, project_option
from homeport.targets import registry

if TYPE_CHECKING:
    from homeport.secret import Secret
    from homeport.terminal import Terminal

PORT = 8387


@click.command("console")
@file_option
@places_option
@project_option
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 for any.")
@json_option
@click.pass_obj
def command(
    app: CliContext, file: Path, places: tuple[str, ...], project: str, port: int, json_output: bool
) -> None:
    """
    Show endpoints in a web page on this machine: live charts, logs, a playground. Ctrl-C ends it.

    The link that it prints holds a key, made at its start: whoever has that link may use the endpoints as you.
    """
    import os

    from homeport import addresses, door, sync
    from homeport.console.served import until_cancelled
    from homeport.console.views import Views
    from homeport.home import find_home
    from homeport.targets.base import OpenOptions

    terminal, key = app.terminal(json_output=json_output), door.new_key()
    views = Views(
        file=file.absolute(),
        places=places or (registry.DEFAULT,),
        options=OpenOptions(env=os.environ, home=find_home(), project=project),
    )
    listening = addresses.listen(port, lambda free: f"homeport console --port {free}, or --port 0 for any")
    with suppress(KeyboardInterrupt), listening:
        sync.run(until_cancelled(views, listening, key, lambda url: _greet(terminal, url, key)))


def _greet(terminal: Terminal, url: str, key: Secret) -> None:
    # After #, so that no server and no log ever hears it.
    link = f"{url}/#key={key.reveal()}"
    terminal.say("the console is open; Ctrl-C ends it. The link holds its key:")
    terminal.secret_result(link, {"url": link})
