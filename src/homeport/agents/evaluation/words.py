"""A report in words: what terminal and page say alike."""

from __future__ import annotations

from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.comparison import Better, EvalComparison
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.result import EvalResult

BASELINES = {Baseline.UNIFORM: "uniform", Baseline.ALWAYS_NONE: "none", Baseline.ORACLE: "oracle"}
"""Headings of the baselines' columns."""


def percent(share: float) -> str:
    """Return a share as `47 %`."""
    return f"{share:.0%}".replace("%", " %")


def notes(result: EvalResult) -> list[str]:
    """Return what is to be said of a result besides its table, a line each."""
    total = result.total
    beyond = "above chance" if total.above_chance else "not shown to be above chance"
    below = [score.category for score in result.categories if not score.above_chance]
    interval = f"{percent(total.low)} to {percent(total.high)}"
    lines = [f"{total.right} of {total.tasks} right: {percent(total.accuracy)} ({interval}), {beyond}"]
    if below and total.above_chance:
        lines.append(f"not shown to be above chance in {', '.join(below)}")
    if not result.above_always_none:
        silent = total.baselines[Baseline.ALWAYS_NONE]
        lines.append(
            f"not shown to be better than never calling a tool: {silent} of {total.tasks} right without any call"
        )
    wrong = [
        f"{count} {verdict.value}"
        for verdict, count in total.verdicts.items()
        if verdict is not TaskVerdict.RIGHT
    ]
    if wrong:
        lines.append(f"wrong: {', '.join(wrong)}")
    lines.append(
        f"went round in circles in {result.loops} of {total.tasks}, and was stopped in {result.loops_stopped}"
    )
    usd = "price not known" if result.mean_usd is None else f"{result.mean_usd:.2g} USD"
    lines.append(
        f"per task: {result.mean_input_tokens:.0f} + {result.mean_output_tokens:.0f} tokens, {result.mean_s:.2f} s, "
        f"{usd} ({result.price.removeprefix('not known: ')})"
    )
    return lines


def labels(first: EvalResult, second: EvalResult) -> tuple[str, str]:
    """Return what to call two results: by endpoint, else by model, else by when they were made."""
    for key in ("endpoint", "model"):
        names = str(getattr(first, key)), str(getattr(second, key))
        if names[0] != names[1]:
            return names
    return "this run", f"run of {second.started_at}"


def verdict_on(comparison: EvalComparison, first: EvalResult, second: EvalResult) -> list[str]:
    """Return where two results differ beyond chance, a line each."""
    names = dict(zip((Better.FIRST, Better.SECOND), labels(first, second), strict=True))
    total = comparison.total
    differing = [category for category in comparison.categories if category.better is not Better.NOT_SHOWN]
    overall = (
        f"in all, no difference beyond chance is shown (p = {total.p_value:.3g})"
        if total.better is Better.NOT_SHOWN
        else f"in all, {names[total.better]} is better (p = {total.p_value:.3g})"
    )
    lines = [f"{overall}: McNemar's exact test, paired by task"]
    if differing:
        where = ", ".join(
            f"{category.category} ({names[category.better]}, p = {category.p_value:.3g})"
            for category in differing
        )
        lines.append(f"beyond chance they differ in {where}; 5 % by Holm over all categories")
    else:
        lines.append("in no single category is a difference beyond chance shown (5 % by Holm over all)")
    lines += [f"the runs differ otherwise, too: {difference}" for difference in comparison.otherwise]
    return lines
