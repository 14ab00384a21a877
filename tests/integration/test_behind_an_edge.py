"""A file with `[guard]`, `[agent]` and `[edge]` on a rehearsed Cloud Run, in a new project: all of it runs, from plan to down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent_life import sent
from behind_edges import EDGE, BehindEdge
from commands_on_cloudrun import FILE
from edges import DOMAIN
from gcloud import served
from user import User

pytestmark = pytest.mark.long
TABLES = f'[guard]\n[agent]\ntools = ["calculator"]\nmax_steps = 2\nmax_tokens = 32\n{EDGE}'


class Taught(BehindEdge):
    """With the model that every test has."""

    model = "gemma-4-taught"


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[Taught]:
    with served(tmp_path) as rehearsal:
        yield Taught(user, rehearsal)


def test_guard_agent_and_edge_live_together_and_go_together(cloud: Taught) -> None:
    cloud.user.write(FILE + TABLES)
    plan = cloud.run("plan", "--json").json
    assert {"guard", "guard_cost", "agent", "edge"} <= plan["facts"].keys()
    up = cloud.run("up", "--yes", "--json").json
    assert up["report"]["passed"], up["report"]
    assert {one["name"]: one["outcome"] for one in up["report"]["results"]}["guard"] == "passed"
    cloud.is_settled()
    assert cloud.status["url"] == f"https://{DOMAIN}/v1"
    cloud.holds()
    verified = cloud.run("verify", "--only", "guard", "--only", "around", "--json").json
    assert {one["name"]: one["outcome"] for one in verified["results"]}.items() >= {
        ("guard", "passed"),
        ("around", "passed"),
    }

    (agent,) = cloud.status["parts"]
    body = {"model": "demo-agent", "messages": [{"role": "user", "content": "What is 6*7?"}]}
    answer = sent(cloud, agent["url"], body, path="/v1/chat/completions", token=cloud.rehearsal.id_token())
    assert answer.status_code in {200, 422}, f"it reaches its model behind the closed door: {answer.text}"

    cloud.user.write(FILE + EDGE)
    cloud.run("up", "--yes")
    cloud.is_settled()
    refused = cloud.run("rollback", code=None)
    assert refused.code != 0
    assert "template" in refused.err, "what screened that revision is gone"
    assert cloud.say("What is the capital of France?").status_code == 200

    cloud.user.write(FILE + TABLES)
    cloud.run("up", "--yes")
    cloud.holds()
    assert "answers unscreened" in cloud.run("rollback", code=None).err
    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("removed service demo-agent") < gone.index("removed service demo\n")
    assert gone.index("removed service demo\n") < gone.index("removed Model Armor template demo-guard")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")
