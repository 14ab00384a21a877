"""An evaluation as the terminal shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.chance import chance
from homeport.agents.evaluation.comparison import Better
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.words import BASELINES, labels, notes, percent, verdict_on
from homeport.json_types import JsonObject
from homeport.printable import printable

if TYPE_CHECKING:
    from homeport.agents.evaluation.comparison import CategoryComparison
    from homeport.agents.evaluation.graded import GradedSet
    from homeport.agents.evaluation.report import EvalReport
    from homeport.agents.evaluation.result import CategoryScore, EvalResult
    from homeport.agents.evaluation.runner import Attempt


def text(report: EvalReport) -> str:
    """Return all of it: a table for each result, and how they compare."""
    parts = [_result(report.result)]
    if report.against is not None and report.comparison is not None:
        first, second = report.result, report.against
        names = labels(first, second)
        rows = [
            _compared(category, names)
            for category in (*report.comparison.categories, report.comparison.total)
        ]
        head = (
            "CATEGORY",
            "TASKS",
            "BOTH",
            f"ONLY {names[0]}",
            f"ONLY {names[1]}",
            "NEITHER",
            "P",
            "",
        )
        parts += [
            _result(second),
            "\n".join([*_aligned(head, rows), "", *verdict_on(report.comparison, first, second)]),
        ]
    return "\n\n".join(parts)


def checked(
    graded: GradedSet, baselines: Mapping[Baseline, Sequence[Attempt]]
) -> tuple[tuple[str, ...], list[tuple[str, ...]], JsonObject]:
    """Return heading and rows of a set that was checked by its baselines, and all of it as JSON."""
    rows: list[tuple[str, ...]] = []
    data: JsonObject = {"suite": graded.name, "suite_digest": graded.digest, "categories": []}
    for name in graded.categories:
        tasks = [task for task in graded.tasks if task.category == name]
        mean = sum(map(chance, tasks)) / len(tasks)
        counts = {
            kind.value: sum(
                attempt.verdict is TaskVerdict.RIGHT
                for attempt in baselines[kind]
                if attempt.task.category == name
            )
            for kind in BASELINES
        }
        rows.append((name, str(len(tasks)), percent(mean), *map(str, counts.values())))
        data["categories"].append(
            {"category": name, "tasks": len(tasks), "chance": round(mean, 4), "baselines": counts}
        )
    head = ("CATEGORY", "TASKS", "CHANCE", *(title.upper() for title in BASELINES.values()))
    return head, rows, data


def _result(result: EvalResult) -> str:
    head = ("CATEGORY", "RIGHT", "", "95 %", "CHANCE", *(title.upper() for title in BASELINES.values()))
    rows = [_score(category) for category in (*result.categories, result.total)]
    title = f"{result.model} at {result.endpoint}: {result.suite}, {result.total.tasks} tasks"
    return "\n".join([title, "", *_aligned(head, rows), "", *notes(result)])


def _score(score: CategoryScore) -> tuple[str, ...]:
    return (
        score.category,
        f"{score.right}/{score.tasks}",
        percent(score.accuracy),
        f"{percent(score.low)} to {percent(score.high)}",
        percent(score.chance),
        *(f"{score.baselines[kind]}/{score.tasks}" for kind in BASELINES),
    )


def _compared(comparison: CategoryComparison, names: tuple[str, str]) -> tuple[str, ...]:
    counts = (
        comparison.tasks,
        comparison.both,
        comparison.only_first,
        comparison.only_second,
        comparison.neither,
    )
    better = dict(zip((Better.FIRST, Better.SECOND), names, strict=True)).get(comparison.better)
    return (
        comparison.category,
        *map(str, counts),
        f"{comparison.p_value:.3g}",
        f"{better} is better" if better else "no difference shown",
    )


def _aligned(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    table = [tuple(printable(cell, keep="") for cell in row) for row in (head, *rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
