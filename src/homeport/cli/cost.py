"""homeport cost"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import App, file_option, json_option

SIZES = {"K": 1e3, "M": 1e6, "B": 1e9}

if TYPE_CHECKING:
    from homeport.catalog.cloudrun import Shape
    from homeport.catalog.prices import Hourly, Prices
    from homeport.cost import Cost, Versus


def _count(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """A number as people write it: 500k, 2M, 1B, 1500000."""
    if value is None:
        return None
    digits, size = value.strip().replace(",", "").replace("_", ""), 1.0
    if digits[-1:].upper() in SIZES:
        digits, size = digits[:-1], SIZES[digits[-1].upper()]
    try:
        number = float(digits) * size
    except ValueError:
        number = -1
    if not 0 <= number < float("inf"):
        raise click.BadParameter(f"{value!r} is no number of tokens; say 500k, 2M, 1B or 1500000")
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What the options ask."""

    gpu: str | None
    region: str | None
    zonal: bool
    engine: str | None
    tokens_per_day: float | None
    tokens_per_second: float | None
    wakes: int
    versus: Path | None
    input_share: float | None
    plot: Path | None
    prices: Path | None


@click.command("cost")
@click.argument("model", required=False)
@file_option
@json_option
@click.option("--gpu", help="A GPU of Cloud Run, such as nvidia-l4; by default the cheapest that fits.")
@click.option("--region", help="A region of Cloud Run; by default the file's, else us-central1.")
@click.option("--zonal", is_flag=True, help="With zonal redundancy, which costs more.")
@click.option("--engine", type=click.Choice(["vllm", "ollama"]), help="By default the file's, else vllm.")
@click.option(
    "--tokens-per-day",
    callback=_count,
    metavar="COUNT",
    help="Your traffic, such as 2M: prompts and answers together.",
)
@click.option(
    "--tokens-per-second",
    type=click.FloatRange(0, min_open=True),
    metavar="FLOAT",
    help="What one busy instance does; `homeport bench` will measure it.",
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
    type=click.FloatRange(0, 1),
    metavar="FLOAT",
    help="Share of tokens that are prompts; 0.75 unless the file says otherwise.",
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw the comparison.")
@click.option(
    "--prices",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Your own prices, over those of the catalog.",
)
@click.option("--explain", is_flag=True, help="Show how each number came about.")
@click.pass_obj
def command(
    app: App, /, model: str | None, file: Path, json_output: bool, explain: bool, **options: Any
) -> None:  # Any: the options above
    """Estimate what the model costs on Cloud Run, and from which traffic on it beats an API."""
    from homeport.cli import cost_text

    question = Question(**options)
    if question.plot is not None and question.versus is None:
        raise click.UsageError(
            "--plot draws where an endpoint begins to beat APIs: name them with --versus FILE"
        )
    answer = _answer(question, _what(model, file, question))
    terminal = app.terminal(json_output=json_output)
    terminal.result(cost_text.text(answer, explain=explain), cost_text.as_json(answer))
    if question.plot is not None:
        _draw(answer, question.plot)
        terminal.say(f"drawn: {question.plot}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that the command found."""

    what: What
    question: Question
    prices: Prices
    hourly: Hourly
    cost: Cost
    versus: Versus | None
    notes: tuple[str, ...]

    @property
    def place(self) -> str:
        """`vllm, nvidia-l4, 8 CPU, 32 GiB, us-central1, no zonal redundancy`."""
        redundancy = "zonal redundancy" if self.what.zonal else "no zonal redundancy"
        return f"{self.what.engine}, {self.what.shape.text}, {self.what.region}, {redundancy}"


def _answer(question: Question, what: What) -> Answer:
    from homeport.catalog import cloudrun, prices
    from homeport.cost import Usage, cost
    from homeport.cost.versus import INPUT_SHARE, compare, load

    limits = cloudrun.limits()
    usage = Usage(
        cold_start_s=what.cold_start_s,
        idle_s=limits.idle_s,
        billed_minimum_s=limits.billed_minimum_s,
        tokens_per_day=question.tokens_per_day,
        tokens_per_second=question.tokens_per_second,
        wakes_per_day=question.wakes,
        weights_gib=what.weights_gib,
        image_gib=what.image_gib,
        build_minutes=what.build_minutes,
        min_instances=what.min_instances,
        instances=what.instances,
    )
    found = prices.load(question.prices)
    hourly = found.hourly(what.shape, what.region, zonal=what.zonal)
    costs = cost(found, hourly, usage)
    comparison = None
    if question.versus is not None:
        listed, share = load(question.versus)
        chosen = next(value for value in (question.input_share, share, INPUT_SHARE) if value is not None)
        comparison = compare(costs.bill, listed, input_share=chosen)
    return Answer(
        what=what,
        question=question,
        prices=found,
        hourly=hourly,
        cost=costs,
        versus=comparison,
        notes=tuple(cloudrun.problems(what.shape, what.region)),
    )


def _draw(answer: Answer, path: Path) -> None:
    from homeport.cost import plot
    from homeport.errors import SpecError

    assert answer.versus is not None
    speed = answer.question.tokens_per_second
    about = [
        answer.place,
        f"{speed:g} tokens/s (your figure)" if speed else "throughput not measured",
        f"{answer.question.wakes} wakes a day",
        f"prices of {answer.prices.dated}",
    ]
    picture = plot.svg(answer.versus, " · ".join(about))
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise SpecError(
            f"{path} cannot be written: {error.strerror}",
            hint="--plot wants a file's name in a folder that is there",
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class What:
    """What would be served, as far as its cost goes."""

    title: str
    engine: str
    shape: Shape
    region: str
    zonal: bool
    min_instances: int
    instances: int
    cold_start_s: tuple[float, float, float]
    weights_gib: float
    image_gib: float
    build_minutes: float


BUILD_MINUTES = 10
"""Builds of images with up to 3.3 GB of weights took 1.6 to 6.4 minutes, others up to 20: see docs/cost.md."""


def _what(model: str | None, file: Path, question: Question) -> What:
    """What `model`, or else the spec in `file`, would be on Cloud Run: on the cheapest shape that fits."""
    from homeport.catalog import cloudrun, prices
    from homeport.cold_start import image_bytes
    from homeport.errors import EngineMissing, MemoryTooSmall
    from homeport.fit.cloud import engine_of, estimate
    from homeport.fit.table import wish

    given = {"gpu": question.gpu, "region": question.region, "zonal_redundancy": question.zonal or None}
    wanted = wish(model, file, **given)
    engine = question.engine or engine_of(wanted.settings)
    if engine not in wanted.subject.weights:
        raise EngineMissing(
            f"there are no weights of {wanted.subject.model.name} for {engine}",
            hint=f"there are some for {', '.join(wanted.subject.weights)}: `homeport cost --engine …`",
        )
    one = estimate(
        wanted.subject.served(engine, wanted.settings), wanted.cloudrun, prices.load(question.prices)
    )
    best = one.best
    if best is None or best.place.shape is None:
        remedies = "; or ".join(remedy.change for remedy in one.choice.remedies)
        raise MemoryTooSmall(
            f"{wanted.subject.model.name} does not fit, so it has no cost: {one.choice.why}",
            hint=remedies or "`homeport fit` shows what it lacks",
        )
    start = next(iter(one.cold_starts.values()))
    baked = best.what.weights.size / cloudrun.GIB
    return What(
        title=wanted.subject.model.name,
        engine=engine,
        shape=best.place.shape,
        region=wanted.cloudrun.region,
        zonal=wanted.cloudrun.zonal_redundancy,
        min_instances=wanted.cloudrun.min_instances,
        instances=wanted.cloudrun.max_instances,
        cold_start_s=(start.low, start.likely, start.high),
        weights_gib=baked if engine == "vllm" else 0,
        image_gib=image_bytes(engine) / cloudrun.GIB + (baked if engine == "ollama" else 0),
        build_minutes=BUILD_MINUTES,
    )
