"""homeport fit"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import App, file_option, json_option


@click.command("fit")
@click.argument("model", required=False)
@file_option
@json_option
@click.option("--gpu", help="Look at this GPU of Cloud Run alone, such as nvidia-l4.")
@click.option("--region", help="A region of Cloud Run; by default the file's, else us-central1.")
@click.option("--context", type=click.IntRange(128, 10_000_000), help="Tokens of one request.")
@click.option("--parallel", type=click.IntRange(1, 1024), help="Requests at once.")
@click.option(
    "--engine", type=click.Choice(["vllm", "ollama", "llamacpp"]), help="Look at this engine alone."
)
@click.option("--quantization", help="What vllm quantizes to while loading, such as fp8.")
@click.option(
    "--kv-dtype", type=click.Choice(["auto", "fp8", "q8_0", "q4_0"]), help="How keys and values are kept."
)
@click.option("--prices", type=click.Path(path_type=Path), help="Your own file of prices.")
@click.option("--explain", is_flag=True, help="Show how every number came about.")
@click.pass_obj
def command(
    app: App,
    /,
    model: str | None,
    file: Path,
    json_output: bool,
    prices: Path | None,
    explain: bool,
    **wanted: Any,  # Any: the options above, as click has read them
) -> int:
    """
    Tell where MODEL fits, with which context, for how many at once.

    MODEL is a name of the catalog, a GGUF file, a folder, or hf:ORG/NAME; without it, what the file here serves.
    With --gpu the exit code is 18 where it does not fit.
    """
    from homeport.cli.show_fit import explained, table_text
    from homeport.errors import MemoryTooSmall
    from homeport.fit.table import look, wish

    terminal = app.terminal(json_output=json_output)
    engine = wanted.pop("engine")
    given = {key: value for key, value in wanted.items() if value is not None}
    looked = look(wish(model, file, **given), prices=prices, engine=engine)
    text = table_text(looked) + ("\n\n" + explained(looked) if explain else "")
    terminal.result(text, looked.as_json())
    fits = any(row.fit.fits for row in looked.rows)
    return 0 if fits or wanted["gpu"] is None else MemoryTooSmall.exit_code
