"""
Two endpoints behind one address, through a real Envoy: real vLLM with `[guard]`, `[observe]` and `[agent]` owns the load
balancer, and by a path it leads to a second endpoint, of Ollama's way. `make test-edge` runs this where `make test-vllm` has run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from behind_edges import ATTACK, EDGE, BehindEdge
from commands_on_cloudrun import FILE
from edges import DOMAIN
from gcloud import served
from places import ROOT, TAUGHT_FOLDER, VLLM_PYTHON
from user import User

ENVOY = ROOT / ".cache" / "envoy" / "bin" / "envoy"
PYTHON = os.environ.get("HOMEPORT_REHEARSAL_VLLM") or str(VLLM_PYTHON)
pytestmark = [
    pytest.mark.edge,
    pytest.mark.lasts(137),
    pytest.mark.skipif(not ENVOY.exists(), reason="needs the Envoy of `make test-edge`"),
    pytest.mark.skipif(not Path(PYTHON).exists(), reason="needs the vLLM of `make test-vllm`"),
]
OTHER = FILE.replace('name = "demo"', 'name = "small"')
TAKES = f'audience = "https://{DOMAIN}"\n'
OWNER = """
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
BACKENDS = 'backends = { "/ollama" = "small" }\n'


class BothWays(BehindEdge):
    """With weights for vLLM beside those for Ollama."""

    patience_s = 1500.0

    def at(self, path: str, body: Any = None, **headers: str) -> httpx2.Response:  # Any: JSON
        """What the caller gets there, which came through Envoy."""
        came = self.ask(path, body, **headers)
        assert came.headers["via"] == "1.1 google", "it went through Envoy"
        return came

    def models(self, path: str = "") -> list[str]:
        """The names that are listed there."""
        return [one["id"] for one in self.at(f"{path}/v1/models").json()["data"]]


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BothWays]:
    monkeypatch.setenv("HOMEPORT_REHEARSAL_VLLM", PYTHON)
    monkeypatch.setenv("PATH", f"{ENVOY.parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = BothWays(user, rehearsal)
        shutil.copytree(TAUGHT_FOLDER, user.folder / "first")
        yield made


def test_both_ways_live_behind_one_address(cloud: BothWays) -> None:
    cloud.user.write(OWNER + TABLES + BACKENDS)
    missing = cloud.run("plan", "--json").json
    assert any("there is no endpoint small on Cloud Run" in one for one in missing["problems"])

    cloud.user.write(OTHER)
    cloud.run("up", "--yes")
    cloud.user.write(OWNER + TABLES + BACKENDS)
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code != 0
    assert f'add audience = "https://{DOMAIN}" to [access] in the file of small' in refused.err
    cloud.user.write(OTHER + TAKES)
    cloud.run("up", "--yes")

    cloud.user.write(OWNER + TABLES + BACKENDS)
    plan = cloud.run("plan", "--json").json
    assert plan["facts"]["edge"]["backends"] == {"/ollama": "small"}
    assert any("what is asked for at /ollama is not screened" in one for one in plan["warnings"])
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    outcomes = {one["name"]: one["outcome"] for one in report["results"]}
    assert (outcomes["behind"], outcomes["guard"]) == ("passed", "passed")
    cloud.is_settled()
    assert cloud.status["behind"] == {"/ollama": f"https://{DOMAIN}/ollama/v1, which is small"}

    _each_answers_as_itself(cloud)
    cloud.holds()
    verified = cloud.run("verify", "--only", "behind", "--only", "around", "--json").json
    assert {one["name"]: one["outcome"] for one in verified["results"]}.items() >= {
        ("behind", "passed"),
        ("around", "passed"),
    }

    gone = cloud.run("down", "--yes", "--purge").out
    assert "removed backend service demo-edge-to-small" in gone
    assert gone.index("removed service demo\n") < gone.index("removed Model Armor template demo-guard")
    cloud.user.write(OTHER + TAKES)
    assert cloud.asked_by("friend@example.com") == 200, "the other one stands at its own address as before"
    cloud.run("down", "--yes", "--purge")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of small is there")


def _each_answers_as_itself(cloud: BothWays) -> None:
    assert cloud.models() == ["first"]
    (other,) = cloud.models("/ollama")
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    for path, model in (("", "first"), ("/ollama", other)):
        for stream in (False, True):
            body = {"model": model, "max_tokens": 8, "messages": asked, "stream": stream}
            came = cloud.at(f"{path}/v1/chat/completions", body)
            assert came.status_code == 200, (path, came.text)
            assert ("[DONE]" in came.text) is stream
        assert cloud.at(f"{path}/v1/models", authorization="").status_code == 403, "nobody without a token"
    attacked = [{"role": "user", "content": ATTACK}]
    body = {"model": "first", "max_tokens": 8, "messages": attacked}
    assert cloud.at("/v1/chat/completions", body).headers["x-homeport-refused"] == "match"
    came = cloud.at("/ollama/v1/chat/completions", {**body, "model": other})
    assert "x-homeport-refused" not in came.headers, "the plan said that this path is not screened"
