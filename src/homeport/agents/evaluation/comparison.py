"""Two results on the same tasks, side by side: where they differ beyond chance, and where nothing can be said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict

from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.result import ALL, EvalResult
from homeport.agents.evaluation.statistic import LEVEL, holm, mcnemar
from homeport.errors import SpecError


class Better(StrEnum):
    """Which of two is better."""

    FIRST = "first"
    SECOND = "second"
    NOT_SHOWN = "not_shown"
    """No difference beyond chance: which is not to say that there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryComparison:
    """One category, task by task."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    category: str
    tasks: int
    both: int
    """Tasks that both get right."""
    only_first: int
    only_second: int
    neither: int
    p_value: float
    """McNemar's test, exact, two-sided."""
    better: Better
    """Of a category at 5 % by Holm over all categories; of all together at 5 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalComparison:
    """Two results on the same tasks."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    categories: Sequence[CategoryComparison]
    total: CategoryComparison
    otherwise: Sequence[str]
    """What else differs between the two runs, and so may be the reason."""


def compared(first: EvalResult, second: EvalResult) -> EvalComparison:
    """Return the two, paired by task. Raises `SpecError` where they did not do the same tasks."""
    ensure_same_tasks(first.suite_digest, second)
    names = [score.category for score in first.categories]
    counts = {name: _counts(first, second, name) for name in (*names, ALL)}
    values = {name: mcnemar(*_only(counts[name])) for name in counts}
    shown = holm({name: values[name] for name in names})
    shown[ALL] = values[ALL] <= LEVEL
    rows = {
        name: CategoryComparison(
            category=name,
            tasks=sum(pairs.values()),
            both=pairs[True, True],
            only_first=pairs[True, False],
            only_second=pairs[False, True],
            neither=pairs[False, False],
            p_value=round(values[name], 6),
            better=_better(pairs, shown=shown[name]),
        )
        for name, pairs in counts.items()
    }
    otherwise = [
        f"{label}: {getattr(first, key)} against {getattr(second, key)}"
        for key, label in (("temperature", "temperature"), ("max_tokens", "tokens of an answer, at most"))
        if getattr(first, key) != getattr(second, key)
    ]
    return EvalComparison(
        categories=tuple(rows[name] for name in names), total=rows[ALL], otherwise=tuple(otherwise)
    )


def ensure_same_tasks(digest: str, result: EvalResult) -> None:
    """Raise `SpecError` where `result` is not of the tasks that have this digest."""
    if result.suite_digest != digest:
        raise SpecError(
            f"the result of {result.endpoint} is of other tasks: {result.suite} ({result.suite_digest[:12]}), "
            f"where these are {digest[:12]}",
            hint="run both with the same --suite and --only",
        )


_Counts = dict[tuple[bool, bool], int]
"""Tasks by whether the first and whether the second is right."""


def _counts(first: EvalResult, second: EvalResult, category: str) -> _Counts:
    counts = {(this, other): 0 for this in (True, False) for other in (True, False)}
    second_right = {outcome.task: outcome.verdict is TaskVerdict.RIGHT for outcome in second.tasks}
    for outcome in first.tasks:
        if category in {outcome.category, ALL}:
            counts[outcome.verdict is TaskVerdict.RIGHT, second_right[outcome.task]] += 1
    return counts


def _only(pairs: _Counts) -> tuple[int, int]:
    return pairs[True, False], pairs[False, True]


def _better(pairs: _Counts, *, shown: bool) -> Better:
    only_first, only_second = _only(pairs)
    if not shown:
        return Better.NOT_SHOWN
    return Better.FIRST if only_first > only_second else Better.SECOND
