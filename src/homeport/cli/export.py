"""homeport export"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option
from homeport.export import KINDS
from homeport.observe import KINDS as OF_METRICS

if TYPE_CHECKING:
    from homeport.terminal import Terminal

_ALL = {**KINDS, **OF_METRICS}


@click.command("export", epilog="\b\n" + "\n".join(f"{kind:<12}{text}" for kind, text in _ALL.items()))
@click.argument("kind", type=click.Choice(list(_ALL)))
@file_option
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the files there, instead of to standard output.",
)
@json_option
@click.option("--force", is_flag=True, help="Overwrite files that are there and differ.")
@click.pass_obj
def command(
    app: CliContext, kind: str, file: Path, output: Path | None, json_output: bool, force: bool
) -> None:
    """Write what `up --on cloudrun` would make as files of another tool, or how Prometheus and Grafana see what runs here."""
    from homeport.errors import StateError
    from homeport.export.earlier import ensure_none_left, notes
    from homeport.home import ensure_folder_writable, write_whole, writing
    from homeport.own_path import content_of, looking_at, mode_at

    terminal = app.terminal(json_output=json_output)
    if output is not None:
        ensure_folder_writable(output)
    files = _seen_by(kind, terminal, file) if kind in OF_METRICS else _made_by(kind, terminal, file)
    if output is None and json_output:
        terminal.result("", files)
        return
    if output is None:
        for name, text in files.items():
            terminal.write(f"# {name}\n{text}" if len(files) > 1 else text)
        return
    ensure_none_left(kind, files, output)
    paths = {output / name: text for name, text in files.items()}
    with looking_at(output):
        others = [
            path
            for path, text in paths.items()
            if mode_at(path) and content_of(path, if_missing="export again") != text.encode()
        ]
    if others and not force:
        raise StateError(
            f"{', '.join(map(str, others))} would be overwritten",
            hint="--force overwrites, -o DIR writes elsewhere",
        )
    with writing(output):
        output.mkdir(parents=True, exist_ok=True)
        for path, text in paths.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text)
    for note in notes(kind, files, output):
        terminal.note(note)
    terminal.result("\n".join(map(str, paths)), {"written": [str(path) for path in paths]})


def _seen_by(kind: str, terminal: Terminal, file: Path) -> dict[str, str]:
    """Return the files by which another tool sees an endpoint of this machine."""
    from homeport.cli.session import this_machines
    from homeport.observe import files as of_metrics

    return of_metrics.files(kind, of_metrics.scraped(this_machines(terminal, None, file), file))


def _made_by(kind: str, terminal: Terminal, file: Path) -> dict[str, str]:
    """Return the files by which another tool makes what `up` would."""
    from homeport.cli.session import with_file
    from homeport.targets import registry
    from homeport.targets.base import Capability

    on = registry.able(Capability.EXPORT)
    return with_file(terminal, file, on, lambda deployment: deployment.export(kind, progress=terminal))
