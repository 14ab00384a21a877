"""`status` on Cloud Run tells since when, how much and for how much money; where that cannot be read, why, and never nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloud import act, enable
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from homeport.cli.show import status_text
from homeport.results import Status
from homeport.targets.cloudrun import status_usage
from homeport.targets.cloudrun.endpoints import describe
from homeport.targets.cloudrun.status_usage import with_usage
from on_cloudrun import deployment

HERE, ELSEWHERE = "europe-west4", "us-central1"
QUERY = "monitoring.projects.location.prometheus.api.v1.query"


@dataclass
class Counted:
    """What answers in a Prometheus' place: half an hour and five requests here, ten times that in another region."""

    tokens: bool = True
    nothing: bool = False
    asked: list[str] = field(default_factory=list)

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        query = form["query"]
        self.asked.append(query)
        told: dict[str, float] = {"request_count": 5, "billable": 1800}
        if self.tokens:
            told |= {"vllm:prompt_tokens_total": 70, "vllm:generation_tokens_total": 30}
        value = next((value for name, value in told.items() if name in query), None)
        name = "namespace" if "vllm:" in query else "service_name"
        result = [
            {"metric": {name: "home", "location": region}, "value": [0, str(value * times)]}
            for region, times in {HERE: 1, ELSEWHERE: 10}.items()
            if value is not None and not self.nothing
        ]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.fixture
def deployer() -> Deployer:
    made = Deployer("vllm")
    made.up(made.wanted())
    enable(made.cloud, "monitoring")
    return made


def seen(deployer: Deployer, *, now: datetime | None = None) -> Status:
    google = google_for(deployer.cloud)
    if now is None:
        return act(deployment(google, deployer.wanted()).status())

    async def look() -> Status:
        return await with_usage(google, await describe(google, "home", HERE), now)

    return act(look())


def test_it_tells_since_when_how_many_requests_and_what_they_cost(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted()
    status = seen(deployer)
    assert status.started_at == deployer.service["createTime"]
    assert status.usd_per_hour is not None
    assert status.usd_per_hour > 0.5, "of a GPU"
    assert status.usage == {
        "requests": 5, "prompt_tokens": 70, "output_tokens": 30, "hours": 0.5,
        "usd": pytest.approx(status.usd_per_hour / 2, abs=1e-4),
    }  # fmt: skip
    assert status.usage_unknown == ""
    text = status_text(status)
    assert f"since     {status.started_at}" in text
    assert f"used for  requests 5, tokens in 70, out 30; cost ${status.usd_per_hour / 2:.2f}" in text
    assert f"price     ${status.usd_per_hour:.2f} an hour of each instance that runs" in text
    assert json.dumps(status.as_json())


def test_tokens_are_not_known_without_observe_and_a_service_that_nobody_asked_has_had_no_request(
    deployer: Deployer,
) -> None:
    deployer.cloud.metrics = Counted(tokens=False)
    assert "tokens in not known, out not known" in status_text(seen(deployer))
    deployer.cloud.metrics = Counted(nothing=True)
    usage = seen(deployer).usage
    assert usage is not None
    assert (usage["requests"], usage["usd"], usage["output_tokens"]) == (0, 0, None)


def test_what_is_counted_begins_with_the_service_or_six_weeks_ago(deployer: Deployer) -> None:
    made = datetime.fromisoformat(deployer.service["createTime"])
    measured = deployer.cloud.metrics = Counted()
    seen(deployer, now=made + timedelta(hours=2))
    assert all("[7200s]" in query for query in measured.asked)
    measured.asked.clear()
    long_after = made + timedelta(days=100)
    status = seen(deployer, now=long_after)
    assert all(f"[{42 * 86400}s]" in query for query in measured.asked)
    assert status.usage is not None
    since = (long_after - timedelta(days=42)).astimezone(UTC).isoformat(timespec="seconds")
    assert status.usage["since"] == since.replace("+00:00", "Z")
    assert f"counted since {status.usage['since']}" in status_text(status)


def _no_permission(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method=QUERY, status=403, times=99))


def _no_figures(cloud: Cloud) -> None:
    cloud.metrics = None


def _slow(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method=QUERY, status=503, times=99))


@pytest.mark.parametrize(
    ("happens", "told"),
    [
        (_no_permission, "it cannot be read from Cloud Monitoring: "),
        (_no_figures, "it cannot be read from Cloud Monitoring: "),
        (_slow, "did not answer within 0.05 s"),
    ],
)
def test_why_it_is_not_known_is_told_and_all_else_is_there(
    deployer: Deployer, happens: Callable[[Cloud], None], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployer.cloud.metrics = Counted()
    happens(deployer.cloud)
    if happens is _slow:
        monkeypatch.setattr(status_usage, "_PATIENCE_S", 0.05)
    status = seen(deployer)
    assert (status.usage, status.state, status.model) == (None, "ready", "gemma-4-taught")
    assert told in status.usage_unknown
    assert f"used for  not known: {status.usage_unknown}" in status_text(status)


def test_a_service_that_does_not_tell_its_age_has_no_figure_and_no_price_no_cost(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted()

    async def of(**other: Any) -> Status:  # Any: fields
        google = google_for(deployer.cloud)
        return await with_usage(google, replace(await describe(google, "home", HERE), **other))

    assert "when its service was made" in act(of(started_at=None)).usage_unknown
    priceless = act(of(usd_per_hour=None))
    assert "cost not known" in status_text(priceless)
