"""
A file with `[guard]`, `[observe]`, `[agent]` and `[edge]` on a rehearsed Cloud Run, from plan to down: real vLLM behind the real
gateway, an agent that asks it through that gateway, and a load balancer before them. `make test-vllm` runs this.

What takes the metrics away is Google's image, which is not run here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from behind_edges import EDGE, BehindEdge
from edges import DOMAIN
from gcloud import served
from places import TAUGHT_FOLDER
from user import User

pytestmark = [pytest.mark.vllm, pytest.mark.long, pytest.mark.lasts(60)]

FILE = """
name = "demo"
model = "file:./first"
[engine]
kind = "vllm"
context = 1024
parallel = 2
[access]
callers = ["user:friend@example.com"]
"""
TABLES = f"""
[guard]
[observe]
alerts = ["mailto:ops@example.com"]
[agent]
tools = ["calculator"]
max_steps = 2
max_tokens = 32
{EDGE}"""


class WithEveryTable(BehindEdge):
    """With weights for vLLM."""

    patience_s = 1500.0


@pytest.fixture
def cloud(user: User, tmp_path: Path, rehearsed_vllm: None) -> Iterator[WithEveryTable]:
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = WithEveryTable(user, rehearsal)
        shutil.copytree(TAUGHT_FOLDER, user.folder / "first")
        yield made


def test_one_file_with_every_table_lives_from_plan_to_down(cloud: WithEveryTable) -> None:
    cloud.user.write(FILE + TABLES)
    plan = cloud.run("plan", "--json").json
    assert {"guard", "guard_cost", "observe", "agent", "edge"} <= plan["facts"].keys()
    up = cloud.run("up", "--yes", "--json").json
    assert up["report"]["passed"], up["report"]
    cloud.is_settled()
    assert cloud.status["url"] == f"https://{DOMAIN}/v1"

    cloud.holds()
    assert cloud.ask("/metrics").status_code == 404, "told within the instance alone"

    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("removed service demo-agent") < gone.index("removed service demo\n")
    assert gone.index("removed service demo\n") < gone.index("removed Model Armor template demo-guard")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")
