"""
An endpoint behind a regional load balancer, by commands and through a real Envoy: plan, up, a change that is verified behind the
closed door, verify, the limit of a key, and its end. `make test-edge` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from behind_edges import EDGE, BehindEdge
from commands_on_cloudrun import FILE
from edges import DOMAIN
from gcloud import served
from places import ROOT
from user import User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.lasts(57),
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
REGIONAL = EDGE.replace("[edge]\n", '[edge]\nkind = "regional"\n')
KEY = {"x-api-key": "one"}


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BehindEdge]:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path) as rehearsal:
        yield BehindEdge(user, rehearsal)


def test_an_endpoint_lives_behind_a_load_balancer_of_its_region(cloud: BehindEdge) -> None:
    cloud.user.write(FILE + REGIONAL)
    plan = cloud.run("plan", "--json").json
    assert (plan["facts"]["edge"]["kind"], plan["facts"]["edge"]["usd_per_month"]) == ("regional", 24.25)
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    cloud.is_settled()
    assert cloud.status["url"] == f"https://{DOMAIN}/v1"
    came = cloud.say("What is the capital of France?")
    assert (came.status_code, came.headers["via"]) == (200, "1.1 google"), "it went through Envoy"
    assert "[DONE]" in cloud.say("What is the capital of France?", stream=True).text

    before = cloud.status["traffic"]
    cloud.user.write((FILE + REGIONAL).replace("parallel = 2", "parallel = 1"))
    cloud.run("up", "--yes")
    assert cloud.status["traffic"] != before
    verified = cloud.run("verify", "--only", "around", "--json").json
    assert [one["outcome"] for one in verified["results"] if one["name"] == "around"] == ["passed"]
    cloud.run("rollback")
    assert cloud.status["traffic"] == before

    cloud.user.write(FILE + REGIONAL)
    cloud.run("up", "--yes")  # What is verified is not held to a limit that its checks alone would pass.
    cloud.user.write(FILE + REGIONAL.replace("= 600", "= 3"))
    cloud.run("up", "--yes")
    asked = [cloud.ask("/v1/models", **KEY).status_code for _ in range(4)]
    assert asked == [200, 200, 200, 429]
    assert cloud.ask("/v1/models", **{"x-api-key": "two"}).status_code == 200

    cloud.user.write(FILE + EDGE)
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code != 0
    assert "no other kind takes its place at once" in refused.err
    cloud.user.write(FILE)
    cloud.run("up", "--yes")
    cloud.is_settled()
    assert cloud.status["url"] != f"https://{DOMAIN}/v1"
    assert "edge" not in " ".join(cloud.run("down", "--yes", "--purge").out.split())
