"""A report as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from homeport.agents.evaluation.comparison import Better, CategoryComparison, EvalComparison
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.report import EvalReport
from homeport.agents.evaluation.result import CategoryScore, EvalResult
from homeport.agents.evaluation.words import BASELINES, labels, notes, percent, verdict_on
from homeport.redaction import redacted

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #2a7de1; --chance: #c0392b }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
td.n, th.n { text-align: right }
tr.all { font-weight: 600 }
svg { display: block; width: 14rem; height: 1.2rem }
.wrong { color: var(--chance) }
.note { color: #888 }
"""


def page(report: EvalReport) -> str:
    """Return the page."""
    results = [result for result in (report.result, report.against) if result is not None]
    title = " against ".join(f"{result.model} ({result.endpoint})" for result in results)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}: how well it chooses tools</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for result in results:
        parts += _result(result)
    if report.comparison is not None and report.against is not None:
        parts += _comparison(report.comparison, report.result, report.against)
    for result in results:
        parts += _tasks(result)
    return redacted("\n".join([*parts, "</body></html>", ""]))


def _result(result: EvalResult) -> list[str]:
    head = ["category", "right", "", "95 % interval (Wilson)", "", "chance", *BASELINES.values()]
    about = (
        f"{result.suite}, {result.total.tasks} tasks, SHA-256 {result.suite_digest[:12]}, {result.started_at}. "
        "The bar is what was right, the line its interval, the red mark chance."
    )
    return [
        f"<h2>{escape(result.model)} at {escape(result.endpoint)}</h2>",
        f"<p class=note>{escape(about)}</p>",
        _table(head, [*map(_score, result.categories), _score(result.total)], numbers={1, 2, 5, 6, 7, 8}),
        *(f"<p>{escape(line)}</p>" for line in notes(result)),
    ]


def _score(score: CategoryScore) -> list[str]:
    return [
        escape(score.category),
        f"{score.right} of {score.tasks}",
        percent(score.accuracy),
        f"{percent(score.low)} to {percent(score.high)}",
        _bar(score),
        percent(score.chance),
        *(str(score.baselines[kind]) for kind in BASELINES),
    ]


def _bar(score: CategoryScore) -> str:
    low, high, at, chance = (100 * value for value in (score.low, score.high, score.accuracy, score.chance))
    label = f"{percent(score.accuracy)}, {percent(score.low)} to {percent(score.high)}, chance {percent(score.chance)}"
    return (
        f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        '<rect width="100" height="10" fill="var(--line)"/>'
        f'<rect width="{at:.1f}" height="10" fill="var(--mark)" opacity=".45"/>'
        f'<rect x="{low:.1f}" y="4" width="{high - low:.1f}" height="2" fill="var(--mark)"/>'
        f'<rect x="{chance:.1f}" width=".6" height="10" fill="var(--chance)"/></svg>'
    )


def _comparison(comparison: EvalComparison, first: EvalResult, second: EvalResult) -> list[str]:
    names = labels(first, second)
    head = [
        "category",
        "tasks",
        "both",
        f"only {names[0]}",
        f"only {names[1]}",
        "neither",
        "p",
        "",
    ]

    def row(category: CategoryComparison) -> list[str]:
        counts = (category.tasks, category.both, category.only_first, category.only_second, category.neither)
        name = dict(zip((Better.FIRST, Better.SECOND), names, strict=True)).get(category.better, "")
        better = f"{name} is better" if name else "no difference shown"
        return [escape(category.category), *map(str, counts), f"{category.p_value:.3g}", escape(better)]

    return [
        "<h2>Side by side</h2>",
        _table(
            [escape(title) for title in head],
            [*map(row, comparison.categories), row(comparison.total)],
            numbers=set(range(1, 7)),
        ),
        *(f"<p>{escape(line)}</p>" for line in verdict_on(comparison, first, second)),
    ]


def _tasks(result: EvalResult) -> list[str]:
    rows = [
        [
            escape(outcome.task),
            escape(outcome.category),
            outcome.verdict.value
            if outcome.verdict is TaskVerdict.RIGHT
            else f"<span class=wrong>{outcome.verdict.value}</span>",
            "yes" if outcome.looped else "",
            f"{outcome.input_tokens} + {outcome.output_tokens}",
            f"{outcome.seconds:.1f}",
        ]
        for outcome in result.tasks
    ]
    head = ["task", "category", "how it ended", "in circles", "tokens", "seconds"]
    return [
        f"<details><summary>Each task at {escape(result.endpoint)}</summary>",
        _table(head, rows, numbers={4, 5}, total=False),
        "</details>",
    ]


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: set[int], total: bool = True
) -> str:
    """Return a table of cells that are HTML already; its last row is that of all."""
    kinds = [' class="n"' if place in numbers else "" for place in range(len(head))]
    lines = [list(row) for row in rows]
    last = len(lines) - 1 if total else -1
    body = "".join(
        f"<tr{' class=all' if place == last else ''}>"
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for place, row in enumerate(lines)
    )
    heads = "".join(f"<th{kind}>{cell}</th>" for kind, cell in zip(kinds, head, strict=True))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
