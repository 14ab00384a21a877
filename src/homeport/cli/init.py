"""homeport init"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, on_option, spec_option

if TYPE_CHECKING:
    from homeport.terminal import Terminal

MODELS = {"local": "gemma-3-270m-pt", "cloudrun": "gemma-4-e2b"}
"""What is served unless something else is asked for: what runs anywhere, and what is worth a GPU."""


@click.command("init")
@spec_option("-f", "--file", to_read=False)
@on_option
@click.option("--name", help="What the endpoint is called.  [default: the folder's name]")
@click.option(
    "--model",
    help=f"A name from `homeport models`, or a source.  [default: {MODELS['local']}; "
    f"on cloudrun {MODELS['cloudrun']}]",
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
    **place: str | None,
) -> None:
    """Write homeport.toml, commented, with every default visible."""
    import json

    from homeport import spec
    from homeport.errors import SpecError
    from homeport.home import ensure_file_writable, write_whole
    from homeport.naming import name_from_folder
    from homeport.own_path import is_there
    from homeport.targets.local.weights import find_model

    if is_there(file) and not force:
        raise SpecError(f"{file} exists", hint="`homeport init --force` overwrites it")
    terminal = app.terminal()
    model, name = model or MODELS[on], name or name_from_folder(file)
    chosen = {key: value for key, value in place.items() if value is not None}
    if chosen and on == "local":
        raise click.UsageError("--project and --region go with --on cloudrun.")
    if on == "cloudrun" and terminal.interactive:
        chosen = _ask_for_rest(terminal, chosen)
    find_model(spec.parse({"name": name, "model": model, "cloudrun": chosen}), file.absolute())
    ensure_file_writable(file)
    write_whole(file, spec.template(on_cloudrun=on == "cloudrun", name=name, model=model, **chosen))
    schema = file.with_name(spec.SCHEMA_NAME)
    write_whole(schema, json.dumps(spec.json_schema(), indent=2) + "\n")
    terminal.say(f"wrote {file} (and {schema.name}, for editors)")
    terminal.say("next: homeport up" if on == "local" else "next: homeport plan --on cloudrun")


def _ask_for_rest(terminal: Terminal, chosen: dict[str, str]) -> dict[str, str]:
    """Return `chosen` with what a person says of the rest; Enter takes what the brackets show."""
    import os

    from homeport.google import project_of
    from homeport.spec import CloudRun

    for key, default in {"project": project_of(os.environ), "region": CloudRun().region}.items():
        if key not in chosen:
            answer = terminal.ask(f"{key} [{default}]: " if default else f"{key}: ").strip() or default
            chosen |= {key: answer} if answer else {}
    return chosen
