"""`observe.callers` on Cloud Run: the gateway that counts by caller, the series that are kept, their price, and where they are refused."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from gcp_rehearsal.faults import Fault
from homeport import spec
from homeport.catalog.prices import load
from homeport.errors import HomeportError, SpecError, Unsupported
from homeport.gateway.callers import MOST
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.usage import TokenUsage
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.observe.check import look
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.caller_probe import NOBODY
from identity_headers import bearer
from observed import WithObserve

OWN = {"homeport_caller_requests_total", "homeport_caller_tokens_total"}


def endpoints(deployer: WithObserve) -> dict[str, Any]:  # Any: JSON
    """What the sidecar asks, by port."""
    versions = [
        kept for kept in things(deployer.cloud) if kept.name.startswith("projects/rehearsal/secrets/home-observe/versions/")
    ]  # fmt: skip
    newest = max(versions, key=lambda kept: int(kept.name.rpartition("/")[2]))
    content = json.loads(next(value for value in newest.hidden.values() if isinstance(value, bytes)))
    return {endpoint["port"]: endpoint["metricRelabeling"] for endpoint in content["spec"]["endpoints"]}


def target(deployer: WithObserve, wanted: spec.Spec) -> CloudRunTarget:
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    return deployer.target(google_for(deployer.cloud), chosen, wanted)


def by_name(deployer: WithObserve) -> dict[str, Any]:
    return {one["name"]: one for one in deployer.service["template"]["containers"]}


def test_before_an_engine_that_counts_itself_the_gateway_counts_by_caller_at_a_port_of_its_own() -> None:
    deployer = WithObserve("vllm")
    _, after = deployer.up(deployer.observed(callers=True))
    assert after.pending == (), after.pending
    there = by_name(deployer)
    assert list(there) == ["serving", "metrics", "gateway"]
    assert "ports" not in there["serving"], "requests go to the gateway alone"
    assert {"--unscreened", "--metrics-inside", "--callers"} <= set(there["gateway"]["args"])
    assert there["gateway"]["env"] == [{"name": "HOMEPORT_METRICS_PORT", "value": "9465"}]
    engine = {one["name"]: one.get("value") for one in there["serving"]["env"]}
    assert engine["HOMEPORT_METRICS_PORT"] == "9464"
    assert there["metrics"]["dependsOn"] == ["gateway"]
    told = endpoints(deployer)
    assert list(told) == ["9464", "9465"]
    assert {name for name in OWN if re.fullmatch(told["9465"][0]["regex"], name)} == OWN
    assert not re.fullmatch(told["9465"][0]["regex"], "gen_ai_client_token_usage_sum")
    assert not any(re.fullmatch(told["9464"][0]["regex"], name) for name in OWN)


def test_an_engine_that_tells_nothing_has_one_gateway_for_all_of_it() -> None:
    deployer = WithObserve("ollama")
    _, after = deployer.up(deployer.observed(callers=True))
    assert after.pending == (), after.pending
    (gateway,) = [one for one in deployer.service["template"]["containers"] if one["name"] == "gateway"]
    assert gateway["env"] == [{"name": "HOMEPORT_METRICS_PORT", "value": "9464"}]
    assert "--callers" in gateway["args"]
    told = endpoints(deployer)
    assert list(told) == ["9464"]
    assert {name for name in OWN if re.fullmatch(told["9464"][0]["regex"], name)} == OWN


@pytest.mark.parametrize(("engine", "port"), [("vllm", "9465"), ("ollama", "9464")])
def test_a_gateway_that_screens_counts_by_caller_itself(engine: str, port: str) -> None:
    deployer = WithObserve(engine)
    table = {**deployer.wanted().model_dump(), "guard": {"screen": "local"}, "observe": {"callers": True}}
    made = target(deployer, spec.parse(table))
    (gateway,) = [container for container in made.beside if container.name == "gateway"]
    assert {"--callers", "--metrics-inside"} <= set(gateway.args)
    assert "--unscreened" not in gateway.args
    assert gateway.environment["HOMEPORT_METRICS_PORT"] == port


@pytest.mark.parametrize("engine", ["vllm", "ollama"])
def test_it_changes_no_panel_and_an_engine_that_is_down_is_not_hidden_by_its_gateway(engine: str) -> None:
    deployer = WithObserve(engine)
    without, with_it = (
        target(deployer, deployer.observed(**more)).observing for more in ({}, {"callers": True})
    )
    assert without is not None
    assert with_it is not None
    assert with_it.watched.panels() == without.watched.panels()
    differing = {
        one.name
        for one, other in zip(with_it.watched.alerts(), without.watched.alerts(), strict=True)
        if one != other
    }
    assert differing == ({"HomeportDown"} if engine == "vllm" else set())
    down = next(one for one in with_it.watched.alerts() if one.name == "HomeportDown")
    beside = ',instance!~".*:9465"' if engine == "vllm" else ""
    assert down.value == f'max(up{{namespace="home"{beside}}})'


@pytest.mark.parametrize("engine", ["vllm", "ollama"])
def test_a_plan_tells_every_series_of_a_gateway_with_more_callers_than_have_a_name(engine: str) -> None:
    deployer = WithObserve(engine)
    without, with_it = (
        target(deployer, deployer.observed(**more)).observing for more in ({}, {"callers": True})
    )
    assert without is not None
    assert with_it is not None
    metrics = GatewayMetrics("m", callers=True)
    for number in range(MOST + 9):
        header = [(b"authorization", bearer(f"c{number}@example.com")["authorization"].encode())]
        metrics.begun()
        metrics.ended("chat", 1.0, "", TokenUsage(1, 1), header)
    kept = sum(
        line.startswith("homeport_caller") and "_total{" in line
        for line in metrics.text().decode().splitlines()
    )
    # A second address is scraped, and each scrape tells five series of itself.
    assert with_it.series - without.series == kept + (5 if engine == "vllm" else 0)
    (fact,) = with_it.facts(load())
    data = fact.as_json()
    assert data["callers_usd_per_day"] == pytest.approx(
        with_it.series_of_callers * 2880 / 1e6 * 0.06, abs=1e-4
    )
    assert "sees who asked" in fact.text
    assert "what was counted stays after `down`" in fact.text
    (plain,) = without.facts(load())
    assert plain.as_json()["callers_usd_per_day"] is None
    assert "callers" not in plain.text


def test_without_it_the_gateway_goes_and_nothing_is_left_to_do() -> None:
    deployer = WithObserve("vllm")
    deployer.up(deployer.observed(callers=True))
    _, after = deployer.up(deployer.observed())
    assert after.pending == (), after.pending
    assert list(by_name(deployer)) == ["serving", "metrics"]
    assert list(endpoints(deployer)) == ["9464"]


class Measured:
    """What answers in a Prometheus' place: one sample to every query, but for what a test takes away."""

    def __init__(self) -> None:
        self.without: tuple[str, ...] = ()
        self.zero: tuple[str, ...] = ()
        """Of whose queries the sample is 0."""

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        now = time.time()
        if form["query"] == "time()":
            data: Any = {"resultType": "scalar", "result": [now, str(now)]}
        else:
            gone = any(one in form["query"] for one in self.without)
            value = "0" if any(one in form["query"] for one in self.zero) else "1"
            data = {"resultType": "vector", "result": [] if gone else [{"metric": {}, "value": [now, value]}]}
        return json.dumps({"status": "success", "data": data}).encode()


def test_a_look_finds_counts_by_caller_that_do_not_arrive_and_names_that_say_nothing() -> None:
    deployer, measured = WithObserve("vllm"), Measured()
    deployer.cloud.metrics = measured
    wanted = deployer.observed(callers=True)
    deployer.up(wanted)

    def looked() -> tuple[str, str]:
        watching = target(deployer, wanted).observing
        found = act(look(google_for(deployer.cloud), watching, deployer.service))
        (one,) = [finding for finding in found if finding.what == "callers"]
        return one.verdict, one.text

    assert looked() == ("ok", "they are counted, by the tokens that Cloud Run has looked at")
    measured.without = ('caller!="unknown"',)
    assert looked() == ("failed", "1 requests are counted, and of none is it known who sent it")
    measured.zero = ("sum(homeport_caller",)
    assert looked() == ("unknown", "no request for the model has been counted yet")
    measured.without = ("homeport_caller",)
    assert looked() == ("failed", "no counts by caller arrive, though the engine's do")
    measured.without = ("homeport_caller", "last_over_time(up{", "instance_count")
    assert looked()[0] == "unknown", "no instance runs"
    measured.without = ()
    (service,) = [kept for kept in things(deployer.cloud) if kept.name.endswith("/services/home")]
    service.body["invokerIamDisabled"] = True
    assert looked() == ("failed", "the service is open to everybody, who may write any name into a request")
    service.body["invokerIamDisabled"] = False
    viewers = {"bindings": [{"role": "roles/run.viewer", "members": ["allUsers"]}]}
    deployer.cloud.access.set_policy("run", service.name, viewers, at_once=True)
    assert looked()[0] == "unknown", "everybody may look, and it is not known here whether they may call"
    deployer.cloud.faults.append(Fault(method="run.projects.locations.services.getIamPolicy", status=403))
    assert looked()[0] == "unknown"


def test_a_look_tries_whether_a_made_up_name_is_believed_where_an_instance_counts() -> None:
    deployer, measured = WithObserve("vllm"), Measured()
    deployer.cloud.metrics = measured
    wanted = deployer.observed(callers=True)
    deployer.up(wanted)
    asked: list[str] = []

    def looked(answer: str | HomeportError) -> tuple[str, str] | None:
        async def taken_for() -> str:
            asked.append(str(answer))
            if isinstance(answer, HomeportError):
                raise answer
            return answer

        watching = target(deployer, wanted).observing
        found = act(look(google_for(deployer.cloud), watching, deployer.service, taken_for))
        ones = [finding for finding in found if finding.what == "callers' names"]
        assert all(one.hint for one in ones if one.verdict == "failed")
        return (ones[0].verdict, ones[0].text) if ones else None

    for mine in ("me@example.com", ""):
        believed = looked(mine)
        assert believed == ("ok", "a made-up one beside a token that Cloud Run looked at is not believed")
    forged = looked(NOBODY)
    assert forged is not None
    assert forged[0] == "failed"
    assert "is taken for whom he names in authorization" in forged[1]
    untold = looked(HomeportError("it answers 403"))
    assert untold == ("unknown", "whether a made-up one is believed was not told: it answers 403")
    asked.clear()
    measured.without = ("last_over_time(up{", "instance_count")
    assert looked(NOBODY) is None
    assert asked == [], "what sleeps is not woken"


def test_a_look_says_nothing_of_callers_that_nobody_wants_counted() -> None:
    deployer = WithObserve("vllm")
    deployer.cloud.metrics = Measured()
    deployer.up(deployer.observed())
    watching = target(deployer, deployer.observed()).observing
    found = act(look(google_for(deployer.cloud), watching, deployer.service))
    assert "callers" not in {finding.what for finding in found}


def test_where_anybody_is_let_in_nobody_is_known_and_it_is_refused() -> None:
    deployer = WithObserve("vllm")
    table = deployer.wanted().model_dump()
    table["access"] = {"public": True, "anyone_may_spend_my_money": True}
    with pytest.raises(Unsupported, match=r"access\.public lets everybody in without one"):
        target(deployer, spec.parse({**table, "observe": {"callers": True}}))


def test_without_metrics_it_is_refused() -> None:
    with pytest.raises(SpecError, match="callers goes by the metrics, and metrics = false"):
        WithObserve("vllm").observed(metrics=False, callers=True)


def test_a_plan_says_that_an_api_gateways_clients_count_as_one() -> None:
    deployer = WithObserve("vllm")
    table = {**deployer.wanted().model_dump(), "edge": {"kind": "api-gateway", "clients": ["ann"]}}
    as_one = "counts all clients of the API gateway as one"
    assert any(
        as_one in note for note in target(deployer, spec.parse({**table, "observe": {"callers": True}})).notes
    )
    assert not any(as_one in note for note in target(deployer, spec.parse({**table, "observe": {}})).notes)
