"""homeport agent eval"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import (
    CliContext,
    FiniteRange,
    file_option,
    json_option,
    on_option,
    refuse_others,
    with_options,
)
from homeport.engines.names import NAMES

if TYPE_CHECKING:
    from homeport.agents.evaluation.evaluate import EvalWatch
    from homeport.agents.evaluation.graded import GradedSet
    from homeport.agents.evaluation.options import EvalOptions
    from homeport.agents.evaluation.report import EvalReport
    from homeport.agents.evaluation.result import EvalResult
    from homeport.endpoint import Endpoint
    from homeport.terminal import Terminal

_how = with_options(
    click.option("--name", help="The endpoint; by default that of the spec here, or the only one that runs."),
    click.option("--suite", default="tools", show_default=True, metavar="tools|bfcl|bfcl-live|FILE", help="The graded set: homeport's own, BFCL's where bfcl-eval is installed, or yours as JSON lines."),
    click.option("--only", multiple=True, metavar="CATEGORY", help="Only this category; may be given several times."),
    click.option("--against", metavar="NAME|FILE.json", help="Another endpoint on the same target, or an earlier result: the same tasks, paired."),
    click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write one page that needs nothing else, too."),
    click.option("--check", is_flag=True, help="Ask no endpoint: check the set by its baselines."),
    click.option("--at-least", type=FiniteRange(0, 100), metavar="PERCENT", help="Exit with 3 where fewer tasks are right."),
    click.option("--temperature", type=FiniteRange(0, 2), default=0.0, show_default=True, help="Of every answer."),
    click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Of one answer."),
    click.option("--max-seconds", type=FiniteRange(min=0, min_open=True), default=120.0, show_default=True, help="Of one task."),
    click.option("--tokens-per-second", type=FiniteRange(0, min_open=True), metavar="FLOAT", help="What one busy instance on Cloud Run does: tells the price of a task, as `homeport cost` does."),
    click.option("--engine", type=click.Choice(NAMES), help="Of that instance; by default the file's, else the one preferred there."),
    click.option("--anyway", is_flag=True, help="Also with a model that was not trained to call tools."),
    click.option("--transcript", type=click.Path(dir_okay=False, path_type=Path), help="Write the transcript here, instead of into homeport's folder."),
)  # fmt: skip


@click.command("eval")
@_how
@file_option
@on_option
@json_option
@click.pass_obj
def command(
    app: CliContext, /, file: Path, on: str, json_output: bool, **how: Any
) -> int:  # Any: what click has read
    """Measure how well the model chooses tools: graded tasks, 95 % intervals, chance beside."""
    from homeport import sync
    from homeport.agents import brain
    from homeport.agents.evaluation.evaluate import assessed, path_against
    from homeport.agents.evaluation.page import page
    from homeport.agents.evaluation.reader import read
    from homeport.agents.evaluation.result import EvalResult
    from homeport.agents.transcript import ensure_own, new_path
    from homeport.cli import agent_eval_text
    from homeport.errors import VerificationFailed
    from homeport.home import ensure_file_writable, find_home, write_whole

    terminal = app.terminal(json_output=json_output)
    brain.ensure_installed()
    _ensure_of_effect(how)
    graded = read(how["suite"], only=how["only"])
    for note in graded.notes:
        terminal.note(note)
    if how["check"]:
        return _checked(terminal, graded)
    endpoint, against = _endpoints(terminal, file, on, how)
    options = _options(endpoint, file, how)
    if how["html"] is not None:
        ensure_file_writable(how["html"])
    path = how["transcript"] or new_path(find_home())
    paths = [path] if against is None or isinstance(against, EvalResult) else [path, path_against(path)]
    for one in paths:
        ensure_own(one)
    watch = _watch(terminal, len(graded.tasks))
    try:
        with sync.ended_as_interrupted():
            report = sync.run(
                assessed(endpoint, graded, options, against=against, transcript=path, watch=watch)
            )
    finally:
        for one in paths:
            if one.exists():  # Also where it ends half-way: what was done until then is in there.
                terminal.say(f"transcript: {one}")
    if how["html"] is not None:
        write_whole(how["html"], page(report))
    terminal.result(agent_eval_text.text(report), report.as_json())
    return 0 if _enough(terminal, report, how["at_least"]) else VerificationFailed.exit_code


def _ensure_of_effect(how: dict[str, Any]) -> None:  # Any: what click has read
    if how["check"]:
        refuse_others("check", "suite", "only", "json_output", why="--check asks no endpoint")
    if how["engine"] is not None and how["tokens_per_second"] is None:
        raise click.UsageError("--engine is that of the price: say --tokens-per-second, too.")


def _enough(terminal: Terminal, report: EvalReport, at_least: float | None) -> bool:
    total = report.result.total
    if at_least is None or 100 * total.right >= at_least * total.tasks:
        return True
    terminal.note(f"{total.right} of {total.tasks} are right: fewer than {at_least:g} %")
    return False


def _checked(terminal: Terminal, graded: GradedSet) -> int:
    from homeport import sync
    from homeport.agents.evaluation.options import EvalOptions
    from homeport.agents.evaluation.runner import run_baselines
    from homeport.cli import agent_eval_text

    baselines = sync.run(run_baselines(graded, EvalOptions()))
    head, rows, data = agent_eval_text.checked(graded, baselines)
    terminal.table(head, rows, data=data)
    return 0


def _endpoints(
    terminal: Terminal, file: Path, on: str, how: dict[str, Any]  # Any: what click has read
) -> tuple[Endpoint, Endpoint | EvalResult | None]:  # fmt: skip
    from homeport.agents.evaluation.report import saved
    from homeport.cli.session import agents_endpoint

    other = how["against"]
    # No endpoint's name has a dot or a slash in it.
    baseline = saved(Path(other)) if other is not None and {".", "/"} & {*other} else None
    endpoint = agents_endpoint(terminal, how["name"], file, on, anyway=how["anyway"])
    if other is None or baseline is not None:
        return endpoint, baseline
    return endpoint, agents_endpoint(terminal, other, file, on, anyway=how["anyway"])


def _options(endpoint: Endpoint, file: Path, how: dict[str, Any]) -> EvalOptions:  # Any: what click has read
    from dataclasses import replace

    from homeport.agents.evaluation.options import BUDGET, EvalOptions

    options = EvalOptions(
        budget=replace(BUDGET, max_tokens=how["max_tokens"], seconds=how["max_seconds"]),
        temperature=how["temperature"],
    )
    speed = how["tokens_per_second"]
    if speed is None:
        return options
    from homeport.cost.answer import Question, answer

    question = Question(
        wanted={}, engine=how["engine"], tokens_per_day=None, tokens_per_second=speed, wakes=12, versus=None,
        input_share=None, prices=None,
    )  # fmt: skip
    estimate = answer(None if file.exists() else endpoint.model, file, question)
    assert estimate.cost.tokens is not None
    used = estimate.cost.tokens.used
    return replace(
        options,
        usd_per_million_tokens=used.value,
        price=f"at ${estimate.hourly.total:.4f}/h and your {speed:g} tokens/s, work alone: {estimate.place}, "
        f"prices of {estimate.prices.dated}",
    )


def _watch(terminal: Terminal, tasks: int) -> EvalWatch:
    from homeport.agents.evaluation.evaluate import EvalWatch

    class TerminalWatch(EvalWatch):
        def begun(self, endpoint: Endpoint) -> None:
            self._done = 0
            terminal.say(f"{tasks} tasks on {endpoint.name} ({endpoint.model})")

        def done(self, attempt: Any) -> None:  # Any: an `Attempt`
            self._done += 1
            circles = ", in circles" if attempt.looped else ""
            terminal.say(
                f"  {self._done}/{tasks} {attempt.task.id}: {attempt.verdict.value}{circles} ({attempt.seconds:.1f} s)"
            )

    return TerminalWatch()
