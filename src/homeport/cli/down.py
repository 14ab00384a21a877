"""homeport down"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import App, file_option, json_option, name_argument


@click.command("down")
@name_argument
@file_option
@json_option
@click.option("--purge", is_flag=True, help="Remove its weights from this machine, too.")
@click.pass_obj
def command(app: App, name: str | None, file: Path, json_output: bool, purge: bool) -> None:
    """End an endpoint, with all its processes. Weights stay, unless --purge."""
    from homeport import lifecycle
    from homeport.cli.context import meant

    terminal = app.terminal(json_output=json_output)
    chosen = meant(name, file)
    gone = lifecycle.run(lifecycle.take_down(chosen, purge=purge, progress=terminal))
    text = "\n".join(f"removed {what}" for what in gone) or f"{chosen} does not run; nothing to remove"
    terminal.result(text, {"name": chosen, "removed": list(gone)})
