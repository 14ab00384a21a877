"""One file, up on a rehearsed Cloud Run: a real engine behind a real front end, verified before it serves, and gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from conftest import TAUGHT, Ran, User
from gcloud import FOUND, REASON, Served, served

FILE = """
name = "demo"
model = "file:./first.gguf"
[engine]
kind = "ollama"
context = 1024
parallel = 2
[access]
callers = ["user:friend@example.com"]
"""


class OnCloudRun:
    """A user with a file, and a rehearsal that stands in for Google Cloud."""

    patience_s = 240.0
    """For one command."""

    def __init__(self, user: User, rehearsal: Served) -> None:
        self.user, self.rehearsal = user, rehearsal
        shutil.copyfile(TAUGHT, user.folder / "first.gguf")
        shutil.copyfile(TAUGHT, user.folder / "second.gguf")
        user.write(FILE)

    def run(self, *arguments: str, code: int | None = 0, caller: str = "") -> Ran:
        env = {
            name: value
            for name, value in self.rehearsal.environment.items()
            if name.startswith(("HOMEPORT_GOOGLE", "GOOGLE_", "CLOUDSDK_"))
        }
        if caller:
            env["CLOUDSDK_AUTH_ACCESS_TOKEN"] = f"rehearsal.{caller}"
        on = () if arguments[0] in {"swap", "rollback"} else ("--on", "cloudrun")
        return self.user.run(*arguments, *on, code=code, cwd=None, timeout=self.patience_s, **env)

    def asked_by(self, who: str) -> int:
        """The status with which the front answers a person's token."""
        host = self.status["url"].removeprefix("https://").removesuffix("/v1")
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, timeout=60) as client:
            made = client.get(
                "/rehearsal/id_token",
                params={"audience": f"https://{host}"},
                headers={"host": "oauth2.googleapis.com", "authorization": f"Bearer rehearsal.{who}"},
            ).json()["id_token"]
            return client.get(
                "/v1/models", headers={"host": host, "authorization": f"Bearer {made}"}
            ).status_code

    @property
    def status(self) -> Any:  # Any: JSON
        return self.run("status", "--json").json


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[OnCloudRun]:
    with served(tmp_path) as rehearsal:
        yield OnCloudRun(user, rehearsal)


@pytest.mark.skipif(FOUND is None, reason=REASON)
def test_the_whole_life_of_an_endpoint_with_its_model_in_the_image(cloud: OnCloudRun) -> None:
    planned = cloud.run("plan", "--json").json
    assert {action["kind"] for action in planned["actions"]} == {"create", "update"}
    assert "baked" in planned["facts"]["weights"]
    assert cloud.run("status", code=32).err.startswith("error: demo is not deployed")

    came = cloud.run("up", "--yes", "--json").json
    assert came["report"]["passed"]
    outcomes = {result["name"]: result["outcome"] for result in came["report"]["results"]}
    assert {outcomes[name] for name in ("chat", "tools", "no-token", "audience", "image", "size")} == {
        "passed"
    }
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    assert "nothing to do" in cloud.run("up", "--yes").err

    assert "Paris" in cloud.run("chat", "What is the capital of France?").out
    assert cloud.asked_by("friend@example.com") == 200
    assert cloud.asked_by("stranger@example.com") == 403
    refused = cloud.run("chat", "hi", code=35, caller="friend@example.com").err
    assert "run.services.get" in refused, "who may only call it uses `homeport proxy --url`"

    cloud.rehearsal.gcloud("run", "services", "update", "demo", "--region=us-central1", "--timeout=77")
    assert "timeout: 77s → 900s" in cloud.run("plan").out
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False

    before = cloud.status["traffic"]
    broken = cloud.user.folder / "broken.gguf"
    whole = TAUGHT.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    failed = cloud.run("swap", "file:./broken.gguf", "--yes", code=None)
    assert failed.code not in {0, 1}
    assert "   do: " in failed.err
    assert "first.gguf" in (cloud.user.folder / "homeport.toml").read_text(), "the file stays as it was"
    assert (cloud.status["traffic"], cloud.status["model"]) == (before, "first")
    assert "Paris" in cloud.run("chat", "What is the capital of France?").out

    (first,) = cloud.status["traffic"]
    swapped = cloud.run("swap", "file:./second.gguf", "--yes", "--canary", "50").err
    assert 'model = "file:./second.gguf"' in (cloud.user.folder / "homeport.toml").read_text()
    assert swapped.count("a chat gets an answer") == 2, "before it has traffic, and with half of it"
    assert set(cloud.status["traffic"]) != {first}
    assert cloud.status["model"] == "second"
    assert f"{first} serves" in cloud.run("rollback").out
    assert (cloud.status["traffic"], cloud.status["model"]) == ({first: 100}, "first")
    assert "print_timing" in cloud.run("logs", "-n", "100").out

    assert "left: nothing" in cloud.run("down").err
    assert "removed bucket" in cloud.run("down", "--purge").out
    assert cloud.run("down", "--purge").out.strip() == "nothing of it is there"
