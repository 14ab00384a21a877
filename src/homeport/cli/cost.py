"""homeport cost"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import (
    CliContext,
    FiniteRange,
    file_option,
    fit_options,
    given_settings,
    json_option,
)
from homeport.engines.names import NAMES

MOST = 1e15
SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}

if TYPE_CHECKING:
    from homeport.cost.answer import CostAnswer


def _count(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Return a number as people write it: 500k, 2M, 1B, 1500000."""
    if value is None:
        return None
    digits, size = value.strip().replace(",", "").replace("_", ""), 1.0
    if digits[-1:].upper() in SIZES:
        digits, size = digits[:-1], SIZES[digits[-1].upper()]
    try:
        number = float(digits) * size
    except ValueError:
        number = -1
    if not 0 <= number <= MOST:
        raise click.BadParameter(f"{value!r} is no number of tokens; say 500k, 2M, 1B or 1500000")
    return number


@click.command("cost")
@click.argument("model", required=False)
@file_option
@json_option
@fit_options
@click.option(
    "--engine", type=click.Choice(NAMES), help="By default the file's, else the one preferred there."
)
@click.option(
    "--tokens-per-day",
    callback=_count,
    metavar="COUNT",
    help="Your traffic, such as 2M: prompts and answers together.",
)
@click.option(
    "--tokens-per-second",
    type=FiniteRange(0, min_open=True),
    metavar="FLOAT",
    help="What one busy instance does; by default what the newest `homeport bench --on cloudrun` of one instance measured.",
)
@click.option(
    "--wakes",
    type=click.IntRange(1),
    default=12,
    show_default=True,
    metavar="INT",
    help="How often a day it wakes from zero.",
)
@click.option(
    "--versus",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="APIs to compare with: [[api]] name, input, output (USD per million tokens).",
)
@click.option(
    "--input-share",
    type=FiniteRange(0, 1),
    metavar="FLOAT",
    help="Share of tokens that are prompts; 0.75 unless the file says otherwise.",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the comparison.")
@click.option("--explain", is_flag=True, help="Show how each number came about.")
@click.pass_obj
def command(
    app: CliContext,
    /,
    model: str | None,
    file: Path,
    json_output: bool,
    explain: bool,
    plot: Path | None,
    **options: Any,  # Any: the options above
) -> None:
    """Estimate what the model costs on Cloud Run, and from which traffic on it beats an API."""
    from homeport.cli import cost_text
    from homeport.cost.answer import Question, answer
    from homeport.home import ensure_file_writable, find_home

    keys = ("engine", "tokens_per_day", "tokens_per_second", "wakes", "versus", "input_share", "prices")
    question = Question(
        wanted=given_settings(options), home=find_home(), **{key: options[key] for key in keys}
    )
    if plot is not None and question.versus is None:
        raise click.UsageError(
            "--plot draws where an endpoint begins to beat APIs: name them with --versus FILE"
        )
    if plot is not None:
        ensure_file_writable(plot)
    cost = answer(model, file, question)
    terminal = app.terminal(json_output=json_output)
    if plot is not None:
        _draw(cost, plot)
        terminal.say(f"drawn: {plot}")
    terminal.result(cost_text.text(cost, explain=explain), cost.as_json())


def _draw(answer: CostAnswer, path: Path) -> None:
    from homeport.cost import plot
    from homeport.home import write_whole

    assert answer.versus is not None
    speed = answer.throughput.tokens_per_second
    about = [
        answer.place,
        f"{speed:g} tokens/s ({answer.throughput.source})" if speed else "throughput not measured",
        f"{answer.question.wakes} wakes a day",
        f"prices of {answer.prices.dated}",
    ]
    picture = plot.svg(answer.versus, " · ".join(about))
    write_whole(path, picture)
