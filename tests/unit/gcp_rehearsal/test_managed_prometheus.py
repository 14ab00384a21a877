"""What the rehearsal reads of the sidecar's settings, what Cloud Run counts, and that queries without a Prometheus are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloud import Raw, act
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.runtime.request_counts import RequestCounts
from gcp_rehearsal.runtime.run_monitoring import NotUnderstood, read
from homeport.engines.registry import module
from homeport.observe.panels import Watched
from homeport.observe.sidecar import run_monitoring

QUERY = "monitoring.googleapis.com/v1/projects/rehearsal/location/global/prometheus/api/v1/query"
REVISION = {
    "name": "projects/p/locations/europe-west4/services/home/revisions/home-00001-abc",
    "service": "projects/p/locations/europe-west4/services/home",
}
GOOD: dict[str, Any] = {
    "apiVersion": "monitoring.googleapis.com/v1beta",
    "kind": "RunMonitoring",
    "metadata": {"name": "x"},
    "spec": {"endpoints": [{"port": "9464", "interval": "30s", "timeout": "10s"}]},
}


def test_homeports_own_settings_are_understood() -> None:
    names = module("vllm").METRICS
    assert names is not None
    told = read(run_monitoring(Watched("home", names), 9464).encode())
    (endpoint,) = told.endpoints
    assert (told.name, endpoint.port, endpoint.interval_s, endpoint.timeout_s) == (
        "homeport-home",
        9464,
        30,
        10,
    )
    assert {one["action"] for one in endpoint.rules} == {"keep", "drop"}
    assert all(one["source_labels"] for one in endpoint.rules)
    known = {"revision": "r", "instance": "i", "service": "s", "configuration": "c"}
    assert told.labels(known) == {"revision_name": "r"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"specs": {}}, "unknown key: specs"),
        ({"kind": "PodMonitoring"}, "not those of a RunMonitoring"),
        ({"spec": {"endpoints": [{"port": "1", "paths": "/"}]}}, "unknown key: paths"),
        ({"spec": {"endpoints": [{"port": "1", "interval": "5s", "timeout": "10s"}]}}, "longer than its interval"),
        ({"spec": {"endpoints": [{"port": "http"}]}}, "no port"),
        ({"spec": {"endpoints": [{"port": "1", "interval": "often"}]}}, "no duration"),
        ({"spec": {"endpoints": [{"port": "1", "metricRelabeling": [{"targetLabel": "namespace"}]}]}}, "protected"),
        ({"spec": {"targetLabels": {"metadata": ["pod"]}}}, "has no pod"),
        ({"spec": []}, "is no object"),
    ],
)  # fmt: skip
def test_what_the_sidecar_would_end_on_is_not_understood(change: dict[str, Any], told: str) -> None:
    if change == {"spec": []}:
        change = {"spec": ["x"]}
    with pytest.raises(NotUnderstood, match=told):
        read(json.dumps({**GOOD, **change}).encode())


def test_a_file_that_is_no_json_is_said_to_be_beyond_the_rehearsal() -> None:
    with pytest.raises(NotUnderstood, match="reads no other YAML"):
        read(b"apiVersion: monitoring.googleapis.com/v1beta\n")


def test_a_count_is_told_as_0_before_it_is_told_so_that_a_prometheus_sees_it_grow() -> None:
    counts = RequestCounts()
    counts.add(REVISION, 503)
    counts.add(REVISION, 503)
    first, second = counts.text([(REVISION, True)]), counts.text([(REVISION, False)])
    assert 'service_name="home"' in first
    assert first.count('response_code="503",response_code_class="5xx"} 0\n') == 1
    assert second.count('response_code="503",response_code_class="5xx"} 2\n') == 1
    assert 'state="active"} 1\n' in first
    assert 'state="active"} 0\n' in second


def test_time_is_billed_and_starts_are_counted_from_the_first_look_on() -> None:
    now = [0.0]
    counts = RequestCounts(lambda: now[0])

    def told(running: int) -> tuple[float, float]:
        text = counts.text([(REVISION, True)] * running)
        now[0] += 10
        found = {
            line.partition("{")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if "{" in line
        }
        return (
            found["run_googleapis_com:container_billable_instance_time"],
            found["run_googleapis_com:container_startup_latencies_count"],
        )

    assert told(1) == (0, 0)
    assert told(1) == (10, 1)
    assert told(2) == (30, 2)
    assert told(0) == (30, 2)
    assert told(1)[1] == 3


def test_without_a_prometheus_a_query_is_a_501_that_says_what_is_missing() -> None:
    refused = act(Raw(Cloud(delays=AT_ONCE)).send("POST", QUERY, {"query": "up"}))
    assert refused.status == 501
    assert "no `prometheus` is on the PATH" in refused.error


@pytest.mark.parametrize("query", ['count({__name__=~"vllm:.*"})', '{job="x", __name__!="up"}'])
def test_names_of_metrics_are_matched_in_full_alone(query: str) -> None:
    class Measured:
        def query(self, path: str, form: object) -> bytes:
            raise AssertionError("it is refused before")

    cloud = Cloud(delays=AT_ONCE, metrics=Measured())
    refused = act(Raw(cloud).send("POST", QUERY, {"query": query}))
    assert refused.status == 400
    assert "only exact matching on metric names" in refused.error
