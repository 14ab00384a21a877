"""homeport capacity"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeport.cli.context import (
    CliContext,
    FiniteRange,
    file_option,
    fit_options,
    given_settings,
    json_option,
    with_options,
)
from homeport.engines.names import NAMES

_traffic = with_options(
    click.option("--trace", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The traffic: a CSV with seconds,input,output, or a trace of Azure's, Mooncake's or BurstGPT's."),
    click.option("--slo", default="", metavar="LIMITS", help="What requests are to keep, such as ttft=2s,itl=60ms,e2e=30s."),
    click.option("--share", type=FiniteRange(0, 1, min_open=True), default=0.95, show_default=True, metavar="FLOAT", help="Of all requests, how many must keep them."),
    click.option("--engine", type=click.Choice(NAMES), help="This engine alone; by default any that Cloud Run may have."),
    click.option("--bench", "benches", multiple=True, type=click.Path(path_type=Path), metavar="FILE", help="Steps as this result of `homeport bench` of the same engine and model has them, on the GPU that is meant; several where prompts had several lengths."),
    click.option("--faster", type=FiniteRange(0, min_open=True), default=1.0, metavar="FLOAT", help="Play the trace so many times as fast."),
    click.option("--day", default="office", show_default=True, metavar="CURVE", help="How traffic goes over a day: office, flat, or 24 numbers with commas between."),
)  # fmt: skip


@click.command("capacity")
@click.argument("model", required=False)
@file_option
@json_option
@fit_options
@_traffic
@click.option(
    "--write",
    is_flag=True,
    help="Write the cheapest setting that keeps --slo into the file, with what the options said of its keys.",
)
@click.pass_obj
def command(
    app: CliContext,
    /,
    model: str | None,
    file: Path,
    json_output: bool,
    write: bool,
    **options: Any,  # Any: what fit_options and _traffic have read
) -> int:
    """
    Plan what traffic wants of Cloud Run: instances, waiting, 429s, dollars a month, before anything is deployed.

    MODEL is a name of the catalog, or a source; without it, what the file here serves. With --slo the cheapest setting
    that keeps it is looked for; the exit code is 1 where none does.
    """
    from homeport.bench import stored
    from homeport.capacity.answer import settings_of
    from homeport.capacity.day import curve
    from homeport.capacity.objectives import parsed
    from homeport.capacity.plan import CapacityQuestion, plan_capacity
    from homeport.cli.capacity_text import text
    from homeport.home import write_whole
    from homeport.spec.edit import edited
    from homeport.traffic import read

    slo, day = options["slo"], options["day"]
    if write:
        _ensure_writable(model, file, slo)
    terminal = app.terminal(json_output=json_output)
    question = CapacityQuestion(
        wanted=given_settings(options),
        engine=options["engine"],
        objectives=parsed(slo, options["share"]),
        shares=curve(day),
        curve=day,
        search=bool(slo),
        prices=options["prices"],
        benches=tuple(stored.read(path) for path in options["benches"]),
    )
    trace = read(options["trace"]).faster(options["faster"])
    plan = plan_capacity(model, file, trace, question, terminal.say)
    terminal.result(text(plan), plan.as_json())
    if write and plan.best is not None:
        write_whole(file, edited(file, settings_of(plan)))
        terminal.say(f"wrote {file}: `homeport plan --on cloudrun` shows what that changes")
    return int(bool(slo) and plan.best is None)


def _ensure_writable(model: str | None, file: Path, slo: str) -> None:
    """Raise `click.UsageError` where `--write` has nothing to find, or no file of this model to write it into."""
    from homeport.spec import load

    if not (slo and file.exists()):
        raise click.UsageError("--write wants --slo, and a file that is there: `homeport init` writes one")
    if model not in {None, served := load(file).model}:
        raise click.UsageError(
            f"--write would put a plan for {model} into {file}, which serves {served}: leave MODEL out, or name {model} in the file first"
        )
