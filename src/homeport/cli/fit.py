"""homeport fit"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import CliContext, file_option, fit_options, given_settings, json_option
from homeport.engines.names import NAMES


@click.command("fit")
@click.argument("model", required=False)
@file_option
@json_option
@fit_options
@click.option("--engine", type=click.Choice(NAMES), help="Look at this engine alone.")
@click.option("--explain", is_flag=True, help="Show how every number came about.")
@click.pass_obj
def command(
    app: CliContext,
    /,
    model: str | None,
    file: Path,
    json_output: bool,
    engine: str | None,
    explain: bool,
    **options: Any,  # Any: what fit_options have read
) -> int:
    """
    Tell where MODEL fits, with which context, for how many at once.

    MODEL is a name of the catalog, a GGUF file, a folder, or hf:ORG/NAME; without it, what the file here serves.
    With --gpu the exit code is 18 where it does not fit; with and without it, 42 where that is not known.
    """
    from homeport.cli.show_fit import explained, table_text
    from homeport.errors import MemoryTooSmall, SizeUnknown
    from homeport.fit.table import fit_request, look

    terminal = app.terminal(json_output=json_output)
    request = fit_request(model, file, engine=engine, **given_settings(options))
    table = look(request, prices=options["prices"], engine=engine)
    text = table_text(table) + ("\n\n" + explained(table) if explain else "")
    terminal.result(text, table.as_json())
    if not any(row.fit.known for row in table.rows):
        return SizeUnknown.exit_code
    fits = any(row.fit.fits for row in table.rows)
    return 0 if fits or options["gpu"] is None else MemoryTooSmall.exit_code
