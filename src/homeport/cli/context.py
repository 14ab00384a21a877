"""What every command shares: options, the terminal, which endpoint is meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from homeport.terminal import Terminal

file_option = click.option(
    "-f",
    "--file",
    "file",
    default="homeport.toml",
    show_default=True,
    type=click.Path(path_type=Path),
    help="The spec.",
)
json_option = click.option("--json", "json_output", is_flag=True, help="Print the result as JSON.")
name_argument = click.argument("name", required=False)


@dataclass(frozen=True, slots=True)
class App:
    """What was said before the command's name."""

    debug: bool
    quiet: bool

    def terminal(self, *, json_output: bool = False) -> Terminal:
        """The one object that prints."""
        from homeport.terminal import Terminal

        return Terminal(json_output=json_output, quiet=self.quiet)


def meant(name: str | None, file: Path) -> str:
    """
    The name of the endpoint that a command is about: the one given; else that of the spec in this folder;
    else the only one that runs here. Raises `NotRunning` where none or several could be meant.
    """
    from homeport import lifecycle
    from homeport.errors import NotRunning
    from homeport.spec import load

    if name is not None:
        return name
    if file.exists():
        return load(file).name
    running = lifecycle.names()
    if len(running) == 1:
        return running[0]
    if not running:
        raise NotRunning("no endpoint runs here", hint="`homeport up` starts one")
    raise NotRunning(f"several endpoints run here: {', '.join(running)}", hint="name the one that you mean")
