"""An entry of Agent Registry that the file wants no more: it is looked for until it is gone, where it was, and after that not."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from agents_beside import AGENT_PATH, Told
from cloud import Raw, act
from deployment import google_for
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.faults import parse
from homeport.errors import HomeportError
from homeport.targets.cloudrun.managed import find_managed, tables_of
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.service_labels import REGISTRY_LABEL

REGION = "projects/rehearsal/locations/europe-west4"
ENTRY = f"{REGION}/services/home-agent"
GET, LIST = "agentregistry.projects.locations.services.get", "agentregistry.projects.locations.services.list"
RIGHT = "agentregistry.services.get"
LESSER = "dev@example.com"


@pytest.fixture
def deployer() -> Told:
    return Told("ollama")


def is_deleted_by_hand(deployer: Told, service: str) -> None:
    path = AGENT_PATH.replace("home-agent", service)
    assert act(Raw(deployer.cloud).send("DELETE", f"run.googleapis.com/{path}")).status == 200
    assert deployer.cloud.store.get("run", path.removeprefix("v2/")) is None


def is_deleted_in_the_registry(deployer: Told) -> None:
    assert act(Raw(deployer.cloud).send("DELETE", f"agentregistry.googleapis.com/v1/{ENTRY}")).status == 200
    assert deployer.entry is None


def found_with(deployer: Told, tables: Collection[str]) -> list[str]:
    """What is found of the endpoint, all of which can be read."""

    async def work() -> list[str]:
        async with google_for(deployer.cloud) as google:
            there = await find_managed(google, "home", regions=["europe-west4"], tables=tables)
            assert there.unread == ()
            return [one.id for one in there.resources]

    return act(work())


def asked_of_the_registry(deployer: Told) -> list[str]:
    return [one.method for one in deployer.cloud.log if one.method.startswith("agentregistry.")]


@pytest.mark.parametrize("service", ["home", "home-agent"])
def test_the_entry_goes_though_somebody_has_deleted_one_of_the_services_by_hand(
    deployer: Told, service: str
) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    is_deleted_by_hand(deployer, service)
    _, after = deployer.up(deployer.wanted())
    assert (deployer.entry, deployer.agent, after.pending) == (None, None, ())
    assert REGISTRY_LABEL not in deployer.service["labels"]


@pytest.mark.parametrize("service", ["home", "home-agent"])
def test_so_it_does_when_all_is_taken_down_by_a_file_that_knows_nothing_of_it(
    deployer: Told, service: str
) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    is_deleted_by_hand(deployer, service)
    deployer.down(deployer.wanted(), purge=True)
    assert (deployer.entry, deployer.agent, deployer.service) == (None, None, None)


def test_a_service_that_is_made_anew_tells_of_the_entry_until_it_is_gone(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    is_deleted_by_hand(deployer, "home")
    deployer.cloud.faults.append(parse(f"{GET}:403:times=1"))
    plan, _, _ = deployer.looked_by(OWNER, deployer.wanted(), up=True)
    assert [one for one in plan.warnings if f"not known whether the registry entry {ENTRY}" in one]
    assert (deployer.agent, deployer.entry is None) == (None, False), "what had told of it before is gone"
    _, after = deployer.up(deployer.wanted())
    assert (deployer.entry, after.pending) == (None, ())


def test_an_agent_that_stays_tells_no_more_of_an_entry_that_is_gone(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    assert REGISTRY_LABEL in deployer.agent["labels"]
    deployer.up(deployer.with_table())
    assert REGISTRY_LABEL not in deployer.agent["labels"]
    assert deployer.agent["labels"]["homeport-role"] == "agent"


def test_of_an_entry_that_somebody_has_deleted_by_hand_the_label_alone_goes_and_that_is_said(
    deployer: Told,
) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    is_deleted_in_the_registry(deployer)
    plan, after = deployer.up(deployer.with_table())
    (going,) = plan.pending
    assert going.summary == "what the service home says of its agent's registry entry"
    assert after.pending == ()
    assert REGISTRY_LABEL not in deployer.service["labels"]


def test_a_plan_asks_for_the_entry_once(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    deployer.cloud.log.clear()
    deployer.looked_by(OWNER, deployer.with_table())
    assert asked_of_the_registry(deployer) == [GET]


def test_once_it_is_gone_no_plan_asks_for_the_right_to_look(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    without = deployer.with_table()
    assert RIGHT in deployer.rights_asked_for(without), "while the service says that it was there"
    revision = deployer.service["latestCreatedRevision"]
    deployer.up(without)
    assert REGISTRY_LABEL not in deployer.service["labels"]
    assert deployer.service["labels"]["homeport"] == "home"
    assert deployer.service["latestCreatedRevision"] == revision, "a label is of the service alone"
    deployer.cloud.log.clear()
    assert RIGHT not in deployer.rights_asked_for(without)
    assert asked_of_the_registry(deployer) == []


def test_who_may_not_look_for_what_the_file_wants_no_more_deploys_all_the_same_and_is_told(
    deployer: Told,
) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    without = deployer.with_table(tools=["time"])
    held = deployer.rights_asked_for(without)
    deployer.allow(LESSER, {right for right in held if not right.startswith("agentregistry.")})
    plan, found, _ = deployer.looked_by(LESSER, without, up=True)
    assert found["permissions"].verdict is PreflightVerdict.OK
    (lacking,) = [one for name, one in found.items() if name.startswith("permissions/")]
    assert lacking.verdict is PreflightVerdict.WARNING
    assert "the agent's entry in Agent Registry, which the file wants no more" in lacking.text
    assert [one for one in plan.warnings if f"not known whether the registry entry {ENTRY}" in one]
    assert deployer.entry is not None
    assert REGISTRY_LABEL in deployer.service["labels"], "so that who may look finds it"
    _, after = deployer.up(without)
    assert (deployer.entry, after.pending) == (None, ())
    assert REGISTRY_LABEL not in deployer.service["labels"]


@pytest.mark.parametrize("lacked", ["agentregistry.services.delete", "agentregistry.operations.get"])
def test_who_may_look_for_it_and_not_take_it_away_is_stopped_before_anything_is_changed(
    deployer: Told, lacked: str
) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    without = deployer.with_table(tools=["time"])
    held = deployer.rights_asked_for(without)
    assert lacked in held
    deployer.allow(LESSER, held - {lacked})
    _, found, _ = deployer.looked_by(LESSER, without)
    (lacking,) = [one for name, one in found.items() if name.startswith("permissions/")]
    assert lacking.verdict is PreflightVerdict.PROBLEM
    assert f"you lack {lacked} on rehearsal" in lacking.text
    assert "the agent's entry in Agent Registry, which the file wants no more" in lacking.text


def test_who_may_do_nothing_but_take_it_away_is_asked_for_no_more_and_does(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    without = deployer.with_table(tools=["time"])
    held = deployer.rights_asked_for(without)
    of_registry = {one.rpartition(".")[2] for one in held if one.startswith("agentregistry.services.")}
    assert of_registry == {"get", "delete"}
    deployer.allow(LESSER, held)
    _, found, _ = deployer.looked_by(LESSER, without, up=True)
    assert [one.verdict for name, one in found.items() if name.startswith("permissions")] == [
        PreflightVerdict.OK
    ]
    assert deployer.entry is None


@pytest.mark.parametrize("state", ["gone", "somebody's"])
def test_where_there_is_nothing_to_take_away_no_right_to_is_asked_for(deployer: Told, state: str) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    if state == "gone":
        is_deleted_in_the_registry(deployer)
    else:
        deployer.entry["description"] = "somebody's own"
    without = deployer.with_table(tools=["time"])
    held = deployer.rights_asked_for(without)
    assert [one for one in held if one.startswith("agentregistry.")] == []
    deployer.allow(LESSER, {*held, RIGHT})
    _, found, _ = deployer.looked_by(LESSER, without, up=True)
    assert found["permissions"].verdict is PreflightVerdict.OK
    assert REGISTRY_LABEL not in deployer.service["labels"]
    assert (deployer.entry is None) == (state == "gone")


def test_what_a_wanted_entry_takes_is_no_less_needed(deployer: Told) -> None:
    wanted = deployer.with_table(registry=True)
    held = deployer.rights_asked_for(wanted)
    deployer.allow(LESSER, {right for right in held if not right.startswith("agentregistry.")})
    _, found, _ = deployer.looked_by(LESSER, wanted)
    (lacking,) = [one for name, one in found.items() if name.startswith("permissions/")]
    assert lacking.verdict is PreflightVerdict.PROBLEM


def test_it_is_looked_for_in_its_own_region_and_no_other(deployer: Told) -> None:
    wanted = deployer.with_table(registry=True)
    deployer.up(wanted)
    for tables in ((), tables_of(wanted)):
        deployer.cloud.log.clear()
        assert "registry-entry/home-agent" in found_with(deployer, tables)
        assert [one.name for one in deployer.cloud.log if one.method == LIST] == [f"/v1/{REGION}/services"]


def test_a_region_without_agent_registry_has_no_entry_and_keeps_nobody_from_taking_down(
    deployer: Told,
) -> None:
    deployer.up(deployer.with_table())
    deployer.cloud.enabled[("rehearsal", "agentregistry.googleapis.com")] = float("-inf")
    deployer.cloud.faults.append(parse(f"{LIST}:404:times=99"))
    deployer.down(deployer.with_table(registry=True), purge=True)
    assert deployer.service is None
    assert LIST in asked_of_the_registry(deployer)


def test_where_it_may_not_be_listed_nothing_that_tells_of_it_goes(deployer: Told) -> None:
    deployer.deployed(deployer.with_table(registry=True))
    deployer.cloud.faults += [parse(f"{method}:403:times=99") for method in (GET, LIST)]
    with pytest.raises(HomeportError):
        deployer.down(deployer.wanted(), purge=True)
    assert REGISTRY_LABEL in deployer.service["labels"]
    deployer.cloud.faults.clear()
    deployer.down(deployer.wanted(), purge=True)
    assert (deployer.entry, deployer.service) == (None, None)


def test_a_plan_of_others_reads_the_agents_service_no_more_often(deployer: Told) -> None:
    deployer.up(deployer.wanted())
    deployer.cloud.log.clear()
    _, after = deployer.up(deployer.wanted())
    read = [one for one in deployer.cloud.log if one.name.endswith(AGENT_PATH)]
    assert after.pending == ()
    assert len(read) == 4, "by each of the two plans the service, and who may call it"
