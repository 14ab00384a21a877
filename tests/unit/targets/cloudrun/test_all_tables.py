"""`[guard]`, `[observe]`, `[agent]` and `[edge]` of one file: each comes and goes with the others there, and nothing is left."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from all_tables import TABLES, WithAllTables
from cloud import act
from deployment import google_for
from gcp_rehearsal.faults import Fault
from homeport import spec
from homeport.endpoint import Endpoint
from homeport.errors import GoogleError, HomeportError, PermissionDenied, StateError
from homeport.export import KINDS, export
from homeport.gateway.screens.base import FILTERS
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Resource
from homeport.resources.google.rest import RestResource
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.verification.expected import promise_of
from on_cloudrun import deployment

ALL = tuple(TABLES)


@pytest.fixture
def deployer(tmp_path: Path) -> WithAllTables:
    return WithAllTables("vllm", tmp_path)


def test_nothing_of_them_is_made_before_the_apis_are_on(deployer: WithAllTables) -> None:
    wanted = deployer.file(*ALL)
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    every = {one.id: one for one in deployer.target(google_for(deployer.cloud), chosen, wanted).resources()}

    def waits(id_: str) -> bool:
        return id_ == "apis" or any(waits(need) for need in every[id_].needs if need in every)

    assert [id_ for id_ in every if not waits(id_)] == []


def test_all_of_them_go_up_at_once_and_away_at_once(deployer: WithAllTables) -> None:
    before = deployer.there()
    _, after = deployer.up(deployer.file(*ALL))
    assert after.pending == ()
    assert [one["name"] for one in deployer.service["template"]["containers"]] == [
        "serving",
        "metrics",
        "gateway",
    ]
    deployer.down(deployer.file(*ALL), purge=True)
    assert deployer.there() == before
    assert deployer.granted() == set()


@pytest.mark.parametrize("table", ALL)
def test_each_comes_to_the_others_and_goes_from_them(tmp_path: Path, table: str) -> None:
    others = tuple(one for one in ALL if one != table)
    fresh = WithAllTables("vllm", tmp_path)
    fresh.deployed(fresh.file(*others))
    walked = WithAllTables("vllm", tmp_path)
    for tables in (others, ALL, others):
        _, after = walked.up(walked.file(*tables))
        assert after.pending == (), (tables, [action.resource.id for action in after.pending])
    assert walked.there() - fresh.there() == Counter()
    assert walked.granted() == fresh.granted()
    assert walked.service["template"] == fresh.service["template"]


def test_all_of_them_go_from_a_file_at_once(tmp_path: Path) -> None:
    fresh, walked = (WithAllTables("vllm", tmp_path) for _ in range(2))
    fresh.up(fresh.file())
    walked.up(walked.file(*ALL))
    _, after = walked.up(walked.file())
    assert after.pending == ()
    assert walked.there() - fresh.there() == Counter()
    assert walked.granted() == fresh.granted()
    assert walked.service["ingress"] == "INGRESS_TRAFFIC_ALL"


def broken_off(deployer: WithAllTables, wanted: spec.Spec) -> None:
    """A first `up` that ends before there is a service."""
    fault = Fault(method="run.projects.locations.services.create", nth=1, times=1000, status=400)
    deployer.cloud.faults.append(fault)
    with pytest.raises(GoogleError):
        deployer.up(wanted)
    deployer.cloud.faults.remove(fault)
    assert deployer.service is None


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("tables", [("guard",), ("observe",), ALL])
def test_after_a_first_up_that_was_broken_off_the_next_one_takes_away_what_tables_left_that_the_file_has_no_more(
    tmp_path: Path, tables: tuple[str, ...], isolated: bool
) -> None:
    fresh, walked = (WithAllTables("vllm", tmp_path) for _ in range(2))
    access = {"access": {**fresh.wanted().access.model_dump(), "isolated": isolated}}
    if isolated and tables == ALL:
        tables = ("guard", "observe", "agent")
    fresh.deployed(fresh.file(**access))
    broken_off(walked, walked.file(*tables, **access))
    left = "modelarmor" if "guard" in tables else "secrets/home-observe"
    assert any(left in one for one in walked.there())
    # Again broken off, whatever was left is gone before there is a service that would not tell of it.
    broken_off(walked, walked.file(**access))
    assert not any(left in one for one in walked.there())
    _, after = walked.up(walked.file(**access))
    assert after.pending == ()
    assert walked.there() - fresh.there() == Counter()
    assert walked.granted() == fresh.granted()


def test_who_may_not_see_templates_is_not_kept_from_a_first_up_by_one_that_was_broken_off(
    tmp_path: Path,
) -> None:
    deployer = WithAllTables("vllm", tmp_path)
    broken_off(deployer, deployer.file())
    denied = Fault(method="modelarmor.projects.locations.templates.get", nth=1, times=1000, status=403)
    deployer.cloud.faults.append(denied)
    deployer.up(deployer.file())
    guarded = WithAllTables("vllm", tmp_path)
    broken_off(guarded, guarded.file("guard"))
    guarded.cloud.faults.append(denied)
    with pytest.raises(PermissionDenied):
        guarded.up(guarded.file())


@pytest.mark.parametrize("table", ["guard", "observe"])
def test_no_rollback_goes_to_what_could_not_serve_any_more(deployer: WithAllTables, table: str) -> None:
    deployer.deployed(deployer.file(table))
    deployer.deployed(deployer.file())
    serving = deployer.service["trafficStatuses"]
    with pytest.raises(StateError, match="which is gone") as refused:
        rolled_back(deployer, deployer.file())
    assert f"[{table}]" in refused.value.hint
    assert deployer.service["trafficStatuses"] == serving
    deployer.up(deployer.file(table))
    deployer.up(deployer.file(table, scaling={"max": 2}))
    assert rolled_back(deployer, deployer.file(table)) != serving[0]["revision"]


def test_no_rollback_leads_round_the_screen_that_the_file_wants(deployer: WithAllTables) -> None:
    deployer.deployed(deployer.file())
    deployer.deployed(deployer.file("guard"))
    serving = deployer.service["trafficStatuses"]
    with pytest.raises(StateError, match="answers unscreened"):
        rolled_back(deployer, deployer.file("guard"))
    assert deployer.service["trafficStatuses"] == serving
    assert rolled_back(deployer, deployer.file()) != serving[0]["revision"], "the file says that it may"


def test_no_rollback_goes_to_what_reads_a_secret_whose_newest_version_is_not_enabled(
    deployer: WithAllTables,
) -> None:
    deployer.deployed(deployer.file("observe"))
    deployer.deployed(deployer.file("observe", scaling={"max": 2}))
    serving = deployer.service["trafficStatuses"]
    newest = "v1/projects/rehearsal/secrets/home-observe/versions/1"

    async def turn(word: str) -> None:
        await google_for(deployer.cloud).post("secretmanager", f"{newest}:{word}")

    act(turn("disable"))
    with pytest.raises(StateError, match="version latest of the secret home-observe, which is disabled"):
        rolled_back(deployer, deployer.file("observe"))
    assert deployer.service["trafficStatuses"] == serving
    act(turn("enable"))
    assert rolled_back(deployer, deployer.file("observe")) != serving[0]["revision"]


@pytest.mark.parametrize("isolated", [False, True])
def test_no_rollback_goes_to_a_gateway_that_may_not_ask_or_does_not_reach_model_armor(
    deployer: WithAllTables, isolated: bool
) -> None:
    """A template of the user's own stays where `[guard]` goes; the grant and the way do not."""
    mine = "projects/rehearsal/locations/europe-west4/templates/mine"
    access = {"access": {**deployer.wanted().access.model_dump(), "isolated": isolated}}
    guarded, bare = deployer.file(guard={"template": mine}, **access), deployer.file(**access)
    google, parent = google_for(deployer.cloud), f"v1/{mine.rpartition('/')[0]}"
    chosen = asyncio.run(choose(guarded, Path("/x/homeport.toml"), find_home(), Silent()))
    screen = deployer.target(google, chosen, guarded).foundations
    grant = next(one for one in screen.grants() if "modelarmor.user" in one.id)
    way = [one for one in screen.screen if isinstance(one, RestResource)]
    found: dict[str, Any] = {}  # Any: JSON

    async def own_template() -> None:
        await google.post("modelarmor.europe-west4.rep", parent, {"filterConfig": {}}, templateId="mine")

    async def make(one: Resource) -> None:
        path = "compute/v1/projects/rehearsal/global/networks/home"
        found["network/home"] = await google.get("compute", path)
        found[one.id] = await one.create(found, Silent())

    async def mislead(one: RestResource, key: str, value: str) -> None:
        live: Any = await one.read()
        await google.patch(one.address.api, one.address.path, {**live, key: [value]})

    deployer.up(deployer.file("guard", **access))
    act(own_template())
    deployer.up(guarded)
    deployer.up(bare)
    serving = deployer.service["trafficStatuses"]

    def refused(why: str) -> None:
        with pytest.raises(StateError, match=f"{why}.*it would refuse everything") as raised:
            rolled_back(deployer, bare)
        assert "[guard]" in raised.value.hint
        assert deployer.service["trafficStatuses"] == serving

    refused("home-run@.*has no roles/modelarmor.user")
    act(make(grant))
    for one in way:
        refused(f"reaches Model Armor by the {re.escape(one.summary({}))}, which is gone")
        act(make(one))
    assert len(way) == (3 if isolated else 2)
    act(mislead(way[1], "rrdatas", "10.8.0.99"))
    refused("A record of modelarmor.*leads elsewhere")
    act(mislead(way[1], "rrdatas", found[way[0].id]["address"]))
    assert rolled_back(deployer, bare) != serving[0]["revision"]


def rolled_back(deployer: WithAllTables, wanted: spec.Spec) -> str:
    """The revision that serves after `homeport rollback`; what `homeport status` says before is the same."""

    async def work() -> str:
        one = deployment(google_for(deployer.cloud), wanted)
        told = await one.status()
        refused, serving = "", None
        try:
            serving = (await one.rollback()).serving
        except StateError as error:
            refused = str(error)
            raise
        finally:
            assert (told.rollback_to, told.rollback_refused, told.rollback_unknown) == (serving, refused, "")
        return serving

    return act(work())


def exported(deployer: WithAllTables, kind: str, wanted: spec.Spec) -> dict[str, str]:
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    return export(kind, replace(target, moment=None).resources())


def test_an_export_that_has_no_words_for_a_table_names_it(deployer: WithAllTables) -> None:
    for tables in (("edge", "agent"), ALL):
        with pytest.raises(HomeportError, match="DNS authorization") as refused:
            exported(deployer, "knative", deployer.file(*tables))
        assert refused.value.hint.startswith("a file without [edge] is exported; it knows ")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "knative"])
def test_an_export_of_all_tables_has_what_each_makes(deployer: WithAllTables, kind: str) -> None:
    wanted = deployer.file(*ALL)
    text = "\n".join(exported(deployer, kind, wanted).values())
    assert wanted.edge is not None
    assert wanted.edge.domain is not None
    if kind in {"trigger", "github"}:
        assert "compute.loadBalancerAdmin" in text, "what `homeport up` needs there"
        return
    for word in (wanted.edge.domain, "HOMEPORT_GATEWAY", "HOMEPORT_AGENT", "monitoring"):
        assert word in text, word


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_with_a_gateway_and_an_agent_carries_both_or_says_what_installs_them(
    deployer: WithAllTables, kind: str
) -> None:
    files = exported(deployer, kind, deployer.file("agent", guard={"screen": "local"}))
    text = "\n".join(files.values())
    if kind in {"trigger", "github"}:
        words = " ".join(text.replace("# ", " ").split())
        assert "homeport[local,cloudrun,agents,gateway]@git+https" in words
        return
    for word in ("homeport.gateway.process", "HOMEPORT_GATEWAY", "HOMEPORT_AGENT", "http://127.0.0.1:8081"):
        assert word in text, word
    # Requests go to the gateway, never to the engine: 8081 is no container's port.
    ports = {"terraform": r"container_port = (\d+)"}.get(kind, r"containerPort: (\d+)")
    assert set(re.findall(ports, text)) == {"8080"}


def test_what_is_promised_of_it_is_known_with_every_table(deployer: WithAllTables) -> None:
    deployer.deployed(deployer.file(*ALL))
    for tables, screened in ((ALL, frozenset(FILTERS)), (("edge",), frozenset())):
        wanted = deployer.file(*tables)
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        target = deployer.target(google_for(deployer.cloud), chosen, wanted)
        endpoint = Endpoint(name="home", base_url="https://llm.example.com/v1", model="m")
        promise = act(promise_of(target, endpoint))
        assert promise.planned.screened == screened
        assert promise.planned.ingress == "INGRESS_TRAFFIC_ALL", "until it is closed"
        assert not (promise.subject.sees and screened), "the gateway refuses pictures"
        assert promise.subject.behind_gateway == bool(screened), "and likelihoods"
