"""
A rehearsed endpoint whose engine tells nothing: the gateway before it counts, a real Prometheus measures in the sidecar's place,
and it is watched as any other, from plan to down. `make test-observe` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from commands_on_cloudrun import FILE
from gcloud import served
from observed_by_commands import Observed, until_observed
from prometheus import program
from user import User

pytestmark = [pytest.mark.observe, pytest.mark.lasts(71)]

OBSERVE = """
[observe]
alerts = ["mailto:ops@example.com"]
slo = {ttft = "2s", availability = 0.99}
traces = true
"""


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = Observed(user, rehearsal)
        user.write(FILE + OBSERVE)
        yield made


def used(cloud: Observed) -> list[dict[str, Any]]:  # Any: JSON
    """What was used, after one more answer: `homeport chat` asks its stream for the tokens, without which nobody could count them."""
    cloud.run("chat", "What is the capital of France?", "--max-tokens", "4")
    return list(cloud.run("usage", "--json").json)


def of(days: Sequence[Mapping[str, Any]], figure: str) -> float:  # Any: JSON
    """A figure of all days: they are two where midnight was between."""
    return float(sum(day[figure] or 0 for day in days))


def test_the_whole_life_of_an_engine_that_tells_nothing_and_is_watched_all_the_same(cloud: Observed) -> None:
    planned = cloud.run("plan", "--json").json
    assert planned["facts"]["observe"]["series"] > 20
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    outcomes = {one["name"]: one["outcome"] for one in report["results"]}
    assert outcomes["metrics"] == "passed"
    assert cloud.run("plan", "--json").json["changes_pending"] is False

    good = until_observed(
        cloud.asked_and_looked,
        lambda seen: {what for what, one in seen.items() if one["verdict"] != "ok"} <= {"alert: HomeportStalled"},
    )  # fmt: skip
    assert not cloud.failed(good), good
    assert {what for what, one in good.items() if one["verdict"] != "ok"} <= {"alert: HomeportStalled"}
    assert good["traces"]["verdict"] == "ok"
    (seen,) = cloud.run("top", "--once", "--json").json
    assert seen["instances"] == 1
    assert seen["figures"]["requests"] >= 1
    assert seen["figures"]["prompt_tokens"] > 0
    assert seen["figures"]["output_tokens"] >= 4
    assert 0 < seen["rates"]["ttft_s"] < 60

    # What a counter had when it was first seen is no increase: so it is asked again, as those who use it do.
    days = until_observed(
        lambda: used(cloud),
        lambda rows: of(rows, "starts") and of(rows, "prompt_tokens") and of(rows, "output_tokens") >= 4,
    )
    assert {(day["on"], day["endpoint"]) for day in days} == {("cloudrun", "demo")}
    assert of(days, "requests") >= 1
    assert of(days, "prompt_tokens") > 0
    assert of(days, "output_tokens") >= 4
    assert of(days, "starts") >= 1
    assert 0 < of(days, "hours") < 1
    assert of(days, "usd") == pytest.approx(of(days, "hours") * seen["usd_per_hour"], rel=0.01)
    (model,) = cloud.run("usage", "demo", "--by", "model", "--json").json
    assert (model["key"], model["requests"] >= 1) == ("first", True)
    (caller,) = cloud.run("usage", "--by", "caller", "--json").json
    assert caller["key"] == "not known"
    assert "no endpoint called other is in" in cloud.run("usage", "other", "--json", code=20).err
    assert cloud.run("usage", "--csv").out.startswith("day,endpoint,on,requests")

    assert "left: nothing" in cloud.run("down", "--yes", "--purge").err
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")
