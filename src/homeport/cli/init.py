"""homeport init"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, on_option, spec_option
from homeport.targets import registry

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeport.terminal import Terminal

_MODELS = "; ".join(
    f"on {name} {model}" if registry.flag(name) else model for name, model in registry.MODELS.items()
)


@click.command("init")
@spec_option("-f", "--file", to_read=False)
@on_option
@click.option("--name", help="What the endpoint is called.  [default: the folder's name]")
@click.option(
    "--model",
    help=f"A name from `homeport models`, or a source.  [default: {_MODELS}]",
)
@click.option("--project", help="The project on Google Cloud.")
@click.option("--region", help="Where the GPU is.")
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
@click.pass_obj
def command(
    app: CliContext,
    /,
    file: Path,
    on: str,
    name: str | None,
    model: str | None,
    force: bool,
    **where: str | None,
) -> None:
    """Write homeport.toml, commented, with every default visible."""
    import json
    import os

    from homeport import deployment, spec
    from homeport.errors import SpecError
    from homeport.home import ensure_file_writable, write_whole
    from homeport.naming import name_from_folder
    from homeport.own_path import is_there
    from homeport.targets.base import Capability
    from homeport.targets.local.weights import find_model

    if is_there(file) and not force:
        raise SpecError(f"{file} exists", hint="`homeport init --force` overwrites it")
    terminal, target = app.terminal(), registry.module(on)
    model, name = model or registry.MODELS[on], name or name_from_folder(file)
    chosen = {key: value for key, value in where.items() if value is not None}
    deployment.require(on, {Capability.PLACE: chosen})
    if terminal.interactive:
        chosen = _ask_for_rest(terminal, chosen, target.place(os.environ))
    placed = dict.fromkeys(target.TABLES[:1], chosen)
    find_model(spec.parse({"name": name, "model": model, **placed}), file.absolute())
    ensure_file_writable(file)
    write_whole(file, spec.template(target.TABLES, name=name, model=model, **chosen))
    schema = file.with_name(spec.SCHEMA_NAME)
    write_whole(schema, json.dumps(spec.json_schema(), indent=2) + "\n")
    terminal.say(f"wrote {file} (and {schema.name}, for editors)")
    terminal.say(f"next: {target.FIRST_STEP}")


def _ask_for_rest(terminal: Terminal, chosen: dict[str, str], place: Mapping[str, str]) -> dict[str, str]:
    """Return `chosen` with what a person says of the rest; Enter takes what the brackets show."""
    for key, default in place.items():
        if key not in chosen:
            answer = terminal.ask(f"{key} [{default}]: " if default else f"{key}: ").strip() or default
            chosen |= {key: answer} if answer else {}
    return chosen
