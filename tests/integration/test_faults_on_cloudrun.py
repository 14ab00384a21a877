"""
Ten faults between an endpoint on a rehearsed Cloud Run and those who should hear of it, each planted by a call of Google's API and each
named by `homeport observe check`; a real Prometheus measures. `make test-observe` runs this.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands_on_cloudrun import FILE
from gcloud import served
from observed_by_commands import Observed, until_observed
from prometheus import program
from user import User

pytestmark = pytest.mark.observe

OBSERVE = """
[scaling]
min = 1
[observe]
alerts = ["mailto:ops@example.com"]
slo = {availability = 0.99}
traces = true
uptime = true
"""
V3 = "v3/projects/rehearsal"
SECRET = "v1/projects/rehearsal/secrets/demo-observe:addVersion"
STALLED = "alert: HomeportStalled"
"""Its condition has an answer only while a request is under way, which is told as not known."""


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = Observed(user, rehearsal)
        user.write(FILE + OBSERVE)
        yield made


def policy(cloud: Observed, part: str) -> dict[str, Any]:  # Any: JSON
    found = cloud.google("GET", "monitoring", f"{V3}/alertPolicies")["alertPolicies"]
    (one,) = [one for one in found if one["userLabels"]["homeport-part"] == part]
    return dict(one)


def change(cloud: Observed, part: str, **changed: Any) -> None:  # Any: JSON
    one = policy(cloud, part)
    cloud.google(
        "PATCH", "monitoring", f"v3/{one['name']}?updateMask={','.join(changed)}", {**one, **changed}
    )


def settings(cloud: Observed, **endpoint: Any) -> None:  # Any: JSON
    """The sidecar reads its settings again without a new revision: here, too."""
    told = {
        "apiVersion": "monitoring.googleapis.com/v1beta",
        "kind": "RunMonitoring",
        "metadata": {"name": "x"},
        "spec": {"endpoints": [{"port": "9464", "interval": "30s", **endpoint}]},
    }
    data = base64.b64encode(json.dumps(told).encode()).decode()
    cloud.google("POST", "secretmanager", SECRET, {"payload": {"data": data}})


def take_role(cloud: Observed, host: str, path: str, role: str, member: str) -> None:
    verb = "POST" if host == "cloudresourcemanager" else "GET"
    found = cloud.google(verb, host, f"{path}:getIamPolicy", {} if verb == "POST" else None)
    for binding in found["bindings"]:
        if binding["role"] == role:
            binding["members"] = [one for one in binding["members"] if member not in one]
    found["bindings"] = [one for one in found["bindings"] if one["members"]]
    cloud.google("POST", host, f"{path}:setIamPolicy", {"policy": found})


def well(cloud: Observed) -> dict[str, Any]:
    seen: dict[str, Any] = until_observed(
        cloud.asked_and_looked,
        lambda seen: {what for what, one in seen.items() if one["verdict"] != "ok"} <= {STALLED},
    )
    assert {what for what, one in seen.items() if one["verdict"] != "ok"} <= {STALLED}, seen
    return seen


@pytest.mark.lasts(150)
def test_the_check_is_green_and_names_each_of_eight_faults_that_are_seen_at_once(cloud: Observed) -> None:
    cloud.run("up", "--yes")
    good = well(cloud)
    assert good["alert: HomeportUnreachable"]["verdict"] == "ok", "the rehearsal makes the checks"
    assert good["panel: Places from which it answers"]["verdict"] == "ok"
    assert good["uptime"]["verdict"] == "ok"

    _what_stands_in_cloud_monitoring(cloud)
    cloud.run("up", "--yes")
    well(cloud)
    settings(
        cloud, metricRelabeling=[{"sourceLabels": ["__name__"], "regex": "process_.*", "action": "keep"}]
    )
    _told_of_samples(cloud, "none of the engine's series is among them")
    cloud.run("up", "--yes")
    well(cloud)
    _leaves_nothing(cloud)


# A sample counts for two minutes, and so long each of the next two must wait: beside each other, not one after the other.
@pytest.mark.lasts(180)
def test_the_check_names_a_sidecar_that_asks_where_nobody_listens(cloud: Observed) -> None:
    cloud.run("up", "--yes")
    well(cloud)
    settings(cloud, port="9")
    _told_of_samples(cloud, "gets no metrics from it")
    cloud.run("up", "--yes")
    well(cloud)


@pytest.mark.lasts(180)
def test_the_check_names_the_right_that_a_sidecar_lacks(cloud: Observed) -> None:
    cloud.run("up", "--yes")
    well(cloud)
    member = "demo-run@"
    take_role(cloud, "cloudresourcemanager", "v3/projects/rehearsal", "roles/monitoring.metricWriter", member)
    seen = _told_of_samples(cloud, "grant/monitoring.metricWriter/demo-run/project/rehearsal is not there")
    assert seen["hint"].startswith("`homeport up --on cloudrun`")
    cloud.run("up", "--yes")
    well(cloud)
    _leaves_nothing(cloud)


def _leaves_nothing(cloud: Observed) -> None:
    assert "left: nothing" in cloud.run("down", "--yes", "--purge").err
    assert cloud.google("GET", "monitoring", f"{V3}/uptimeCheckConfigs").get("uptimeCheckConfigs", []) == []


def _what_stands_in_cloud_monitoring(cloud: Observed) -> None:
    """Seven faults that hide none of the others, so that each is named among all."""
    cloud.google("DELETE", "monitoring", f"v3/{policy(cloud, 'slow-first-token')['name']}")
    change(cloud, "availability-fast-burn", enabled=False)
    (condition,) = policy(cloud, "down")["conditions"]
    asked = {**condition["conditionPrometheusQueryLanguage"], "query": "sum(other) > 0"}
    change(cloud, "down", conditions=[{**condition, "conditionPrometheusQueryLanguage": asked}])
    change(cloud, "stalled", notificationChannels=[])
    (check,) = cloud.google("GET", "monitoring", f"{V3}/uptimeCheckConfigs")["uptimeCheckConfigs"]
    cloud.google(
        "PATCH", "monitoring", f"v3/{check['name']}?updateMask=disabled", {**check, "disabled": True}
    )
    place = "v2/projects/rehearsal/locations/europe-west4/services/demo"
    take_role(cloud, "run", place, "roles/run.servicesInvoker", "gcp-sa-monitoring-notification")
    cloud.google(
        "POST", "serviceusage", "v1/projects/rehearsal/services/cloudtrace.googleapis.com:disable", {}
    )
    named = {
        "alert: HomeportSlowFirstToken": "there is no alert policy of it",
        "alert: HomeportAvailabilityFastBurn": "its alert policy is switched off",
        "alert: HomeportDown": "its rule says something else: sum(other) > 0",
        STALLED: "its alert policy would fire, and writes to nobody",
        "traces": "cloudtrace.googleapis.com is off: spans are dropped, and nobody is told",
    }
    failed = until_observed(
        lambda: cloud.failed(cloud.looked()), lambda seen: set(seen) >= {*named, "uptime"}
    )
    assert {what: failed.get(what) for what in named} == named
    assert "uptime-check/uptime was changed" in failed["uptime"]
    assert "gcp-sa-monitoring-notification" in failed["uptime"]
    assert "service/demo is not there" in failed["uptime"]
    assert set(failed) == {*named, "uptime"}


def _told_of_samples(cloud: Observed, words: str) -> dict[str, Any]:  # Any: JSON
    seen = until_observed(cloud.looked, lambda seen: words in seen["samples"]["text"])
    assert words in seen["samples"]["text"], seen["samples"]
    assert seen["samples"]["verdict"] == "failed"
    return dict(seen["samples"])
