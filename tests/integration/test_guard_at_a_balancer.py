"""A file with one of Google's roads to Model Armor, by commands: plan, up, what is stopped and what passes, verify, an outage, and its end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from behind_edges import ATTACK, EDGE, BehindEdge
from commands_on_cloudrun import FILE
from gcloud import served
from user import User

ROAD = """
[guard]
where = "{road}"
unscreened = ["streams", "apis", "choices", "texts", "media", "long", "names"]
"""
REGIONAL = EDGE.replace("[edge]\n", '[edge]\nkind = "regional"\n').replace("requests_per_minute = 600\n", "")


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[BehindEdge]:
    with served(tmp_path) as rehearsal:
        yield BehindEdge(user, rehearsal)


@pytest.mark.long
@pytest.mark.parametrize("road", ["traffic-extension", "authz-extension"])
def test_google_screens_at_the_load_balancer_and_what_passes_is_printed(cloud: BehindEdge, road: str) -> None:
    cloud.user.write(FILE + REGIONAL + ROAD.format(road=road))
    plan = cloud.run("plan", "--json").json
    told = plan["facts"]["guard_road"]
    assert (told["where"], told["fails"]) == (road, "closed")
    every = ["streams", "apis", "choices", "texts", "media", "long", "names"]
    assert told["unscreened"] == (every if road == "traffic-extension" else every[:-1])
    assert "NOT screened" in cloud.run("plan").out
    up = cloud.run("up", "--yes", "--json").json
    assert up["report"]["passed"], up["report"]
    cloud.is_settled()

    probes = cloud.run("guard", "test", "--json").json
    by = {(one["api"], one["streamed"], one["place"], one["filter"]): one for one in probes}
    chat = {key: one for key, one in by.items() if key[0] == "/v1/chat/completions" and key[3] != "none"}
    assert {one["outcome"] for key, one in chat.items() if key[2] == "prompt"} == {"refused"}
    assert {(one["outcome"], one["passes"]) for key, one in chat.items() if key[2] == "tool result"} == {
        ("passed", "texts")
    }
    others = [one for one in probes if one["passes"] == "apis" and one["outcome"] != "not offered"]
    assert others, "the engine has other APIs, too"
    assert {one["outcome"] for one in others} == {"passed"}, "told, and not hidden"
    named = {one["place"]: one["outcome"] for one in probes if one["passes"] == "names"}
    assert set(named.values()) == ({"passed"} if road == "traffic-extension" else set()), (
        "this engine looks at no name"
    )
    assert {one["outcome"] for one in probes if one["passes"] in {"media", "long"}} == {"not offered"}
    said = cloud.run("guard", "test").err
    assert "PASSED UNSCREENED, as guard.unscreened says of" in said

    assert cloud.say("What is the capital of France?").status_code == 200
    assert (cloud.say(ATTACK).status_code, cloud.ask("/v1/models").status_code) == (403, 200)
    verified = cloud.run("verify", "--only", "guard", "--json").json["results"]
    assert [one["outcome"] for one in verified if one["name"] == "guard"] == ["passed"], verified
    planted = httpx2.post(
        f"{cloud.rehearsal.url}/rehearsal/v1/faults",
        headers={"authorization": f"Bearer {cloud.rehearsal.token()}"},
        content=b"modelarmor.*.sanitizeUserPrompt:503:times=1000",
        trust_env=False,
    )
    assert planted.status_code == 200, planted.text
    assert cloud.say("What is the capital of France?").status_code == 500, "it fails closed"
    gone = cloud.run("down", "--yes", "--purge").out
    first = "traffic extension" if road == "traffic-extension" else "authorization policy"
    assert gone.index(f"removed {first} demo-guard") < gone.index("removed forwarding rule demo-edge")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")
