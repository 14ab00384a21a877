"""`registry` of `[agent]`: the agent's card stands in Agent Registry, is kept true, and goes before the agent does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents_beside import AGENT_PATH, Told, WithAgentTable
from cloud import Raw, act
from deployment import google_for
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.iam.permissions import required
from homeport.errors import SpecError
from homeport.export import export
from homeport.spec import Spec
from homeport.targets.cloudrun.managed import find_managed, tables_of
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight.permissions import needs

REGION = "projects/rehearsal/locations/europe-west4"
ENTRY = f"{REGION}/services/home-agent"
API = "agentregistry.googleapis.com/v1"


@pytest.fixture
def deployer() -> Told:
    return Told("ollama")


def entry(deployer: Told) -> Any:  # Any: JSON
    kept = deployer.cloud.store.get("agentregistry", ENTRY)
    return kept.body if kept else None


def found(deployer: Told, word: str) -> list[dict[str, Any]]:  # Any: JSON
    """What somebody finds there who searches for a word."""
    answer = act(Raw(deployer.cloud).send("POST", f"{API}/{REGION}/agents:search", {"searchString": word}))
    assert answer.status == 200, answer.body
    return list(answer.body.get("agents", []))


def listed_by_mark(deployer: Told, wanted: Spec | None) -> list[str]:
    async def work() -> list[str]:
        async with google_for(deployer.cloud) as google:
            there = await find_managed(google, "home", tables=tables_of(wanted) if wanted else ())
            return [one.id for one in there.resources]

    return act(work())


def test_without_it_nobody_is_asked_for_the_registry(deployer: Told) -> None:
    plan, after = deployer.up(deployer.with_table(tools=["calculator"]))
    assert after.pending == ()
    assert not [action for action in plan.pending if action.resource.kind == "registry entry"]
    assert entry(deployer) is None
    target = deployer.made(deployer.with_table())
    assert "agentregistry.googleapis.com" not in target.foundations.apis.services
    assert "agent-registry" not in target.preflight_input().needs


def test_others_find_its_card_with_where_it_is(deployer: Told) -> None:
    plan, after = deployer.up(deployer.with_table(tools=["calculator"], registry=True))
    assert after.pending == ()
    order = [action.resource.id for action in plan.pending]
    assert order.index("service/home-agent") < order.index("registry-entry/home-agent")
    (agent,) = found(deployer, "calculate")
    assert agent["displayName"] == "home-agent"
    (skill,) = agent["skills"]
    assert skill["tags"] == ["calculate"]
    ((interface,),) = [one["interfaces"] for one in agent["protocols"]]
    assert interface == {"url": f"{deployer.agent['uri']}/a2a", "protocolBinding": "JSONRPC"}


def test_who_may_find_it_may_call_it_no_more_than_before(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    policies = deployer.cloud.access.policy("run", AGENT_PATH.removeprefix("v2/"))
    before = WithAgentTable("ollama")
    before.up(before.with_table())
    assert (
        policies["bindings"] == before.cloud.access.policy("run", AGENT_PATH.removeprefix("v2/"))["bindings"]
    )


def test_the_card_follows_the_tools_and_a_change_by_hand_is_undone(deployer: Told) -> None:
    deployer.up(deployer.with_table(tools=["calculator"], registry=True))
    deployer.up(deployer.with_table(tools=["time"], registry=True))
    (skill,) = entry(deployer)["agentSpec"]["content"]["skills"]
    assert skill["tags"] == ["current_time"]
    assert found(deployer, "calculate") == []
    entry(deployer)["agentSpec"]["content"]["supportedInterfaces"][0]["url"] = "https://evil.example/a2a"
    plan, after = deployer.up(deployer.with_table(tools=["time"], registry=True))
    assert [action.resource.id for action in plan.pending] == ["registry-entry/home-agent"]
    assert after.pending == ()
    assert entry(deployer)["agentSpec"]["content"]["supportedInterfaces"][0]["url"].startswith(
        deployer.agent["uri"]
    )


def test_switched_off_it_goes_and_the_agent_stays(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    plan, after = deployer.up(deployer.with_table())
    assert [(action.kind, action.resource.id) for action in plan.pending] == [
        ("delete", "registry-entry/home-agent")
    ]
    assert after.pending == ()
    assert entry(deployer) is None
    assert found(deployer, "") == []
    assert deployer.agent


def test_it_goes_before_the_agent_does(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    plan, after = deployer.up(deployer.wanted())
    gone = [action.resource.id for action in plan.pending if action.kind == "delete"]
    assert gone.index("registry-entry/home-agent") < gone.index("service/home-agent")
    assert after.pending == ()
    assert entry(deployer) is None
    assert deployer.agent is None


@pytest.mark.parametrize("known", [True, False], ids=["with its file", "without"])
def test_it_is_found_by_its_mark(deployer: Told, known: bool) -> None:
    wanted = deployer.with_table(registry=True)
    deployer.up(wanted)
    assert "registry-entry/home-agent" in listed_by_mark(deployer, wanted if known else None)


def test_somebody_elses_entry_of_that_name_stays_and_is_said(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    entry(deployer)["description"] = "somebody's own"
    plan, _, _ = deployer.looked_by(OWNER, deployer.wanted(), up=True)
    assert entry(deployer)["description"] == "somebody's own"
    (said,) = [one for one in plan.warnings if ENTRY in one]
    assert "does not carry the mark homeport=home" in said
    assert "take it away by hand if it is yours" in said
    after, _, rights = deployer.looked_by(OWNER, deployer.wanted())
    assert not [one for one in after.warnings if ENTRY in one], (
        "it was said, and nothing looks for it any more"
    )
    assert (after.pending, "agentregistry.services.get" in rights) == ((), False)


def test_the_plan_says_who_finds_what_and_what_it_does_not_give(deployer: Told) -> None:
    target = deployer.made(deployer.with_table(registry=True))

    async def told() -> str:
        plan, _ = await plan_of(target)
        return next(fact.text for fact in plan.facts if fact.key == "agent")

    text = act(told())
    assert f"stands in the Agent Registry of {REGION}" in text
    assert "roles/agentregistry.viewer" in text
    assert "may call it no more than before" in text


def test_who_deploys_is_asked_for_what_it_takes_and_no_more_before_anything_is_made(
    deployer: Told,
) -> None:
    wanted = deployer.with_table(registry=True)
    assert "agent-registry" in deployer.made(wanted).preflight_input().needs
    deployer.up(wanted)
    deployer.up(deployer.with_table(tools=["time"], registry=True))
    listed_by_mark(deployer, wanted)
    deployer.up(deployer.wanted())
    called = {one.method for one in deployer.cloud.log if one.method.startswith("agentregistry.")}
    asked_for = {permission for method in called for permission in required(method)}
    # Operations are over at once in this cloud, so that nobody asks for one.
    assert asked_for | {"agentregistry.operations.get"} == set(needs()["agent-registry"].permissions)


def test_a_value_that_is_no_switch_is_refused() -> None:
    with pytest.raises(SpecError, match="registry"):
        WithAgentTable("ollama").with_table(registry="everybody")


def test_each_export_says_it_too(deployer: Told) -> None:
    resources = deployer.made(deployer.with_table(tools=["calculator"], registry=True)).resources()
    terraform = export("terraform", resources)["agent.tf"]
    assert 'resource "google_agent_registry_service" "agent"' in terraform
    assert "count" in terraform
    assert "var.image_agent == null" in terraform
    assert '"${one(google_cloud_run_v2_service.agent[*].uri)}/a2a"' in terraform
    made = export("gcloud", resources)
    assert json.loads(made["registry-entry-home-agent.json"])["agentSpec"]["type"] == "A2A_AGENT_CARD"
    script = made["deploy.sh"]
    assert script.index("service-home-agent.in.yaml") < script.index("fill registry-entry-home-agent.json")
    knative = export("knative", resources)["service-home-agent.yaml"].replace("\n# ", " ")
    assert "The registry entry, by which others find the agent, is made once that serves" in knative
    assert "registry entry" not in knative.partition("which must be there before")[0]
    cloudbuild = export("cloudbuild", resources)
    assert "registry-entry-home-agent.json" in cloudbuild["cloudbuild.yaml"] + cloudbuild["prepare.sh"]
