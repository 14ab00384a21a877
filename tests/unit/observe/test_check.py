"""`observe check`: each of the faults that there are between an engine and an alert is named, with what to do."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from homeport.engines.names import NAMES
from homeport.engines.registry import module
from homeport.errors import HomeportError, Unsupported
from homeport.json_types import Json, JsonObject
from homeport.observe.check import ObserveFinding, check
from homeport.observe.objectives import service_levels
from homeport.observe.panels import Watched
from homeport.observe.query import PrometheusApi
from homeport.spec import ObserveSlo

TELLING = [name for name in NAMES if module(name).METRICS is not None]


@dataclass
class Answers:
    """A Prometheus whose every query has data, but for what a test takes away. What it does is the real one's by tests/contract."""

    watched: Watched
    up: str | None = "1"
    skew: float = 0.0
    without: str = "(nothing is taken away)"
    nothing_yet: bool = False
    rules: dict[str, JsonObject] = field(default_factory=dict)
    unloaded: tuple[str, ...] = ()
    refuses: bool = False

    async def __call__(self, path: str, form: Mapping[str, str]) -> Json:
        if self.refuses:
            return {"status": "error", "error": "query processing would load too many samples"}
        if path == "rules":
            return {"status": "success", "data": {"groups": [{"rules": self._rules()}]}}
        query, now = form["query"], time.time() + self.skew
        if query == "time()":
            return {"status": "success", "data": {"resultType": "scalar", "result": [now, str(now)]}}
        value: str | None = "NaN" if self.nothing_yet else "1"
        if query.startswith("up{"):
            value = self.up
        elif self.without in query:
            value = None
        result = [{"metric": {"instance": "127.0.0.1:8383"}, "value": [now, value]}] if value else []
        return {"status": "success", "data": {"resultType": "vector", "result": result}}

    def _rules(self) -> list[JsonObject]:
        return [
            {"name": one.name, "type": "alerting", "query": one.query, "labels": {"namespace": "home"}, "state": "inactive",
             "health": "ok", **self.rules.get(one.name, {})}
            for one in self.watched.alerts() if one.name not in self.unloaded
        ]  # fmt: skip


@pytest.fixture(params=TELLING)
def answers(request: pytest.FixtureRequest) -> Answers:
    engine = module(request.param)
    assert engine.METRICS is not None
    slo = ObserveSlo(availability=0.99, ttft="2s" if engine.METRICS.ttft else None)
    levels = service_levels("home", engine.TITLE, engine.METRICS, slo, front=False)
    return Answers(Watched("home", engine.METRICS, levels))


def looked(answers: Answers) -> dict[str, ObserveFinding]:
    found = asyncio.run(check(answers.watched, PrometheusApi(answers, "a Prometheus")))
    assert all(one.hint for one in found if one.verdict == "failed")
    return {one.what: one for one in found}


def failures(answers: Answers) -> dict[str, str]:
    return {what: one.text for what, one in looked(answers).items() if one.verdict == "failed"}


def test_nothing_is_found_where_nothing_is_wrong(answers: Answers) -> None:
    assert {one.verdict for one in looked(answers).values()} == {"ok"}


def test_a_latency_of_no_requests_is_not_known_and_no_fault(answers: Answers) -> None:
    answers.nothing_yet = True
    verdicts = {what: one.verdict for what, one in looked(answers).items()}
    assert verdicts["panel: Tokens a second"] == "unknown"
    assert "failed" not in verdicts.values()


def test_an_endpoint_that_is_not_scraped(answers: Answers) -> None:
    answers.up = None
    assert "does not scrape home" in failures(answers)["samples"]


def test_an_engine_that_is_gone_or_lets_nobody_in(answers: Answers) -> None:
    answers.up = "0"
    assert "gets no metrics from 127.0.0.1:8383" in failures(answers)["samples"]


def test_another_server_at_its_address(answers: Answers) -> None:
    answers.without = "count("
    assert "none of the engine's series" in failures(answers)["samples"]


def test_a_series_of_another_name_empties_its_panel_and_disarms_its_alert(answers: Answers) -> None:
    (waiting,) = answers.watched.names.waiting
    answers.without = f"{waiting}{{"
    found = failures(answers)
    assert "waiting has no data" in found["panel: Requests"]
    assert "cannot fire" in found["alert: HomeportQueue"]
    assert len(found) == 2


def test_a_bucket_that_this_version_does_not_have_disarms_the_alerts_on_its_budget() -> None:
    engine = module("vllm")
    assert engine.METRICS is not None
    levels = service_levels("home", engine.TITLE, engine.METRICS, ObserveSlo(ttft="2s"), front=False)
    answers = Answers(Watched("home", engine.METRICS, levels), without='le=~"2[.]5"')
    found = failures(answers)
    assert set(found) == {
        "alert: HomeportFirstTokenFastBurn", "alert: HomeportFirstTokenSlowBurn", "panel: Error budget used up in an hour",
    }  # fmt: skip
    assert "cannot fire" in found["alert: HomeportFirstTokenSlowBurn"]


def test_what_nobody_has_asked_for_is_not_known_where_cloud_run_counts() -> None:
    engine = module("vllm")
    assert engine.METRICS is not None
    levels = service_levels("home", engine.TITLE, engine.METRICS, ObserveSlo(availability=0.99), front=True)
    answers = Answers(Watched("home", engine.METRICS, levels), without="request_count{")
    verdicts = {what: one.verdict for what, one in looked(answers).items()}
    assert verdicts["alert: HomeportAvailabilityFastBurn"] == "unknown"
    assert verdicts["panel: Error budget used up in an hour"] == "unknown"
    assert "failed" not in verdicts.values()


def test_an_engine_that_does_not_time_first_tokens_is_refused_in_words() -> None:
    engine = module("llamacpp")
    assert engine.METRICS is not None
    with pytest.raises(Unsupported, match=r"does not tell how long first tokens take.*observe\.slo\.ttft"):
        service_levels("home", engine.TITLE, engine.METRICS, ObserveSlo(ttft="2s"), front=False)


def test_a_rule_that_was_not_loaded(answers: Answers) -> None:
    answers.unloaded = ("HomeportQueue",)
    assert failures(answers) == {"alert: HomeportQueue": "Prometheus has not loaded its rule"}


def test_a_rule_of_another_version(answers: Answers) -> None:
    answers.rules = {"HomeportQueue": {"query": 'sum(other{namespace="home"}) > 0'}}
    assert "says something else: sum(other" in failures(answers)["alert: HomeportQueue"]


def test_a_rule_that_fails(answers: Answers) -> None:
    answers.rules = {"HomeportQueue": {"health": "err", "lastError": "many-to-many matching"}}
    assert failures(answers) == {"alert: HomeportQueue": "its rule fails: many-to-many matching"}


def test_an_alert_that_fires(answers: Answers) -> None:
    answers.rules = {"HomeportQueue": {"state": "firing"}}
    assert "it fires now: requests have waited" in failures(answers)["alert: HomeportQueue"]


@pytest.mark.parametrize("skew", [-3600, 45])
def test_clocks_that_differ(answers: Answers, skew: float) -> None:
    answers.skew = skew
    assert re.search(r"clock of a Prometheus is [+-]\d+ s from this machine's", failures(answers)["clock"])


def test_a_prometheus_that_refuses_is_told_and_is_not_no_data(answers: Answers) -> None:
    answers.refuses = True
    with pytest.raises(HomeportError, match="too many samples"):
        looked(answers)


def test_two_endpoints_are_told_apart_and_a_former_series_has_no_panel(answers: Answers) -> None:
    one, other = answers.watched, Watched("other", answers.watched.names)
    one = Watched(one.name, one.names)
    queries = [curve.query for panel in one.panels() for curve in panel.curves] + [
        a.query for a in one.alerts()
    ]
    assert all('{namespace="home"}' in query for query in queries)
    assert not any('namespace="other"' in query for query in queries)
    assert len(other.panels()) == len(one.panels())
    assert not any(name in query for query in queries for name in one.names.former)
