"""A rehearsal with a real Prometheus answers queries in PromQL as Cloud Monitoring does, and leaves no process behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import psutil
import pytest

from gcloud import Served, served
from gcp_rehearsal.runtime.run_monitoring import read
from homeport.engines.registry import module
from homeport.observe.panels import Watched
from homeport.observe.sidecar import run_monitoring
from patience import until
from prometheus import program

pytestmark = pytest.mark.observe

API = "v1/projects/rehearsal/location/global/prometheus/api/v1"


def asked(
    rehearsal: Served, path: str = "query", caller: str = "you@example.com", **form: str
) -> httpx2.Response:
    headers = {
        "host": "monitoring.googleapis.com",
        "authorization": f"Bearer {rehearsal.token(caller)}",
    }
    return httpx2.post(
        f"{rehearsal.url}/{API}/{path}", headers=headers, json=form, trust_env=False, timeout=120
    )


@pytest.fixture
def measuring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], set[int]]:
    """Tells the processes of a Prometheus that stands for Managed Prometheus, in a rehearsal of this test's own."""
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv(
        "TMPDIR", str(temporary)
    )  # Its settings lie there: other tests' processes have other ones.

    def found() -> set[int]:
        mine = f"--config.file={temporary}/"
        every = psutil.process_iter(["cmdline"])
        return {one.pid for one in every if any(word.startswith(mine) for word in one.info["cmdline"] or [])}

    return found


def test_queries_are_answered_and_refused_as_googles_are_and_its_process_ends_with_it(
    measuring: Callable[[], set[int]], tmp_path: Path
) -> None:
    with served(tmp_path) as rehearsal:
        assert not measuring(), "nothing is started that nobody asks"
        came = until(lambda: asked(rehearsal, query="time()"), lambda one: one.status_code != 503)
        assert came.status_code == 200, came.text
        assert came.json()["data"]["resultType"] == "scalar"
        assert len(measuring()) == 1
        seen = until(
            lambda: asked(rehearsal, query='up{job="cloud-run"}').json()["data"]["result"],
            lambda found: bool(found) and found[0]["value"][1] == "1",
        )
        assert seen[0]["value"][1] == "1", "it may ask the rehearsal what Cloud Run counts"
        now = time.time()
        more = asked(
            rehearsal, "query_range", query="vector(2)", start=f"{now - 60:.0f}", end=f"{now:.0f}", step="30s"
        )
        assert [value for _, value in more.json()["data"]["result"][0]["values"]] == ["2", "2", "2"]
        assert asked(rehearsal, query="none_such").json()["data"]["result"] == []
        wrong = asked(rehearsal, query="sum((")
        assert (wrong.status_code, wrong.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert "unclosed left parenthesis" in wrong.json()["error"]["message"]
        many = asked(rehearsal, query='count({__name__=~"vllm:.*"})')
        assert "only exact matching on metric names" in many.json()["error"]["message"]
        stranger = asked(rehearsal, caller="friend@example.com", query="up")
        assert stranger.status_code == 403
        assert "monitoring.timeSeries.list" in stranger.json()["error"]["message"]
        unasked = httpx2.get(f"{rehearsal.url}/rehearsal/v1/metrics", trust_env=False, verify=False)
        assert unasked.status_code == 401, "what Cloud Run counts is told to who is logged in"
    until(measuring, lambda found: not found)


def test_one_that_is_killed_leaves_no_prometheus(measuring: Callable[[], set[int]], tmp_path: Path) -> None:
    with served(tmp_path) as rehearsal:
        until(lambda: asked(rehearsal, query="time()"), lambda one: one.status_code == 200)
        assert measuring()
        port = int(rehearsal.url.rpartition(":")[2])
        (owner,) = {
            one.pid for one in psutil.net_connections("tcp") if one.laddr and one.laddr.port == port and one.status == "LISTEN" and one.pid
        }  # fmt: skip
        os.kill(owner, signal.SIGKILL)
    until(measuring, lambda found: not found)


def test_prometheus_takes_what_it_is_told_of_an_instance(tmp_path: Path) -> None:
    """promtool judges a configuration as the rehearsal writes it, with the settings that homeport makes."""
    names = module("vllm").METRICS
    assert names is not None
    (endpoint,) = read(run_monitoring(Watched("home", names), 9464).encode()).endpoints
    job = {
        "job_name": "1:9464",
        "static_configs": [{"targets": ["127.0.0.1:1"], "labels": {"namespace": "home", "job": "x"}}],
        "metric_relabel_configs": list(endpoint.rules),
    }
    (tmp_path / "prometheus.json").write_text(json.dumps({"scrape_configs": [job]}))
    done = subprocess.run(
        [program("promtool"), "check", "config", "prometheus.json"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
