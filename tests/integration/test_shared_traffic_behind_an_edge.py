"""
Two endpoints that share the traffic of one address, and are told apart by a header, by commands and through a real Envoy: what is unlike is
refused, each is proven for certain, and the draw reaches both. `make test-edge` runs this.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from behind_edges import EDGE, BehindEdge
from binomial import bounds
from commands_on_cloudrun import FILE
from edges import DOMAIN
from gcloud import served
from places import ROOT
from user import User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.lasts(80),
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
NEXT = FILE.replace('name = "demo"', 'name = "next"') + f'audience = "https://{DOMAIN}"\n'
UNLIKE = NEXT.replace("first.gguf", "second.gguf")
SHARED = FILE + EDGE + 'backends = { "x-tier: next" = "next" }\nshares = { next = 50 }\n'


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BehindEdge]:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path) as rehearsal:
        yield BehindEdge(user, rehearsal)


def test_two_endpoints_share_the_traffic_of_one_address(cloud: BehindEdge) -> None:
    cloud.user.write(UNLIKE)
    cloud.run("up", "--yes")
    cloud.user.write(SHARED)
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code != 0
    assert "next serves second, and this file first" in refused.err
    cloud.user.write(NEXT)
    cloud.run("up", "--yes")

    cloud.user.write(SHARED)
    plan = cloud.run("plan", "--json").json
    assert plan["facts"]["edge"]["shares"] == {"next": 50}
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    outcomes = {one["name"]: (one["outcome"], one["detail"]) for one in report["results"]}
    assert outcomes["behind"] == ("passed", "x-tier: next is next, 50% of the requests is next")
    cloud.is_settled()
    assert cloud.status["behind"] == {
        "x-tier: next": f"https://{DOMAIN}/v1 with the header x-tier: next, which is next",
        "next": f"50% of the requests at https://{DOMAIN}/v1, which next answers",
    }

    # Without its endpoint a share answers 404, and what is left goes on.
    cloud.user.write(NEXT)
    cloud.run("down", "--yes", "--purge")
    answers = Counter(cloud.ask("/v1/models").status_code for _ in range(120))
    fewest, most = bounds(120, 0.5)
    assert fewest <= answers[404] <= most, answers
    assert answers[200] == 120 - answers[404], answers
    assert cloud.ask("/v1/models", **{"x-tier": "next"}).status_code == 404
    cloud.user.write(SHARED)
    gone = cloud.run("plan", "--json").json
    assert any("there is no endpoint next on Cloud Run" in one for one in gone["problems"])
    cloud.user.write(FILE + EDGE)
    cloud.run("up", "--yes")
    assert {cloud.ask("/v1/models").status_code for _ in range(20)} == {200}
    assert "removed backend service demo-edge\n" in cloud.run("down", "--yes", "--purge").out
