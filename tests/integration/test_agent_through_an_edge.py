"""
An agent asks for its model at the file's load balancer, by commands and through a real Envoy: what screens there screens what the agent
sends, and what limits requests there limits its. `make test-edge` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from agent_life import sent
from behind_edges import ATTACK, EDGE, BehindEdge
from commands_on_cloudrun import FILE
from gcloud import served
from places import ROOT
from user import User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
pytestmark = [
    pytest.mark.edge,
    pytest.mark.lasts(60),
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
]
REGIONAL = EDGE.replace("[edge]\n", '[edge]\nkind = "regional"\n')
AGENT = '[agent]\ntools = ["calculator"]\nmax_steps = 1\nmax_tokens = 16\n'
ROAD = """
[guard]
where = "traffic-extension"
unscreened = ["streams", "apis", "choices", "texts", "media", "long", "names"]
"""
HARMLESS = "What is the capital of France?"


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BehindEdge]:
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path) as rehearsal:
        yield BehindEdge(user, rehearsal)


def asked(cloud: BehindEdge, url: str, text: str) -> httpx2.Response:
    """What somebody who may ask the agent is answered."""
    body = {"model": "demo-agent", "messages": [{"role": "user", "content": text}]}
    return sent(cloud, url, body, path="/v1/chat/completions", token=cloud.rehearsal.id_token())


def test_what_an_agent_sends_is_screened_and_limited_at_the_load_balancer(cloud: BehindEdge) -> None:
    cloud.user.write(FILE + REGIONAL + AGENT + ROAD)
    up = cloud.run("up", "--yes", "--json").json
    assert up["report"]["passed"], up["report"]
    cloud.is_settled()

    (agent,) = cloud.status["parts"]
    answered = asked(cloud, agent["url"], HARMLESS)
    # The model was taught another tool: what it comes to is its own affair, that it was reached is not.
    assert answered.status_code in {200, 422}, answered.text
    stopped = asked(cloud, agent["url"], ATTACK)
    assert (stopped.status_code, stopped.json()["error"]["code"]) == (400, "content_filter"), stopped.text

    cloud.user.write(FILE + REGIONAL.replace("= 600", "= 3") + AGENT + ROAD)
    cloud.run("up", "--yes")  # What is verified is not held to a limit that its checks alone would pass.
    came = [asked(cloud, agent["url"], ATTACK).status_code for _ in range(3)]
    assert came[-1] == 429, f"the limit holds for the agent, which waits none of it out: {came}"

    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("removed service demo-agent") < gone.index("removed traffic extension demo-guard")
    assert gone.index("removed traffic extension demo-guard") < gone.index(
        "removed forwarding rule demo-edge"
    )
    assert gone.index("removed forwarding rule demo-edge") < gone.index("removed service demo\n")
