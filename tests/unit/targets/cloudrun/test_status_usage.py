"""`status` on Cloud Run tells since when, how much and for how much money; where that cannot be read, why, and never nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from cloud import act, enable
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from homeport.cli import bench
from homeport.cli.show import status_text
from homeport.deployment import Deployment
from homeport.mcp.changing import ChangingTools
from homeport.mcp.scope import Scope
from homeport.results import RegionState, Status
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
    missing: str = ""
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
            if value is not None and not self.nothing and not (self.missing and self.missing in query)
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


def test_of_several_regions_it_tells_what_all_of_them_came_to(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted()
    google = google_for(deployer.cloud)
    here = RegionState(
        region=HERE, state="ready", model="m", traffic={}, verified=None, closed=True, usd_per_hour=1.0
    )

    async def used(there: RegionState) -> Status:
        return await with_usage(google, replace(await describe(google, "home", HERE), regions=(here, there)))

    both = act(used(replace(here, region=ELSEWHERE, usd_per_hour=2.0)))
    assert both.usage == {
        "requests": 55, "prompt_tokens": 770, "output_tokens": 330, "hours": 5.5, "usd": 0.5 + 10.0
    }  # fmt: skip
    unpriced = act(used(replace(here, region=ELSEWHERE, usd_per_hour=None))).usage
    assert unpriced is not None
    assert (unpriced["hours"], unpriced["usd"]) == (5.5, None)


def test_a_region_that_nobody_asked_adds_nothing_and_keeps_no_figure_of_the_others_back(
    deployer: Deployer,
) -> None:
    deployer.cloud.metrics = Counted()
    google = google_for(deployer.cloud)
    here = RegionState(
        region=HERE, state="ready", model="m", traffic={}, verified=None, closed=True, usd_per_hour=1.0
    )

    async def used(never_asked: RegionState) -> Status:
        status = await describe(google, "home", HERE)
        return await with_usage(google, replace(status, regions=(here, never_asked)))

    both = act(used(replace(here, region="asia-southeast1", usd_per_hour=None)))
    assert both.usage == {
        "requests": 5, "prompt_tokens": 70, "output_tokens": 30, "hours": 0.5, "usd": 0.5
    }  # fmt: skip
    kept = act(used(replace(here, region="asia-southeast1", min_instances=1))).usage
    assert kept is not None
    assert (kept["output_tokens"], kept["hours"], kept["usd"]) == (None, None, None), "it runs"


def test_tokens_are_not_known_without_observe_and_a_service_that_nobody_asked_has_had_no_request(
    deployer: Deployer,
) -> None:
    deployer.cloud.metrics = Counted(tokens=False)
    assert "tokens in not known, out not known" in status_text(seen(deployer))
    deployer.cloud.metrics = Counted(nothing=True)
    usage = seen(deployer).usage
    assert usage is not None
    assert (usage["requests"], usage["usd"], usage["output_tokens"]) == (0, 0, None)


def test_what_it_cost_is_not_known_where_its_seconds_are_not_counted(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted(missing="billable")
    status = seen(deployer)
    assert status.usage is not None
    assert (status.usage["requests"], status.usage["hours"], status.usage["usd"]) == (5, None, None)
    assert "requests 5, tokens in 70, out 30; cost not known" in status_text(status)
    deployer.cloud.metrics = Counted(missing="request_count")
    assert "requests not known, tokens in 70" in status_text(seen(deployer))


def test_an_instance_that_always_runs_costs_something_before_it_is_counted(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted(nothing=True)
    google = google_for(deployer.cloud)

    async def kept(least: int) -> Status:
        return await with_usage(google, replace(await describe(google, "home", HERE), min_instances=least))

    assert "requests 0, tokens in not known, out not known; cost not known" in status_text(act(kept(1)))
    assert "cost $0.00" in status_text(act(kept(0)))


def test_how_many_instances_always_run_is_told(deployer: Deployer) -> None:
    deployer.cloud.metrics = Counted(nothing=True)
    assert seen(deployer).min_instances == 0
    deployer.service["template"].setdefault("scaling", {})["minInstanceCount"] = 1
    warm = seen(deployer)
    assert (warm.min_instances, warm.usage and warm.usage["usd"]) == (1, None)


def test_what_it_was_used_for_is_not_asked_by_those_who_want_something_else(deployer: Deployer) -> None:
    measured = deployer.cloud.metrics = Counted()
    google = google_for(deployer.cloud)
    status = act(deployment(google, deployer.wanted()).status(usage=False))
    assert (status.state, status.usage, status.usage_unknown, measured.asked) == ("ready", None, "", [])


def test_a_bench_asks_for_its_engine_and_an_agent_for_what_would_serve_again_and_neither_for_metrics(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = deployer.cloud.metrics = Counted()
    google, wanted = google_for(deployer.cloud), deployer.wanted()

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Deployment]:
        yield deployment(google, wanted)

    monkeypatch.setattr(Scope, "opened", opened)
    call: Any = SimpleNamespace(report_progress=None)
    tools = ChangingTools(Scope(Path()))
    with pytest.raises(ToolError, match="nothing of home was verified before what serves now"):
        asyncio.run(tools.rollback(call))
    _, served = act(bench._opened("cloudrun")(deployment(google, wanted)))
    assert served.engine == "vllm"
    assert measured.asked == []


def test_an_agent_is_refused_a_way_back_that_is_not_known(
    deployer: Deployer, monkeypatch: pytest.MonkeyPatch
) -> None:
    google, wanted = google_for(deployer.cloud), deployer.wanted()
    deployer.up(deployer.wanted(context=512))

    @asynccontextmanager
    async def opened(*_: object) -> AsyncIterator[Deployment]:
        yield deployment(google, wanted)

    monkeypatch.setattr(Scope, "opened", opened)
    call: Any = SimpleNamespace(report_progress=None)
    tools = ChangingTools(Scope(Path()))
    assert asyncio.run(tools.rollback(call)).plan["regions"] == {}
    deployer.cloud.faults.append(Fault(method="run.*revisions.list", status=403, times=99))
    with pytest.raises(ToolError, match="what would serve again is not known"):
        asyncio.run(tools.rollback(call))


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
