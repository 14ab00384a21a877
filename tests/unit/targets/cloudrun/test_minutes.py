"""What a plan for Cloud Run says of how long `up` takes, and how `up` tells where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.catalog.durations import durations
from homeport.cli.show_duration import expected_of, explained
from homeport.progress import Silent
from homeport.reconcile import Plan, apply
from homeport.reconcile.duration_fact import DurationFact
from homeport.reconcile.graph import all_needs
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.plan import plan_of
from homeport.terminal import Terminal
from ways import Carrying, Way, wanted


def planned(way: Way, folder: Path, *, twice: bool = False) -> Plan:
    """The plan of a first `up` by that way; or of the next one."""

    async def prove(*_: object) -> Receipt:
        return Receipt(at="2026-11-25T00:00:00", passed=True, counts={"passed": 20})

    wish = wanted(way, folder)

    async def work() -> Plan:
        cloud = Cloud(delays=AT_ONCE, steps=Carrying())
        async with google_for(cloud) as google:
            target = wish.target(google, prove)
            plan, _ = await plan_of(target)
            if twice:
                await apply(plan, Silent())
                plan, _ = await plan_of(target)
            return plan

    return act(work())


def fact_of(plan: Plan) -> DurationFact:
    (fact,) = [one for one in plan.facts if isinstance(one, DurationFact)]
    return fact


def test_a_build_with_weights_is_what_the_way_with_a_baked_image_waits_for(tmp_path: Path) -> None:
    fact = fact_of(planned("ollama", tmp_path))
    steps = {step.id: step for step in fact.steps}
    assert (steps["image/serving"].low_s, steps["image/serving"].high_s) == (900, 1200)
    assert steps["image/serving"].critical
    assert steps["service/home"].critical
    assert fact.low_s is not None
    assert fact.low_s > 900
    # Nobody published them, and weights of this machine go as fast as its network sends.
    assert {"apis", "release/home", "weights/model"} <= set(fact.not_known)


def test_an_image_that_is_not_built_has_no_figure_and_the_start_is_that_of_the_plan(tmp_path: Path) -> None:
    plan = planned("vllm", tmp_path)
    fact, start = fact_of(plan), plan.as_json()["facts"]["cold_start"]
    steps = {step.id: step for step in fact.steps}
    assert steps["image/serving"].high_s is None
    assert (steps["service/home"].low_s, steps["service/home"].high_s) == (start["low_s"], start["high_s"])
    told: Any = plan.as_json()["facts"]["duration"]  # Any: JSON
    assert told["steps"][0]["id"] == "apis"
    assert told["steps"][0]["low_s"] is None


def test_every_figure_has_a_range_and_a_source_and_a_size_that_nobody_measured_has_none() -> None:
    table = durations()
    for kind in table.steps:
        span = table.of(kind, size=10_000_000_000)
        assert span is not None
        assert 0 <= span.low_s <= span.high_s
        assert span.source
        assert span.how
    weights = table.of("weights", 10_200_000_000)
    assert weights is not None
    # The lab's own 2 to 3 minutes lie within it.
    assert weights.low_s <= 120
    assert weights.high_s >= 180
    assert table.of("image with weights", 60_000_000_000) is None
    assert table.of("bucket") is None


@pytest.mark.parametrize("way", ["ollama", "vllm"])
def test_weights_wait_neither_for_the_network_nor_for_the_image(way: Way, tmp_path: Path) -> None:
    plan = planned(way, tmp_path)
    needs = all_needs(action.resource for action in plan.actions)["weights/model"]
    kinds = {id_.partition("/")[0] for id_ in needs}
    assert not {"network", "subnetwork", "image", "service"} & kinds
    assert not {one for one in needs if "zone" in one or "record" in one}


def test_the_longest_way_is_explained_with_what_goes_on_beside_it(tmp_path: Path) -> None:
    plan = planned("ollama", tmp_path)
    way, _, aside = explained(plan).partition("beside it")
    assert "image/serving" in way
    assert "15 to 20 min" in way
    assert "network/home" in aside
    assert "5 to 30 s" in aside
    assert "sources:\n  [1] " in aside


def test_where_nothing_is_to_do_nothing_takes_time(tmp_path: Path) -> None:
    plan = planned("vllm", tmp_path, twice=True)
    assert not plan.pending
    assert "duration" not in plan.as_json()["facts"]
    assert explained(plan) == "there is nothing to wait for"
    assert expected_of(plan) == ""


def test_without_a_terminal_each_end_says_where_the_whole_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.expect("8 to 15 min")
    terminal.started("a", "creating a")
    terminal.finished("a", "created a")
    terminal.expect("")
    terminal.started("b", "creating b")
    terminal.finished("b", "created b")
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "  ✓ created a (0.0 s; 0 s of 8 to 15 min)"
    assert said[2] == "  all of it: 0 s of 8 to 15 min"
    assert said[4] == "  ✓ created b (0.0 s)"


def test_on_a_terminal_a_line_of_its_own_counts_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    terminal = Terminal()
    terminal.expect("8 to 15 min")
    try:
        terminal.started("a", "creating a")
        bars = terminal._bars
        assert bars is not None
        first, second = bars.tasks
        assert first.description == "all of it: 8 to 15 min expected"
        assert second.description == "creating a"
    finally:
        terminal.close()
