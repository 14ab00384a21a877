"""`[agent]` and `[edge]` of one file: the agent asks for its model at the load balancer, whichever that is, and is led there in time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agents_beside import AGENT_PATH, MEMBER
from all_tables import WithAllTables
from cloud import Raw, act, enable
from deployers import Deployer
from deployment import google_for
from edges import DOMAIN
from guarded_at_balancers import ALL, AtBalancer
from homeport import spec
from homeport.errors import OperationFailed
from homeport.export import export
from homeport.google import Google
from homeport.reconcile import ActionKind, Plan
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.agent.way import way_of
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.names import names_of
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.preflight.policies import _egress
from homeport.targets.cloudrun.target import CloudRunTarget
from preflights import ASKED

ADDRESS = f"https://{DOMAIN}"
COMPUTE = "compute.googleapis.com/compute/v1/projects/rehearsal"
REGION = "europe-west4"
DENIED = {"values": {"deniedValues": ["private-ranges-only"]}}


class Screened(AtBalancer):
    """With the file's agent, too."""

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        made = with_gateway(Deployer.target(self, google, chosen, wanted, canary=canary))
        return self.behind_edge(with_agent(made))


@pytest.fixture
def deployer(tmp_path: Path) -> WithAllTables:
    return WithAllTables("ollama", tmp_path)


def agent_of(deployer: Deployer) -> dict[str, Any]:  # Any: JSON
    """The template of its service."""
    kept = deployer.cloud.store.get("run", AGENT_PATH.removeprefix("v2/"))
    assert kept is not None
    return dict(kept.body["template"])


def asks(deployer: Deployer) -> str:
    """Where it asks for its model."""
    (container,) = agent_of(deployer)["containers"]
    return next(str(one["value"]) for one in container["env"] if one["name"] == "MODEL_URL")


def order(plan: Plan) -> list[str]:
    """What is done, in order."""
    return [
        f"{'-' if action.kind is ActionKind.DELETE else ''}{action.resource.id}" for action in plan.pending
    ]


def in_turn(plan: Plan, *ids: str) -> None:
    """These are done one after the other."""
    places = [order(plan).index(id_) for id_ in ids]
    assert places == sorted(places), ids


def test_it_is_led_there_once_it_answers_and_before_the_services_own_address_is_gone(
    deployer: WithAllTables,
) -> None:
    deployer.deployed(deployer.file("agent"))
    assert asks(deployer) == deployer.service["uri"]
    plan, after = deployer.up(deployer.file("agent", "edge"))
    in_turn(
        plan, "forwarding-rule/home-edge", "answering-edge/home", "service/home-agent", "closed-door/home"
    )
    assert after.pending == ()
    assert (asks(deployer), deployer.service["defaultUriDisabled"]) == (ADDRESS, True)
    assert agent_of(deployer)["vpcAccess"]["egress"] == "PRIVATE_RANGES_ONLY", "the way to the internet"

    plan, after = deployer.up(deployer.file("agent"))
    in_turn(plan, "service/home", "service/home-agent", "-forwarding-rule/home-edge")
    assert after.pending == ()
    assert asks(deployer) == deployer.service["uri"]
    assert agent_of(deployer)["vpcAccess"]["egress"] == "ALL_TRAFFIC"


def test_a_load_balancer_that_never_answers_leads_it_nowhere(tmp_path: Path) -> None:
    deployer = WithAllTables("ollama", tmp_path)
    deployer.deployed(deployer.file("agent"))
    deployer.answers = ["nothing answers"] * 10_000
    with pytest.raises(OperationFailed, match="does not answer"):
        deployer.up(deployer.file("agent", "edge"))
    assert asks(deployer) == deployer.service["uri"]
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL", "where it still is"


def test_it_goes_before_the_load_balancer_at_which_it_asks(deployer: WithAllTables) -> None:
    wanted = deployer.file("agent", "edge")
    deployer.deployed(wanted)
    gone = deployer.down(wanted, purge=True)
    places = [gone.index(one) for one in ("service home-agent", "forwarding rule home-edge", "service home")]
    assert places == sorted(places)


def make(deployer: Deployer, place: str, **body: Any) -> None:  # Any: JSON
    """A thing of the user's own network."""
    made = act(Raw(deployer.cloud).send("POST", f"{COMPUTE}/{place}", body))
    assert made.status == 200, made.body


def test_an_isolated_endpoints_agent_asks_within_the_network(deployer: WithAllTables) -> None:
    enable(deployer.cloud, "compute")
    make(deployer, "global/networks", name="office", autoCreateSubnetworks=False)
    office, where = "global/networks/office", f"regions/{REGION}/subnetworks"
    desks = {"name": "desks", "ipCidrRange": "10.20.0.0/24", "privateIpGoogleAccess": True}
    make(deployer, where, network=office, **desks)
    proxies = {"name": "proxies", "ipCidrRange": "10.21.0.0/23", "purpose": "REGIONAL_MANAGED_PROXY"}
    make(deployer, where, network=office, role="ACTIVE", **proxies)
    within = {
        "cloudrun": {"network": "office", "subnetwork": "desks"},
        "access": {"isolated": True},
        "edge": {"kind": "internal", "domain": DOMAIN},
    }
    alone = {key: value for key, value in within.items() if key != "edge"}
    deployer.deployed(deployer.file("agent", **alone))
    plan, after = deployer.up(deployer.file("agent", **within))
    in_turn(plan, "answering-edge/home", "service/home-agent", "closed-door/home")
    assert after.pending == ()
    service, access = deployer.service, agent_of(deployer)["vpcAccess"]
    assert (service["ingress"], service["defaultUriDisabled"]) == ("INGRESS_TRAFFIC_INTERNAL_ONLY", True)
    assert (asks(deployer), access["egress"]) == (ADDRESS, "ALL_TRAFFIC")
    assert access["networkInterfaces"][0]["subnetwork"].endswith("desks")
    plan, after = deployer.up(deployer.file("agent", **alone))
    in_turn(plan, "service/home", "service/home-agent", "-forwarding-rule/home-edge")
    assert (after.pending, asks(deployer)) == ((), deployer.service["uri"])


@pytest.mark.parametrize("where", ["traffic-extension", "authz-extension"])
def test_where_one_of_googles_roads_screens_nothing_of_it_is_sent_before_that_stands(
    tmp_path: Path, where: str
) -> None:
    deployer = Screened("ollama", tmp_path)
    road = {"where": where, "unscreened": [one for one in ALL if one != "names" or where[0] == "t"]}
    wanted = spec.parse(
        {**deployer.file(road).model_dump(exclude_none=True), "agent": {"tools": ["calculator"]}}
    )
    plan, after = deployer.up(wanted)
    stands = next(id_ for id_ in order(plan) if "extension/home-guard" in id_)
    right = "grant/run.servicesInvoker/{}/service/home"
    in_turn(
        plan, stands, "release/home", "answering-edge/home", right.format("home-agent"),
        "service/home-agent", "closed-door/home", right.format("friend@example.com"),
    )  # fmt: skip
    assert (after.pending, asks(deployer)) == ((), ADDRESS)
    resources = deployer.planned(wanted).resources()
    module = "\n".join(export("terraform", resources).values())
    granted = module.split('"google_cloud_run_v2_service_iam_member" "agent_calls_main"')[1]
    assert 'var.back_door == ""' in granted.split("\n}")[0], (
        "before, it would ask at the service's own address"
    )


def test_exports_lead_it_there_once_it_answers(deployer: WithAllTables) -> None:
    resources = deployer.target_of(deployer.file("agent", "edge")).resources()
    script, door = (export("gcloud", resources)[file] for file in ("deploy.sh", "door-home.json"))
    assert '"defaultUriDisabled": true' in door, "for it as for everybody"
    places = [script.rindex(one) for one in ("answering /v2/", "deploy home-agent", "door /v2/")]
    assert places == sorted(places)
    module = "\n".join(export("terraform", resources).values())
    assert f'var.back_door != "" ? "{ADDRESS}" : google_cloud_run_v2_service.main[0].uri' in module


def way(deployer: WithAllTables, network: str = "", **edge: Any) -> Any:  # Any: values of homeport.toml
    placed = {"cloudrun": {"network": network, "subnetwork": network}} if network else {}
    wanted = deployer.file("agent", edge={"domain": DOMAIN, **edge}, **placed)
    return way_of(wanted, names_of(wanted, google_for(deployer.cloud)), deployer.folder)


def test_it_takes_the_way_that_its_load_balancer_wants(deployer: WithAllTables) -> None:
    for kind in ("global", "regional"):
        own, office = way(deployer, kind=kind), way(deployer, "office", kind=kind)
        assert (own.url, own.egress, list(own.notes(MEMBER))) == (ADDRESS, "PRIVATE_RANGES_ONLY", [])
        assert office.egress == "ALL_TRAFFIC"
        (told,) = office.notes(MEMBER)
        assert "whether that has a way out to the internet, such as Cloud NAT, is not looked at" in told
    within = way(deployer, "office", kind="internal")
    (told,) = within.notes(MEMBER)
    assert (within.egress, "a private zone of that network must lead" in told) == ("ALL_TRAFFIC", True)
    (told,) = way(deployer, shares={"next": 10}).notes(MEMBER)
    assert f"so next must let it in: the file of each names {MEMBER}" in told
    keys = {"kind": "api-gateway", "clients": ["alice"]}
    wanted = deployer.file("agent", edge=keys)
    past = way_of(wanted, names_of(wanted, google_for(deployer.cloud)), deployer.folder)
    assert (past.edge, past.egress) == (None, "ALL_TRAFFIC")


def test_a_limit_counts_it_by_itself_and_a_certificate_of_ones_own_is_trusted_by_it(
    deployer: WithAllTables,
) -> None:
    assert way(deployer).described == {}
    own = deployer.own()
    counted = way(deployer, requests_per_minute=60, key_header="x-client", **own)
    assert counted.headers == {"x-client": "home-agent"}
    assert counted.certificates == Path(own["certificate"].removeprefix("file:")).read_text()
    deployer.up(deployer.file("agent", edge={"domain": DOMAIN, "requests_per_minute": 60, **own}))
    (container,) = agent_of(deployer)["containers"]
    told = json.loads(next(one["value"] for one in container["env"] if one["name"] == "HOMEPORT_AGENT"))
    assert told["headers"] == {"x-api-key": "home-agent"}
    assert told["certificates"] == counted.certificates


def test_an_organisation_that_forbids_its_way_out_is_told_before(deployer: WithAllTables) -> None:
    target = deployer.target_of(deployer.file("agent", "edge"))
    assert target.preflight_input().egress == ("private-ranges-only",)
    assert _egress("egress", [DENIED], ASKED).verdict is PreflightVerdict.OK
    refused = _egress("egress", [DENIED], replace(ASKED, egress=("private-ranges-only",)))
    assert (refused.verdict, "private-ranges-only is forbidden" in refused.text) == (
        PreflightVerdict.PROBLEM,
        True,
    )
