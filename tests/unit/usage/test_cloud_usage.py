"""What Cloud Monitoring has of an endpoint's use comes to days and revisions; the real Prometheus is asked in an integration test."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from homeport.engines.names import NAMES
from homeport.observe.query import PrometheusApi
from homeport.targets.cloudrun.front import names_on_cloud_run
from homeport.usage.cloud import by_caller, by_day, by_revision

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON - 43_200
NAMES_THERE = [names_on_cloud_run(engine) for engine in NAMES]


def server(asked: list[tuple[str, dict[str, str]]]) -> PrometheusApi:
    """One that answers each question with one request a day, and tokens only of today."""

    async def ask(path: str, form: Mapping[str, str]) -> Any:  # Any: JSON
        asked.append((path, dict(form)))
        query = form["query"]
        tokens = "token" in query
        labels = {"location": "us-central1", "namespace" if tokens else "service_name": "home"}
        labels |= {"revision_name": "home-00001"} if "revision_name" in query else {}
        value = "NaN" if "startup" in query else "7.0004"
        if path == "query":
            return {"data": {"resultType": "vector", "result": [{"metric": labels, "value": [NOON, value]}]}}
        points = [] if tokens else [[MIDNIGHT - 86_400, "0"], [MIDNIGHT, value]]
        return {"data": {"resultType": "matrix", "result": [{"metric": labels, "values": points}]}}

    return PrometheusApi(ask, "a server")


def test_days_end_at_midnight_the_last_one_now_and_what_was_not_measured_is_not_there() -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    found = asyncio.run(by_day(server(asked), NAMES_THERE, days=3, now=NOON))
    assert [(one.service, one.when) for one in found] == [("home", "2026-11-28"), ("home", "2026-11-29")]
    yesterday, today = (dict(one.figures) for one in found)
    assert set(yesterday) == {"requests", "seconds"}
    assert set(today) == {"requests", "seconds", "prompt_tokens", "output_tokens"}
    ranges = [form for path, form in asked if path == "query_range"]
    assert {(form["start"], form["end"], form["step"]) for form in ranges} == {
        (f"{MIDNIGHT - 86_400:.3f}", f"{MIDNIGHT:.3f}", "86400s")
    }
    assert all("[86400s]" in form["query"] for form in ranges)
    assert all("[43200s]" in form["query"] for path, form in asked if path == "query")


def test_one_day_asks_for_today_alone_and_a_minute_after_midnight_for_a_minute() -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    asyncio.run(by_day(server(asked), NAMES_THERE, days=1, now=MIDNIGHT + 3))
    assert {path for path, _ in asked} == {"query"}
    assert all("[60s]" in form["query"] for _, form in asked)


def test_revisions_are_told_apart_and_labels_of_a_name_stay() -> None:
    asked: list[tuple[str, dict[str, str]]] = []
    (one,) = asyncio.run(by_revision(server(asked), NAMES_THERE, days=30))
    assert (one.service, one.region, one.revision) == ("home", "us-central1", "home-00001")
    queries = " ".join(form["query"] for _, form in asked)
    assert (
        'increase(gen_ai_client_token_usage_sum{gen_ai_token_type="input",cluster="__run__"}[2592000s])'
        in queries
    )
    assert 'increase(vllm:prompt_tokens_total{cluster="__run__"}[2592000s])' in queries
    assert (
        "sum by (service_name, location, revision_name) (increase(run_googleapis_com:request_count" in queries
    )


def test_callers_counts_are_read_as_they_stand_less_what_they_were_before() -> None:
    asked: list[str] = []

    async def ask(path: str, form: Mapping[str, str]) -> Any:  # Any: JSON
        asked.append(form["query"])
        label, words = ("tokens_told", {"yes": "3", "no": "2", "new": "9"})
        if "tokens_total" in form["query"]:
            label, words = ("gen_ai_token_type", {"input": "40", "output": "NaN"})
        labels = {"location": "us-central1", "namespace": "home", "caller": "ann@example.com"}
        told = [{"metric": labels | {label: word}, "value": [NOON, value]} for word, value in words.items()]
        return {"data": {"resultType": "vector", "result": told}}

    (one,) = asyncio.run(by_caller(PrometheusApi(ask, "a server"), days=2))
    assert (one.service, one.region, one.caller) == ("home", "us-central1", "ann@example.com")
    assert dict(one.figures) == {"requests": 5, "untold": 2, "prompt_tokens": 40}
    series = 'homeport_caller_requests_total{cluster="__run__"}'
    most = f"max_over_time({series}[172800s])"
    assert (
        f"sum by (namespace, location, caller, tokens_told) ({most} - ({series} offset 172800s) or {most})"
        in asked
    )
