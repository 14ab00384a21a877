"""The graded set between its baselines: the oracle gets all, who never calls gets what needs no call, guessing gets chance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from math import sqrt
from pathlib import Path
from random import Random

import pytest

from homeport.agents.evaluation.baselines import Baseline, _drawn, baseline
from homeport.agents.evaluation.chance import chance
from homeport.agents.evaluation.grade import TaskVerdict
from homeport.agents.evaluation.graded import ExpectedCall, GradedSet, GradedTask, OfferedTool
from homeport.agents.evaluation.options import EvalOptions
from homeport.agents.evaluation.reader import read
from homeport.agents.evaluation.runner import Attempt, run_baselines, run_set
from homeport.endpoint import Endpoint
from homeport.errors import SpecError
from homeport.sync import run

pytestmark = pytest.mark.long

OURS = read("tools")
NOWHERE = Endpoint(name="baseline", base_url="http://127.0.0.1/v1", model="baseline")
TIMES = 2
"""How often the set is run where chance decides: the draws are seeded, so that a run is as the one before."""


def rights(attempts: list[Attempt]) -> dict[str, list[bool]]:
    found: dict[str, list[bool]] = defaultdict(list)
    for one in attempts:
        found[one.task.category].append(one.verdict is TaskVerdict.RIGHT)
    return found


def ensure_at_chance(right: dict[str, list[bool]], chances: dict[str, list[float]]) -> None:
    """Raise where what was right in a category is further from its chance than four standard deviations."""
    for name, outcomes in right.items():
        expected = sum(chances[name])
        deviation = sqrt(sum(one * (1 - one) for one in chances[name]))
        assert len(outcomes) == len(chances[name])
        assert abs(sum(outcomes) - expected) <= 4 * deviation, name


def offered(*names: str) -> tuple[OfferedTool, ...]:
    return tuple(OfferedTool(name=one, description=one, parameters={"type": "object"}) for one in names)


def task(*calls: tuple[str, ...], offers: tuple[OfferedTool, ...] = offered("a", "b", "c")) -> GradedTask:
    steps = tuple(tuple(ExpectedCall(tool=name) for name in step) for step in calls)
    return GradedTask(id="t", category="c", question="?", offers=offers, calls=steps)


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (task(), 1 / 4),
        (task(("a",)), 1 / 4),
        (task(("a", "b")), 2 / 16),
        (task(("a", "a")), 1 / 16),
        (task(("a", "a", "b")), 3 / 64),
        (task(("a",), ("b",)), 1 / 16),
        (task(offers=()), 1),
    ],
)
def test_chance_is_counted_from_what_is_offered(of: GradedTask, expected: float) -> None:
    assert chance(of) == pytest.approx(expected)


def test_the_oracle_gets_all_and_who_never_calls_gets_what_needs_no_call() -> None:
    found = run(run_baselines(OURS, EvalOptions()))
    assert all(all(outcomes) for outcomes in rights(found[Baseline.ORACLE]).values())
    for name, outcomes in rights(found[Baseline.ALWAYS_NONE]).items():
        assert set(outcomes) == {name in {"no_tool", "missing_tool"}}, name


def test_drawing_uniformly_comes_to_the_computed_chance(tmp_path: Path) -> None:
    right: dict[str, list[bool]] = defaultdict(list)
    chances: dict[str, list[float]] = defaultdict(list)
    brain = baseline(Baseline.UNIFORM, seed=14)
    for _ in range(TIMES):
        attempts = run(run_set(OURS, brain, NOWHERE, EvalOptions(), tmp_path / "t.jsonl"))
        for name, outcomes in rights(attempts).items():
            right[name] += outcomes
        for one in attempts:
            chances[one.task.category].append(chance(one.task))
    ensure_at_chance(right, chances)
    assert any(right["one_tool"])
    assert not all(right["one_tool"])


def test_many_draws_come_to_the_computed_chance() -> None:
    """The draws alone, without the loop, which makes thousands of them affordable."""
    random, times = Random(14), 400
    right: dict[str, list[bool]] = defaultdict(list)
    chances: dict[str, list[float]] = defaultdict(list)
    for one in OURS.tasks:
        wanted = [sorted(call.tool for call in step) for step in one.calls] or [[]]
        for _ in range(times):
            drawn = [sorted(name for name, _ in _drawn(one, step, random)) for step in range(len(wanted))]
            right[one.category].append(drawn == wanted)
            chances[one.category].append(chance(one))
    ensure_at_chance(right, chances)


def shuffled(one: GradedTask, random: Random) -> GradedTask:
    """The task with another key: each choice of the old one stands for one that is drawn from the tools and none."""
    options: list[ExpectedCall | None] = [None, *(ExpectedCall(tool=tool.name) for tool in one.offers)]

    def drawn(call: ExpectedCall | None) -> ExpectedCall | None:
        other = random.choice(options)
        same = call is not None and other is not None and other.tool == call.tool
        return call if same else other

    steps = [[drawn(call) for call in step] for step in one.calls] or [[drawn(None)]]
    calls = tuple(tuple(call for call in step if call is not None) for step in steps)
    return replace(one, calls=tuple(step for step in calls if step))


def test_a_shuffled_key_drops_the_oracle_to_chance(tmp_path: Path) -> None:
    random = Random(14)
    right: dict[str, list[bool]] = defaultdict(list)
    chances: dict[str, list[float]] = defaultdict(list)
    originals = {one.id: one for one in OURS.tasks}
    oracle = baseline(Baseline.ORACLE)
    for _ in range(TIMES):
        tasks = [shuffled(one, random) for one in OURS.tasks]
        attempts = run(
            run_set(
                GradedSet(name="shuffled", tasks=tasks),
                lambda one: oracle(originals[one.id]),
                NOWHERE,
                EvalOptions(),
                tmp_path / "t.jsonl",
            )
        )
        for name, outcomes in rights(attempts).items():
            right[name] += outcomes
        for original in OURS.tasks:
            chances[original.category].append(chance(original))
    ensure_at_chance(right, chances)


def test_a_set_that_contradicts_itself_is_told_before_any_endpoint_is_asked() -> None:
    contradictory = replace(task(("a",), ("a",), ("a",)), id="thrice")
    with pytest.raises(SpecError, match="the task thrice of own cannot be done"):
        run(run_baselines(GradedSet(name="own", tasks=[contradictory]), EvalOptions()))
