"""What a graded set came to on one endpoint: by category, with intervals, chance and baselines; and by task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import ConfigDict

from homeport.agents.evaluation.baselines import Baseline
from homeport.agents.evaluation.chance import chance
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.graded import GradedSet
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.runner import Attempt
from homeport.agents.evaluation.statistic import LEVEL, mcnemar, wilson
from homeport.endpoint import Endpoint

ALL = "all"
"""The row of all categories together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryScore:
    """How many tasks of a category are right, between chance and the oracle."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    category: str
    tasks: int
    right: int
    accuracy: float
    low: float
    """Of the 95 % interval (Wilson)."""
    high: float
    chance: float
    """The mean of the tasks' chances: every choice drawn uniformly from the offered tools and none."""
    above_chance: bool
    """Whether all of the interval is above chance."""
    baselines: Mapping[Baseline, int]
    """How many each baseline gets right."""
    verdicts: Mapping[TaskVerdict, int]
    """How many tasks ended in which way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOutcome:
    """How one task ended, and what it used."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    task: str
    category: str
    verdict: TaskVerdict
    looped: bool
    """Whether it made the same call three times, and was told so."""
    chance: float
    input_tokens: int
    output_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """What a graded set came to on one endpoint."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    endpoint: str
    model: str
    suite: str
    suite_digest: str
    """SHA-256 of all that is asked and what is right."""
    started_at: str
    """ISO 8601, UTC."""
    temperature: float | None
    max_tokens: int
    """Of one answer of the model."""
    categories: Sequence[CategoryScore]
    total: CategoryScore
    above_always_none: bool
    """Whether it gets more right than never calling a tool does, paired by task, beyond chance (McNemar, exact, 5 %)."""
    tasks: Sequence[TaskOutcome]
    loops: int
    """Tasks in which it went round in circles, and was told so."""
    loops_stopped: int
    """Those of them that were ended, since it went on all the same."""
    mean_input_tokens: float
    """A task."""
    mean_output_tokens: float
    """A task."""
    mean_s: float
    """A task, the tools included, which take none."""
    mean_usd: float | None
    """A task; null where no throughput is known."""
    price: str
    """Where the price is from, in words."""
    transcript: str
    """The file that has every step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRun:
    """A set that was run on an endpoint, not summed up yet."""

    graded: GradedSet
    endpoint: Endpoint
    options: EvalOptions
    attempts: Sequence[Attempt]
    baselines: Mapping[Baseline, Sequence[Attempt]]
    transcript: str
    started_at: datetime


def summed_up(run: SetRun) -> EvalResult:
    """Return what a run comes to."""
    attempts, count = run.attempts, len(run.attempts)
    tokens_in = sum(attempt.input_tokens for attempt in attempts) / count
    tokens_out = sum(attempt.output_tokens for attempt in attempts) / count
    million = run.options.usd_per_million_tokens
    return EvalResult(
        endpoint=run.endpoint.name,
        model=run.endpoint.model,
        suite=run.graded.name,
        suite_digest=run.graded.digest,
        started_at=run.started_at.astimezone(UTC).isoformat(timespec="seconds"),
        temperature=run.options.temperature,
        max_tokens=run.options.budget.max_tokens,
        categories=tuple(_score(run, name) for name in run.graded.categories),
        total=_score(run, ALL),
        above_always_none=_above(attempts, run.baselines[Baseline.ALWAYS_NONE]),
        tasks=tuple(map(_outcome, attempts)),
        loops=sum(attempt.looped for attempt in attempts),
        loops_stopped=sum(attempt.loop_stopped for attempt in attempts),
        mean_input_tokens=round(tokens_in, 1),
        mean_output_tokens=round(tokens_out, 1),
        mean_s=round(sum(attempt.seconds for attempt in attempts) / count, 3),
        mean_usd=None if million is None else (tokens_in + tokens_out) * million / 1e6,
        price=run.options.price,
        transcript=run.transcript,
    )


def _score(run: SetRun, category: str) -> CategoryScore:
    chosen = [attempt for attempt in run.attempts if category in {attempt.task.category, ALL}]
    right = _right(chosen)
    low, high = wilson(right, len(chosen))
    by_chance = sum(chance(attempt.task) for attempt in chosen) / len(chosen)
    return CategoryScore(
        category=category,
        tasks=len(chosen),
        right=right,
        accuracy=round(right / len(chosen), 4),
        low=round(low, 4),
        high=round(high, 4),
        chance=round(by_chance, 4),
        above_chance=low > by_chance,
        baselines={
            kind: _right([attempt for attempt in attempts if category in {attempt.task.category, ALL}])
            for kind, attempts in run.baselines.items()
        },
        verdicts=dict(Counter(attempt.verdict for attempt in chosen).most_common()),
    )


def _above(attempts: Sequence[Attempt], others: Sequence[Attempt]) -> bool:
    pairs = Counter(
        (attempt.verdict is TaskVerdict.RIGHT, other.verdict is TaskVerdict.RIGHT)
        for attempt, other in zip(attempts, others, strict=True)
    )
    more, fewer = pairs[True, False], pairs[False, True]
    return more > fewer and mcnemar(more, fewer) <= LEVEL


def _right(attempts: Sequence[Attempt]) -> int:
    return sum(attempt.verdict is TaskVerdict.RIGHT for attempt in attempts)


def _outcome(attempt: Attempt) -> TaskOutcome:
    return TaskOutcome(
        task=attempt.task.id,
        category=attempt.task.category,
        verdict=attempt.verdict,
        looped=attempt.looped,
        chance=round(chance(attempt.task), 4),
        input_tokens=attempt.input_tokens,
        output_tokens=attempt.output_tokens,
        seconds=attempt.seconds,
    )
