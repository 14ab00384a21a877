"""homeport key"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, yes_option


@click.group("key", invoke_without_command=True)
@file_option
@json_option
@click.pass_context
def command(ctx: click.Context, file: Path, json_output: bool) -> None:
    """Tell where the key of an endpoint on this machine is kept; `rotate` replaces one that homeport made."""
    if ctx.invoked_subcommand is None:
        _tell(ctx.obj, None, file, json_output=json_output)


@command.command("show")
@name_argument
@file_option
@json_option
@click.pass_obj
def show(app: CliContext, name: str | None, file: Path, json_output: bool) -> None:
    """Tell where the key is kept, and whether it is the one that the engine was started with. Never prints it."""
    _tell(app, name, file, json_output=json_output)


@command.command("rotate")
@name_argument
@file_option
@json_option
@yes_option
@click.option("--no-verify", is_flag=True, help="Stop once a token came out, without the checks.")
@click.pass_obj
def rotate(
    app: CliContext, name: str | None, file: Path, json_output: bool, yes: bool, no_verify: bool
) -> int:
    """Replace a key that homeport made by a new one, and restart the engine with it."""
    from homeport import keys
    from homeport.cli.context import meant
    from homeport.cli.up import bring_up

    terminal = app.terminal(json_output=json_output)
    target = keys.with_new_key(meant(name, file))
    code = bring_up(terminal, target, yes=yes, verify=not no_verify)
    terminal.say("the old key is refused from now on: `homeport env` prints the new one")
    return code


def _tell(app: CliContext, name: str | None, file: Path, *, json_output: bool) -> None:
    from homeport import keys
    from homeport.cli.context import meant
    from homeport.cli.show import key_text

    found = keys.whereabouts(meant(name, file))
    terminal = app.terminal(json_output=json_output)
    terminal.result(key_text(found), found.as_json())
    if found.hint:
        terminal.say(f"  do: {found.hint}")
