"""Clients with keys before a rehearsed Cloud Run: from plan to down by commands, with OpenAI's client at the gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from commands_on_cloudrun import FILE, OnCloudRun
from gcloud import served
from user import User

EDGE = """
[edge]
kind = "api-gateway"
clients = ["alice", "bob"]
requests_per_minute = 10000
"""
ELSEWHERE = 'gateway_region = "europe-west1"\n'


class WithKeys(OnCloudRun):
    """Asks at the gateway, with what `env --as` says."""

    def key(self, client: str) -> str:
        said = self.run("env", "--as", client, "--json").json
        name, _, key = said["OPENAI_CUSTOM_HEADERS"].partition(": ")
        assert name == "x-api-key"
        return str(key)

    @property
    def host(self) -> str:
        return str(self.status["gateway"]).removeprefix("https://").removesuffix("/v1")

    def asked(self, path: str, key: str = "", **more: str) -> httpx2.Response:
        headers = {"host": self.host, **({"x-api-key": key} if key else {}), **more}
        with httpx2.Client(base_url=self.rehearsal.url, trust_env=False, verify=False, timeout=300) as client:
            return client.get(path, headers=headers)

    def openai(self, key: str) -> openai.OpenAI:
        """OpenAI's own client, as its variables would make it; the rehearsal stands in for the gateway's address."""
        return openai.OpenAI(
            base_url=f"{self.rehearsal.url}/v1",
            api_key="unused",
            default_headers={"x-api-key": key, "host": self.host},
        )


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[WithKeys]:
    with served(tmp_path) as rehearsal:
        yield WithKeys(user, rehearsal)


@pytest.mark.long
@pytest.mark.lasts(30)
def test_clients_come_with_keys_until_they_are_no_clients_and_nothing_is_left(cloud: WithKeys) -> None:
    cloud.user.write(FILE + EDGE + ELSEWHERE)
    plan = cloud.run("plan", "--json").json
    assert plan["facts"]["api_gateway"]["clients"] == ["alice", "bob"]
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    assert re.fullmatch(r"https://demo-[0-9a-f]+\.ew\.gateway\.dev/v1", cloud.status["gateway"])

    alice, bob = cloud.key("alice"), cloud.key("bob")
    assert alice != bob
    with cloud.openai(alice) as client:
        (model,) = [one.id for one in client.models.list()]
        question: Any = [{"role": "user", "content": "Count from one to five."}]
        whole = client.chat.completions.create(model=model, messages=question, max_tokens=8)
        assert whole.choices[0].message.content
        chunks = list(
            client.chat.completions.create(model=model, messages=question, max_tokens=8, stream=True)
        )
        assert len(chunks) > 2
    assert cloud.asked("/v1/models").status_code == 401
    assert "unregistered callers" in cloud.asked("/v1/models").json()["message"]
    assert cloud.asked("/v1/models", "AIzaSyNobodys").status_code == 400
    assert cloud.asked("/v1/models", bob).status_code == 200
    assert cloud.asked("/api/tags", alice).status_code == 404, "only OpenAI's paths are named"
    assert cloud.asked("/v1/../api/tags", alice).status_code == 404

    url = cloud.status["url"].removeprefix("https://").removesuffix("/v1")
    own = {"host": url, "x-api-key": alice}
    with httpx2.Client(base_url=cloud.rehearsal.url, trust_env=False, verify=False, timeout=60) as outside:
        assert outside.get("/v1/models", headers=own).status_code == 403, "the key opens the gateway alone"

    verified = cloud.run("verify", "--json").json
    results = {one["name"]: one for one in verified["results"]}
    assert verified["passed"], [one for one in verified["results"] if one["outcome"] == "failed"]
    assert "refuses no key" in results["clients"]["detail"]

    cloud.user.write(FILE + EDGE.replace('"alice", "bob"', '"bob"') + ELSEWHERE)
    cloud.run("up", "--yes")
    assert cloud.asked("/v1/models", alice).status_code == 400
    assert cloud.asked("/v1/models", bob).status_code == 200
    assert "no client" in cloud.run("env", "--as", "alice", code=None).err

    gone = cloud.run("down", "--yes", "--purge").out
    assert gone.index("removed API gateway demo") < gone.index("removed service demo\n")
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")


def test_a_region_without_api_gateway_stops_the_plan_once_it_can_be_read(cloud: WithKeys) -> None:
    cloud.user.write(FILE + EDGE)
    plan = cloud.run("plan", "--json").json
    assert any("edge/region" in warning for warning in plan["warnings"]), "its API is off: nobody knows yet"
    refused = cloud.run("up", "--yes", code=None)
    assert refused.code != 0
    assert "API Gateway is not in europe-west4" in refused.err + refused.out
    assert "gateway_region" in refused.err + refused.out
