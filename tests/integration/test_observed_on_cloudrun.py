"""
A rehearsed endpoint with real vLLM, measured by a real Prometheus in Managed Prometheus' place: `observe check` and `top` ask
that as they would ask Google, and name the faults that are made. `make test-vllm` runs this.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gcloud import served
from gcp_rehearsal.cloud import OWNER
from observed_by_commands import Observed, until_observed
from places import TAUGHT_FOLDER
from prometheus import program
from user import User

pytestmark = [pytest.mark.vllm, pytest.mark.lasts(60)]

FILE = """
name = "demo"
model = "file:./first"
[engine]
kind = "vllm"
context = 512
parallel = 2
[observe]
alerts = ["mailto:ops@example.com"]
slo = {ttft = "2s", availability = 0.99}
callers = true
"""
SECRET = "v1/projects/rehearsal/secrets/demo-observe:addVersion"
POLICIES = "v3/projects/rehearsal/alertPolicies"


@pytest.fixture
def cloud(
    user: User, tmp_path: Path, rehearsed_vllm: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Observed]:
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = Observed(user, rehearsal)
        shutil.copytree(TAUGHT_FOLDER, user.folder / "first")
        user.write(FILE)
        yield made


def test_check_and_top_ask_a_rehearsed_cloud_as_they_ask_google(cloud: Observed) -> None:
    cloud.run("up", "--yes")
    good = until_observed(
        cloud.asked_and_looked,
        lambda seen: {what for what, one in seen.items() if one["verdict"] != "ok"} <= {"alert: HomeportStalled"},
    )  # fmt: skip
    assert not cloud.failed(good), good
    assert "of 1 instance" in good["samples"]["text"], "the gateway before it is none"
    assert good["callers"]["verdict"] == "ok"
    # Google's count guesses at both ends: a row of what is not known may stand beside it, and nobody else's.
    rows = until_observed(
        lambda: _callers(cloud), lambda rows: OWNER in rows and rows[OWNER]["output_tokens"] >= 4
    )
    assert rows.keys() <= {OWNER, "not known"}, rows
    assert rows.get("not known", {"output_tokens": 0})["output_tokens"] == 0, "all tokens are the caller's"
    assert rows[OWNER]["prompt_tokens"] > 0
    assert good["panel: Error budget used up in an hour"]["verdict"] == "ok"
    assert good["alert: HomeportAvailabilityFastBurn"]["verdict"] == "ok"
    (seen,) = cloud.run("top", "--once", "--json").json
    assert seen["instances"] == 1
    assert seen["figures"]["requests"] >= 1
    assert seen["figures"]["running"] == 0
    assert seen["rates"]["output_tokens_per_s"] > 0
    assert 0 < seen["rates"]["ttft_s"] < 120

    _a_policy_that_is_gone(cloud)
    _settings_with_another_port(cloud)
    _a_role_that_was_taken_away(cloud)
    assert "left: nothing" in cloud.run("down", "--yes").err
    (gone,) = cloud.run("top", "--once", "--json", code=None).json or [{"figures": None}]
    assert gone["figures"] is None


def _callers(cloud: Observed) -> dict[str, Any]:  # Any: JSON
    return {row["key"]: row for row in cloud.run("usage", "demo", "--by", "caller", "--json").json}


def _a_policy_that_is_gone(cloud: Observed) -> None:
    found = cloud.google("GET", "monitoring", POLICIES)["alertPolicies"]
    (queue,) = [one for one in found if one["userLabels"]["homeport-part"] == "queue"]
    cloud.google("DELETE", "monitoring", f"v3/{queue['name']}")
    assert cloud.failed(cloud.looked()) == {"alert: HomeportQueue": "there is no alert policy of it"}


def _settings_with_another_port(cloud: Observed) -> None:
    """The sidecar reads its settings again without a new revision: here, too."""
    told = {
        "apiVersion": "monitoring.googleapis.com/v1beta",
        "kind": "RunMonitoring",
        "metadata": {"name": "x"},
        "spec": {"endpoints": [{"port": "9", "interval": "30s"}]},
    }
    data = base64.b64encode(json.dumps(told).encode()).decode()
    cloud.google("POST", "secretmanager", SECRET, {"payload": {"data": data}})
    seen = until_observed(cloud.looked, lambda seen: seen["samples"]["verdict"] == "failed")
    assert "gets no metrics" in seen["samples"]["text"]
    assert "secret-version/demo-observe was changed" in seen["samples"]["hint"]
    cloud.run("up", "--yes")
    until_observed(cloud.looked, lambda seen: not cloud.failed(seen))


def _a_role_that_was_taken_away(cloud: Observed) -> None:
    place = "v3/projects/rehearsal"
    policy = cloud.google("POST", "cloudresourcemanager", f"{place}:getIamPolicy", {})
    for binding in policy["bindings"]:
        if binding["role"] == "roles/monitoring.metricWriter":
            binding["members"] = [one for one in binding["members"] if "demo-run@" not in one]
    policy["bindings"] = [one for one in policy["bindings"] if one["members"]]
    cloud.google("POST", "cloudresourcemanager", f"{place}:setIamPolicy", {"policy": policy})
    seen = until_observed(cloud.looked, lambda seen: seen["samples"]["verdict"] == "failed")
    assert "grant/monitoring.metricWriter/demo-run/project/rehearsal is not there" in seen["samples"]["text"]
    assert seen["samples"]["hint"].startswith("`homeport up --on cloudrun`")
