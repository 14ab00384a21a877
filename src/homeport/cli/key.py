"""homeport key"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import (
    CliContext,
    ensure_none_before_subcommand,
    file_option,
    json_option,
    name_argument,
    yes_option,
)


class _Keyed(click.Group):
    """`homeport key NAME` is `homeport key show NAME`, as of every other command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, rest, _ = self.make_parser(ctx).parse_args([*args])  # It takes the words away that it has read.
        named = bool(rest) and rest[0] not in self.commands
        return super().parse_args(ctx, ["show", *args] if named else args)


@click.group("key", cls=_Keyed, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND [ARGS]...]")
@file_option
@json_option
@click.pass_context
def command(ctx: click.Context, file: Path, json_output: bool) -> None:
    """Tell where the key of an endpoint on this machine is kept; `rotate` replaces one that homeport made."""
    if ctx.invoked_subcommand is not None:
        ensure_none_before_subcommand(ctx)
        return
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
    from homeport import keys, sync
    from homeport.cli.session import this_machines
    from homeport.cli.up import run_with_approval, tell
    from homeport.deployment import Deployment as Deployed
    from homeport.targets.base import UpOptions
    from homeport.targets.local.lifecycle import LocalLifecycle

    terminal = app.terminal(json_output=json_output)
    target = LocalLifecycle(graph=keys.with_new_key(this_machines(terminal, name, file)), by_name=True)
    options = UpOptions(verify=not no_verify)
    try:
        result = sync.run(
            run_with_approval(Deployed(target=target), terminal=terminal, options=options, yes=yes)
        )
    finally:
        terminal.close()
    code = tell(terminal, result)
    terminal.say("the old key is refused from now on: `homeport env` prints the new one")
    return code


def _tell(app: CliContext, name: str | None, file: Path, *, json_output: bool) -> None:
    from homeport import keys
    from homeport.cli.session import this_machines
    from homeport.cli.show import key_text

    terminal = app.terminal(json_output=json_output)
    whereabouts = keys.whereabouts(this_machines(terminal, name, file))
    terminal.result(key_text(whereabouts), whereabouts.as_json())
    if whereabouts.hint:
        terminal.say(f"  do: {whereabouts.hint}")
