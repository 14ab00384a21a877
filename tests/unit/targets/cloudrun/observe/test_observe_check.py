"""`observe check` on Cloud Run: each fault between an engine and an alert is named, in a cloud that measures what a test says."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from homeport.errors import HomeportError, SpecError
from homeport.google import IamResource
from homeport.google.policy import Binding, revoke
from homeport.home import find_home
from homeport.observe.check import ObserveFinding
from homeport.progress import Silent
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.observe.check import look
from homeport.targets.cloudrun.observe.sidecar import Observing
from observed import WithObserve
from regions import SECOND, InTwoRegions

OPS = "mailto:ops@example.com"
WANTED: dict[str, Any] = {"alerts": [OPS], "slo": {"ttft": "2s", "availability": 0.99}}
SECRET = "projects/rehearsal/secrets/home-observe"


@dataclass
class Measured:
    """What answers in a Prometheus' place: every query has data, but for what a test takes away. The real one is tested elsewhere."""

    up: str | None = "1"
    without: tuple[str, ...] = ()
    instances: str = "1"
    holds: str = "(no condition holds)"
    broken: bool = False
    nowhere: str = ""
    """Labels of which nothing is up; '' for none."""

    def query(self, path: str, form: Mapping[str, str]) -> bytes:
        assert path == "query"
        query, now = form["query"], time.time()
        if self.broken:
            return b'{"status": "success", "data": {}}'
        if query == "time()":
            return json.dumps(
                {"status": "success", "data": {"resultType": "scalar", "result": [now, str(now)]}}
            ).encode()
        value: str | None = "1"
        if query.startswith("last_over_time(up{"):
            value = None if self.nowhere and self.nowhere in query else self.up
        elif "instance_count" in query:
            value = self.instances
        elif query.startswith("count("):
            value = None if "count(" in self.without else "1"
        elif re.search(r"(> [0-9.]+|== 0)$", query):
            value = "1" if self.holds in query else None
        elif any(one in query for one in self.without):
            value = None
        result = [{"metric": {}, "value": [now, value]}] if value else []
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.fixture
def deployer() -> WithObserve:
    made = WithObserve("vllm")
    made.cloud.metrics = Measured()
    made.up(made.observed(**WANTED))
    return made


def measured(deployer: WithObserve) -> Measured:
    found = deployer.cloud.metrics
    assert isinstance(found, Measured)
    return found


def observing(deployer: WithObserve) -> Observing:
    wanted = deployer.observed(**WANTED)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    found = deployer.target(google_for(deployer.cloud), chosen, wanted).observing
    assert found is not None
    return found


def looked(deployer: WithObserve) -> dict[str, ObserveFinding]:
    found = act(look(google_for(deployer.cloud), observing(deployer), deployer.service))
    assert all(one.hint for one in found if one.verdict == "failed")
    return {one.what: one for one in found}


def failures(deployer: WithObserve) -> dict[str, str]:
    return {what: one.text for what, one in looked(deployer).items() if one.verdict == "failed"}


def policy(deployer: WithObserve, part: str) -> Any:  # Any: JSON
    (found,) = [
        one.body for one in things(deployer.cloud) if one.body.get("userLabels", {}).get("homeport-part") == part
    ]  # fmt: skip
    return found


def test_nothing_is_found_where_nothing_is_wrong(deployer: WithObserve) -> None:
    found = looked(deployer)
    assert {one.verdict for one in found.values()} == {"ok"}
    assert sum(what.startswith("alert: ") for what in found) == 10


def test_of_several_regions_each_is_asked_for_its_own_samples(tmp_path: Path) -> None:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.tables = {"observe": WANTED}
    deployer.cloud.metrics = Measured()
    deployer.up(deployer.in_both())

    def found() -> dict[str, str]:
        wanted = deployer.lifecycle(google_for(deployer.cloud), deployer.in_both())
        return {one.what: f"{one.verdict} {one.text}" for one in act(wanted.observed())}

    there = f"samples in {SECOND}"
    assert {one.partition(" ")[0] for one in found().values()} == {"ok"}
    assert there in found()
    deployer.cloud.metrics = Measured(nowhere=f'location="{SECOND}"')
    seen = found()
    assert {what for what, one in seen.items() if not one.startswith("ok")} == {there}
    assert seen[there].startswith("failed 1 instances run, and no sample of theirs"), seen[there]
    containers = deployer.service_in(SECOND)["template"]["containers"]
    containers[:] = [one for one in containers if one["name"] != "metrics"]
    assert found()[there] == "failed no sidecar stands beside the engine"


def test_a_policy_that_somebody_deleted(deployer: WithObserve) -> None:
    name = policy(deployer, "queue")["name"]
    act(google_for(deployer.cloud).delete("monitoring", f"v3/{name}"))
    assert failures(deployer) == {"alert: HomeportQueue": "there is no alert policy of it"}


def test_a_policy_that_was_switched_off(deployer: WithObserve) -> None:
    policy(deployer, "availability-fast-burn")["enabled"] = False
    assert failures(deployer) == {"alert: HomeportAvailabilityFastBurn": "its alert policy is switched off"}


def test_a_policy_with_another_query(deployer: WithObserve) -> None:
    condition = policy(deployer, "queue")["conditions"][0]["conditionPrometheusQueryLanguage"]
    condition["query"] = "sum(other) > 0"
    assert failures(deployer) == {"alert: HomeportQueue": "its rule says something else: sum(other) > 0"}


def test_a_policy_that_tells_nobody(deployer: WithObserve) -> None:
    policy(deployer, "stalled")["notificationChannels"] = []
    assert failures(deployer) == {
        "alert: HomeportStalled": "its alert policy would fire, and writes to nobody"
    }


def test_a_condition_that_holds(deployer: WithObserve) -> None:
    measured(deployer).holds = "num_requests_waiting"
    assert "its condition holds now: requests have waited" in failures(deployer)["alert: HomeportQueue"]


def test_an_engine_that_the_sidecar_cannot_ask(deployer: WithObserve) -> None:
    measured(deployer).up = "0"
    assert "gets no metrics from it" in failures(deployer)["samples"]


def test_series_that_are_called_otherwise(deployer: WithObserve) -> None:
    measured(deployer).without = ("num_requests_waiting{",)
    found = failures(deployer)
    assert "waiting has no data" in found["panel: Requests"]
    assert "cannot fire" in found["alert: HomeportQueue"]


def test_samples_without_the_engines_series(deployer: WithObserve) -> None:
    measured(deployer).without = ("count(",)
    assert "none of the engine's series" in failures(deployer)["samples"]


def test_a_role_that_was_taken_from_the_account_is_named(deployer: WithObserve) -> None:
    measured(deployer).up = None
    on = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
    member = "serviceAccount:home-run@rehearsal.iam.gserviceaccount.com"
    act(
        revoke(
            google_for(deployer.cloud), on, [Binding(role="roles/monitoring.metricWriter", members=(member,))]
        )
    )
    assert failures(deployer)["samples"] == (
        "none arrive: grant/monitoring.metricWriter/home-run/project/rehearsal is not there"
    )


def test_settings_that_somebody_changed_are_named(deployer: WithObserve) -> None:
    measured(deployer).up = None
    google = google_for(deployer.cloud)
    act(google.post("secretmanager", f"v1/{SECRET}:addVersion", {"payload": {"data": "e30="}}))
    assert failures(deployer)["samples"] == "none arrive: secret-version/home-observe was changed"


def test_a_sidecar_that_was_taken_away(deployer: WithObserve) -> None:
    measured(deployer).up = None
    containers = deployer.service["template"]["containers"]
    containers[:] = [one for one in containers if one["name"] != "metrics"]
    assert failures(deployer)["samples"] == "no sidecar stands beside the engine"


def test_instances_of_which_nothing_comes(deployer: WithObserve) -> None:
    measured(deployer).up, measured(deployer).instances = None, "2"
    assert "2 instances run, and no sample of theirs" in failures(deployer)["samples"]


def test_zero_instances_are_no_fault_and_say_what_wakes_one(deployer: WithObserve) -> None:
    one = measured(deployer)
    one.up, one.instances, one.without = None, "0", ("vllm:", "request_count", "up{")
    found = looked(deployer)
    assert found["samples"].verdict == "unknown"
    assert "wakes one" in found["samples"].text
    assert not [what for what, each in found.items() if each.verdict == "failed"]
    assert found["panel: Requests"].text.endswith("no instance runs, and at zero nothing is measured")


def test_no_permission_to_read_metrics_is_said_and_is_no_finding(deployer: WithObserve) -> None:
    made, service = observing(deployer), deployer.service
    with pytest.raises(HomeportError, match=r"monitoring\.timeSeries\.list"):
        act(look(google_for(deployer.cloud, caller="friend@example.com"), made, service))


def test_an_answer_of_another_form_is_an_error(deployer: WithObserve) -> None:
    measured(deployer).broken = True
    with pytest.raises(HomeportError, match="not what a Prometheus answers"):
        looked(deployer)


def test_spans_that_are_dropped_without_a_word_are_named() -> None:
    deployer = WithObserve("vllm")
    deployer.cloud.metrics = Measured()
    wanted = deployer.observed(**WANTED, traces=True)
    deployer.up(wanted)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    google = google_for(deployer.cloud)
    made = deployer.target(google, chosen, wanted).observing

    def found() -> ObserveFinding:
        (one,) = [one for one in act(look(google, made, deployer.service)) if one.what == "traces"]
        return one

    assert found().verdict == "ok", found()
    act(google.post("serviceusage", "v1/projects/rehearsal/services/cloudtrace.googleapis.com:disable", {}))
    assert found().text == "cloudtrace.googleapis.com is off: spans are dropped, and nobody is told"
    assert "gcloud services enable cloudtrace.googleapis.com" in found().hint
    act(google.post("serviceusage", "v1/projects/rehearsal/services/cloudtrace.googleapis.com:enable", {}))
    containers = deployer.service["template"]["containers"]
    containers[:] = [one for one in containers if one["name"] != "traces"]
    assert found().text == "no collector stands beside the engine"


def test_a_file_without_it_is_refused(deployer: WithObserve) -> None:
    with pytest.raises(SpecError, match=r"no \[observe\]"):
        act(look(google_for(deployer.cloud), None, deployer.service))


def test_an_uptime_check_that_is_gone_or_off_or_may_not_call_is_named() -> None:
    deployer = WithObserve("vllm")
    deployer.cloud.metrics = Measured(without=("uptime_check",))
    wanted = deployer.uptimed()
    deployer.up(wanted)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    google = google_for(deployer.cloud)
    made = act(deployer.finished(deployer.target(google, chosen, wanted))).observing
    assert made is not None
    assert made.probe is not None

    def found() -> dict[str, ObserveFinding]:
        return {one.what: one for one in act(look(google, made, deployer.service))}

    seen = found()
    assert seen["uptime"].verdict == "ok"
    untried = "no check has been made in the last minutes"
    assert (seen["alert: HomeportUnreachable"].verdict, untried in seen["alert: HomeportUnreachable"].text) == (
        "unknown", True,
    )  # fmt: skip
    assert seen["panel: Places from which it answers"].verdict == "unknown"
    measured(deployer).without = ()
    assert found()["alert: HomeportUnreachable"].verdict == "ok"
    measured(deployer).holds = "uptime_check"
    assert "from two places or more" in found()["alert: HomeportUnreachable"].text

    (check,) = [one.body for one in things(deployer.cloud) if "/uptimeCheckConfigs/" in one.name]
    check["disabled"] = True
    assert found()["uptime"].text == "Google does not ask as it should: uptime-check/uptime was changed"
    act(google.delete("monitoring", f"v3/{check['name']}"))
    assert found()["uptime"].text == "Google does not ask as it should: uptime-check/uptime is not there"
    assert found()["uptime"].hint.startswith("`homeport up --on cloudrun`")
    deployer.up(wanted)
    (member,) = made.probe.callers
    on = IamResource(api="run", path=f"v2/{deployer.service['name']}")
    act(revoke(google, on, [Binding(role="roles/run.servicesInvoker", members=(member,))]))
    seen = found()
    assert re.fullmatch(
        r"Google does not ask as it should: grant/.*service/home is not there", seen["uptime"].text
    )
