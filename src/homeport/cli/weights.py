"""homeport weights"""

from __future__ import annotations

import click

from homeport.cli.context import CliContext, ensure_none_before_subcommand, json_option
from homeport.engines.names import NAMES


@click.group("weights", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, json_output: bool) -> None:
    """List the weights on this machine; `fetch`, `check` and `remove` them."""
    if ctx.invoked_subcommand is not None:
        ensure_none_before_subcommand(ctx)
        return
    from homeport import inventory

    app: CliContext = ctx.obj
    stored = inventory.stored()
    rows: list[tuple[str, ...]] = [
        (entry.source, entry.revision[:12], f"{entry.size / 1e6:,.0f} MB", entry.state, str(entry.folder))
        for entry in stored
    ]
    terminal = app.terminal(json_output=json_output)
    header = ("SOURCE", "REVISION", "SIZE", "STATE", "FOLDER")
    terminal.table(
        header,
        rows,
        data=[entry.as_json() for entry in stored],
        empty="no weights here yet; `homeport up` or `homeport weights fetch` brings some",
    )


@command.command("fetch")
@click.argument("models", nargs=-1, required=True)
@click.option("--engine", default=NAMES[0], show_default=True, type=click.Choice(NAMES))
@json_option
@click.pass_obj
def fetch(app: CliContext, models: tuple[str, ...], engine: str, json_output: bool) -> None:
    """Bring the weights of MODELS (names from the catalog, or sources) to this machine."""
    from homeport import inventory

    terminal = app.terminal(json_output=json_output)
    try:
        stored = [inventory.fetch(model, engine=engine, progress=terminal) for model in models]
    finally:
        terminal.close()
    text = "\n".join(str(entry.folder) for entry in stored)
    terminal.result(text, [entry.as_json() for entry in stored])


@command.command("check")
@click.argument("sources", nargs=-1)
@json_option
@click.pass_obj
def check(app: CliContext, sources: tuple[str, ...], json_output: bool) -> int:
    """Read every file and compare it with its checksum. Exits with 12 where one is damaged; `up` mends it."""
    from homeport import inventory
    from homeport.errors import WeightsError

    terminal = app.terminal(json_output=json_output)
    try:
        damages = inventory.check(sources, progress=terminal)
    finally:
        terminal.close()
    damaged = [f"{source}: {damage}" for source, several in damages.items() for damage in several]
    summary = f"{len(damages)} checked, all whole" if damages else "nothing to check"
    data = [
        {"source": source, "whole": not several, "damages": [damage.as_json() for damage in several]}
        for source, several in damages.items()
    ]
    terminal.result("\n".join(damaged) or summary, data)
    if damaged:
        terminal.say("`homeport up` or `homeport weights fetch` mends them")
    return WeightsError.exit_code if damaged else 0


@command.command("remove")
@click.argument("sources", nargs=-1, required=True)
@json_option
@click.pass_obj
def remove(app: CliContext, sources: tuple[str, ...], json_output: bool) -> int:
    """
    Remove weights that homeport fetched, by their source or model's name; your own files stay.

    Exits with 20 where one is named that is not here, once the others have gone.
    """
    from homeport import inventory
    from homeport.errors import NotRunning

    terminal = app.terminal(json_output=json_output)
    removed = [source for source in sources if inventory.remove(source)]
    unknown = [source for source in sources if source not in removed and not inventory.is_known(source)]
    terminal.result(
        "\n".join(f"removed {source}" for source in removed) or "nothing to remove",
        {"removed": removed, "not_here": unknown},
    )
    if not unknown:
        return 0
    error = NotRunning(
        f"no weights called {' and '.join(unknown)} are here", hint="`homeport weights` lists those that are"
    )
    app.terminal().error(error)  # Beside the result, which is all that standard output has.
    return error.exit_code
