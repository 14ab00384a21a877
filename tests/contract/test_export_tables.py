"""The exported script of files with more tables, carried out by the real gcloud: afterwards `up` has the proof alone to make."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import ways
from cloud import act
from deployment import google_for
from exporting import There, pending, there
from gcloud import NEEDS_GCLOUD
from homeport.google import Google
from homeport.reconcile import Resource
from homeport.resources.google.agent_registry import KIND
from homeport.resources.google.model_armor import ENDPOINT, TEMPLATE
from homeport.resources.google.release import Release
from homeport.resources.google.service import Service
from homeport.resources.google.service_agent import AgentGrant
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.guard.guarded import with_gateway
from observed import asked_from_outside

CHANGES = re.compile(r"\.(create|insert|patch|update|delete|replaceService|addVersion|batchEnable|enable)$")
Wanted = Callable[[Google], list[Resource]]
pytestmark = NEEDS_GCLOUD


async def never(*_: object) -> Receipt:
    raise AssertionError


async def passed(*_: object) -> Receipt:
    return Receipt(at="2026-11-30T00:00:01", passed=True, counts={"passed": 20})


def changes(here: There, since: int) -> list[str]:
    return [one.method for one in here.cloud.log[since:] if CHANGES.search(one.method)]


def of_guard(folder: Path, **guard: object) -> ways.Wanted:
    return ways.wanted("vllm", folder, guard=guard, access={"isolated": True})


def guarded(folder: Path, **guard: object) -> Wanted:
    wish = of_guard(folder, **guard)
    return lambda google: with_gateway(wish.target(google, never)).resources()


def test_what_a_guard_takes_is_made_changed_and_left(
    tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    wanted = guarded(tmp_path)
    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(wanted, lambda one: one.kind in {TEMPLATE, ENDPOINT} or isinstance(one, Release))
        left = pending(here.plan(wanted))
        assert {one.split(":")[0] for one in left} >= {
            "create model-armor-template/home-guard",
            "create regional-endpoint/home-guard",
            "create service/home",
        }
        here.script_of_the_rest(wanted)
        here.run("bash", "deploy.sh")
        assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"

        since = len(here.cloud.log)
        again = here.run("bash", "deploy.sh")
        assert changes(here, since) == []
        for kept in (
            "Model Armor template home-guard",
            "regional endpoint home-guard",
            "firewall rule home-to-guard",
        ):
            assert f"= {kept}: is there, as the file says; left as it is" in again.err

        less = guarded(tmp_path, filters=["injection"])
        assert "raiFilters" in str(pending(here.plan(less)))
        here.script_of_the_rest(less)
        here.run("bash", "deploy.sh")
        assert changes(here, since)[0] == "modelarmor.projects.locations.templates.patch"
        assert "template" not in str(pending(here.plan(less)))
        assert here.down(of_guard(tmp_path).spec) == set()


def test_an_agents_card_is_made_changed_and_left(
    tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")

    both, one = (
        ways.wanted("vllm", tmp_path, agent={"registry": True, **more})
        for more in ({}, {"tools": ["calculator"]})
    )

    def wanted(google: Google) -> list[Resource]:
        return both.target(google, passed).resources()

    def fewer(google: Google) -> list[Resource]:
        return one.target(google, passed).resources()

    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(wanted, lambda one: one.kind == KIND)
        assert [one.split(":")[0] for one in pending(here.plan(wanted))] == [
            "create registry-entry/home-agent"
        ]
        here.script_of_the_rest(wanted)
        here.run("bash", "deploy.sh")
        assert pending(here.plan(wanted)) == []

        since = len(here.cloud.log)
        again = here.run("bash", "deploy.sh")
        assert changes(here, since) == []
        assert "= registry entry home-agent: is there, as the file says; left as it is" in again.err

        assert "registry-entry/home-agent" in str(pending(here.plan(fewer)))
        here.script_of_the_rest(fewer)
        here.run("bash", "deploy.sh")
        assert "agentregistry.projects.locations.services.patch" in changes(here, since)
        assert "registry-entry" not in str(pending(here.plan(fewer)))
        assert here.down(both.spec) == set()


def of_observe(folder: Path, **observe: object) -> ways.Wanted:
    table = {"alerts": ["mailto:ops@example.com"], "slo": {"ttft": "2s", "availability": 0.99}, **observe}
    return ways.wanted("vllm", folder, observe=table)


def observed(folder: Path, **observe: object) -> Wanted:
    wish = of_observe(folder, **observe)
    return lambda google: wish.target(google, never).resources()


def test_what_observe_takes_is_made_changed_and_left(
    tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    wanted = observed(tmp_path, budget=50)
    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(wanted, lambda one: isinstance(one, Service) or "home-observe" in one.id)
        left = [one.split(":")[0] for one in pending(here.plan(wanted))]
        for made in ("secret/home-observe", "dashboard/dashboard", "budget/home", "service/home"):
            assert f"create {made}" in left
        here.script_of_the_rest(wanted)
        here.run("bash", "deploy.sh")
        assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"

        since = len(here.cloud.log)
        again = here.run("bash", "deploy.sh")
        assert changes(here, since) == []
        for kept in (
            "home-observe: holds the same",
            "dashboard dashboard: is there",
            "budget home: is there",
        ):
            assert f"= {kept}" in again.err

        other = observed(tmp_path, budget=60, slo={"ttft": "3s"}, alerts=["mailto:else@example.com"])
        assert "budget/home" in str(pending(here.plan(other)))
        here.script_of_the_rest(other)
        here.run("bash", "deploy.sh")
        assert not [one for one in pending(here.plan(other)) if "release" not in one]
        assert here.down(of_observe(tmp_path).spec) == set()


def test_monitorings_own_account_is_asked_for_before_it_may_call_the_service_and_then_no_more(
    tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    observe = {"uptime": True, "alerts": ["mailto:ops@example.com"]}
    wish = ways.wanted("vllm", tmp_path, observe=observe, scaling={"min": 1})

    def wanted(google: Google) -> list[Resource]:
        return asked_from_outside(wish.target(google, never)).resources()

    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(wanted, lambda one: one.kind == "service" or isinstance(one, AgentGrant))
        since, asked = len(here.cloud.log), "serviceusage.services.generateServiceIdentity"
        here.script_of_the_rest(wanted)
        here.run("bash", "deploy.sh")
        done = [one.method for one in here.cloud.log[since:]]
        granted = max(
            at for at, one in enumerate(done) if one == "run.projects.locations.services.setIamPolicy"
        )
        assert done.index(asked) < granted < done.index("monitoring.projects.uptimeCheckConfigs.create")
        assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"
        here.run("bash", "deploy.sh")
        assert asked not in [one.method for one in here.cloud.log[since + len(done) :]]


def test_an_agent_is_made_with_its_account_and_the_secret_that_it_may_read(
    tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    url = "https://tools.example.com/mcp"
    wish = ways.wanted("ollama", tmp_path, agent={"tools": ["calculator"], "mcp": [url], "mcp_secrets": {url: "tools-token"}})  # fmt: skip

    def wanted(google: Google) -> list[Resource]:
        return wish.target(google, never).resources()

    async def token() -> None:
        google, parent = google_for(here.cloud), "v1/projects/rehearsal/secrets"
        automatic: dict[str, object] = {"automatic": {}}
        await google.post("secretmanager", parent, {"replication": automatic}, secretId="tools-token")
        await google.post("secretmanager", f"{parent}/tools-token:addVersion", {"payload": {"data": "dA=="}})

    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(wanted, lambda one: isinstance(one, Service) or "home-agent" in one.id)
        act(token())
        left = {one.split(":")[0] for one in pending(here.plan(wanted))}
        assert left >= {
            "create service/home",
            "create service/home-agent",
            "create service-account/home-agent",
        }
        here.script_of_the_rest(wanted)
        here.run("bash", "deploy.sh")
        assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"
        assert here.down(wish.spec) == set()
