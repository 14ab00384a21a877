"""`[edge] kind = "internal"`: in a network of the user's, which is looked at and never changed, and reached from within it alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import Raw, act, enable, things
from deployment import google_for
from edges import DOMAIN, WithEdge, shown_before_it_goes
from gcp_rehearsal.runtime.balancing import LoadBalancers
from gcp_rehearsal.runtime.front_end import Front
from homeport import spec
from homeport.catalog.prices import load
from homeport.errors import OperationFailed, SpecError
from homeport.resources.google.traffic import CLOSED, WITHIN
from homeport.targets.cloudrun.edge.backends import FrontEndpoint, findings
from homeport.targets.cloudrun.edge.fact import EdgeFact
from homeport.targets.cloudrun.preflight import PreflightVerdict
from homeport.targets.cloudrun.preflight.networks import proxies
from preflights import ASKED

FRONT = FrontEndpoint(guarded=False, model="demo", public=False)

ADDRESS = f"https://{DOMAIN}"
REGION = "europe-west4"
PLACE = "compute.googleapis.com/compute/v1/projects/rehearsal"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    made = WithEdge("ollama", tmp_path)
    enable(made.cloud, "compute")
    add_network(made)
    return made


def make(deployer: WithEdge, place: str, **body: Any) -> None:  # Any: JSON
    """A thing of the user's own network."""
    made = act(Raw(deployer.cloud).send("POST", f"{PLACE}/{place}", body))
    assert made.status == 200, made.body


def add_network(deployer: WithEdge) -> None:
    """The user's network, with a subnetwork in the region."""
    make(deployer, "global/networks", name="office", autoCreateSubnetworks=False)
    make(
        deployer,
        f"regions/{REGION}/subnetworks",
        name="desks",
        network="global/networks/office",
        ipCidrRange="10.20.0.0/24",
        privateIpGoogleAccess=True,
    )


def add_proxies(deployer: WithEdge) -> None:
    """A place for the proxies, as the network's owner makes one."""
    make(
        deployer,
        f"regions/{REGION}/subnetworks",
        name="proxies",
        network="global/networks/office",
        ipCidrRange="10.21.0.0/23",
        purpose="REGIONAL_MANAGED_PROXY",
        role="ACTIVE",
    )


def internal(deployer: WithEdge, **edge: Any) -> spec.Spec:  # Any: values of homeport.toml
    """The file of an endpoint in the network `office`, with an internal edge."""
    wanted = deployer.wanted().model_dump()
    return spec.parse({
        **wanted,
        "cloudrun": {"network": "office", "subnetwork": "desks"},
        "edge": {"domain": DOMAIN, "kind": "internal", **edge},
    })  # fmt: skip


def found(deployer: WithEdge, kind: str) -> dict[str, Any]:  # Any: JSON
    """What there is of a kind of Compute Engine in the region, by name."""
    begin = f"projects/rehearsal/regions/{REGION}/{kind}/"
    return {
        kept.name.removeprefix(begin): kept.body
        for kept in things(deployer.cloud)
        if kept.name.startswith(begin)
    }


@pytest.mark.parametrize("own", [False, True])
def test_it_has_an_address_of_the_users_network_and_makes_no_network(deployer: WithEdge, own: bool) -> None:
    add_proxies(deployer)
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    more = deployer.own() if own else {}
    _, after = deployer.up(internal(deployer, requests_per_minute=60, **more))
    assert after.pending == (), after.pending
    address = found(deployer, "addresses")["home-edge"]
    assert (address["addressType"], address["purpose"]) == ("INTERNAL", "SHARED_LOADBALANCER_VIP")
    assert address["subnetwork"].endswith(f"/regions/{REGION}/subnetworks/desks")
    rules = found(deployer, "forwardingRules")
    for name in ("home-edge", "home-edge-redirect"):
        rule = rules[name]
        assert (rule["loadBalancingScheme"], rule["IPAddress"]) == ("INTERNAL_MANAGED", address["address"])
        assert rule["network"].endswith("/global/networks/office")
    assert found(deployer, "backendServices")["home-edge"]["loadBalancingScheme"] == "INTERNAL_MANAGED"
    assert not [name for name in found(deployer, "subnetworks") if name not in {"desks", "proxies"}]
    assert (deployer.service["defaultUriDisabled"], deployer.asked[-1]) == (True, ADDRESS)

    _, after = deployer.up(internal(deployer, requests_per_minute=30, **more))
    assert after.pending == ()
    gone = deployer.down(internal(deployer, **more), purge=True)
    assert "forwarding rule home-edge" in gone
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one for one in refused if one.status != 404] == []


def test_another_domain_takes_the_place_of_the_first(deployer: WithEdge) -> None:
    add_proxies(deployer)
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(internal(deployer))
    plan, after = deployer.up(internal(deployer, domain="models.example.com"))
    shown_before_it_goes(plan)
    assert after.pending == (), after.pending
    assert deployer.service["annotations"]["homeport/edge"] == "https://models.example.com"
    deployer.down(internal(deployer, domain="models.example.com"), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


def test_without_a_place_for_its_proxies_the_plan_says_how_to_make_one(deployer: WithEdge) -> None:
    wanted = replace(ASKED, edge="internal", network="office", subnetwork="desks", region=REGION)

    def told() -> tuple[PreflightVerdict, str, str]:
        (one,) = act(proxies(google_for(deployer.cloud), wanted))
        return one.verdict, one.text, one.hint

    verdict, text, hint = told()
    assert verdict is PreflightVerdict.PROBLEM
    assert "no active proxy-only subnetwork in europe-west4" in text
    assert "--purpose=REGIONAL_MANAGED_PROXY --role=ACTIVE --region=europe-west4 --network=office" in hint
    add_proxies(deployer)
    assert told()[:2] == (PreflightVerdict.OK, "proxies in europe-west4, 10.21.0.0/23")
    for kind in ("", "global", "regional"):
        assert act(proxies(google_for(deployer.cloud), replace(wanted, edge=kind))) == []


def test_who_asks_from_outside_is_told_where_it_answers(tmp_path: Path) -> None:
    deployer = WithEdge("ollama", tmp_path, answers=["nothing answers"] * 10_000)
    enable(deployer.cloud, "compute")
    add_network(deployer)
    add_proxies(deployer)
    with pytest.raises(OperationFailed) as failed:
        deployer.up(internal(deployer))
    assert failed.value.hint.startswith(
        "it answers within the network office alone: run this on a machine there; DNS: "
    )
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL"


def test_a_plan_says_who_reaches_it_and_that_its_price_is_not_confirmed(deployer: WithEdge) -> None:
    edge = internal(deployer).edge
    assert edge is not None
    fact = EdgeFact.of(edge, load())
    assert (fact.kind, fact.usd_per_month, fact.unconfirmed) == ("internal", 18.25, ("load_balancer_hour",))
    assert "from within the network of [cloudrun] alone" in fact.text
    outer = deployer.behind(kind="regional").edge
    assert outer is not None
    assert EdgeFact.of(outer, load()).unconfirmed == ()
    not_counted = "not counted: what Google may charge for the instances of its proxies"
    assert not_counted in fact.text
    assert not_counted in EdgeFact.of(outer, load()).text
    everywhere = deployer.behind().edge
    assert everywhere is not None
    assert not_counted not in EdgeFact.of(everywhere, load()).text
    assert "its proxies have a network of their own" in EdgeFact.of(outer, load()).text


def test_an_isolated_endpoint_of_its_region_may_be_behind_it_and_of_another_region_none(
    deployer: WithEdge,
) -> None:
    add_proxies(deployer)
    within = deployer.wanted().model_dump()
    deployer.deployed(
        spec.parse({**within, "name": "within", "access": {"audience": ADDRESS, "isolated": True}})
    )
    wanted = internal(deployer, backends={"/within": "within"})
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert [(one.verdict.value, one.text) for one in deployer.told(wanted)] == [
        ("ok", "within is there, in europe-west4")
    ]
    (elsewhere,) = findings(deployer.found, ADDRESS, FRONT, region="us-central1", is_internal=True)
    assert elsewhere.verdict is PreflightVerdict.PROBLEM
    assert elsewhere.hint == "take /within out of edge.backends"
    (outside,) = findings(deployer.found, ADDRESS, FRONT)
    assert "no load balancer of the internet" in outside.text


def test_an_isolated_endpoint_goes_through_one_and_is_never_open_to_anything_else(
    deployer: WithEdge,
) -> None:
    add_proxies(deployer)
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    isolated = spec.parse({**internal(deployer).model_dump(exclude_none=True), "access": {"isolated": True}})
    _, after = deployer.up(isolated)
    assert after.pending == (), after.pending
    service = deployer.service
    assert (service["ingress"], service["defaultUriDisabled"]) == (WITHIN, True)
    assert service["annotations"]["homeport/edge"] == ADDRESS
    assert set(deployer.asked_while) == {WITHIN}, "nor while the load balancer was waited for"

    plan, after = deployer.up(internal(deployer))
    assert (after.pending, deployer.service["ingress"]) == ((), CLOSED)
    assert [one.resource.kind for one in plan.pending if one.resource.kind == "closed door"]
    _, after = deployer.up(isolated)
    assert (after.pending, deployer.service["ingress"]) == ((), WITHIN)

    alone = {**deployer.wanted().model_dump(), "access": {"isolated": True}}
    _, after = deployer.up(spec.parse({**alone, "cloudrun": {"network": "office", "subnetwork": "desks"}}))
    assert (after.pending, deployer.service["ingress"]) == ((), WITHIN)
    assert not deployer.service.get("defaultUriDisabled")
    assert "homeport/edge" not in deployer.service["annotations"]
    deployer.down(isolated, purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before


@pytest.mark.parametrize(("internal_one", "status"), [(True, 403), (False, 404)])
def test_the_rehearsal_lets_internal_load_balancers_alone_into_an_isolated_service(
    deployer: WithEdge, internal_one: bool, status: int
) -> None:
    add_proxies(deployer)
    within = deployer.wanted().model_dump()
    deployer.deployed(
        spec.parse({**within, "name": "within", "access": {"audience": ADDRESS, "isolated": True}})
    )
    deployer.deployed(internal(deployer, backends={"/within": "within"}))
    sent: list[dict[str, Any]] = []  # Any: ASGI

    async def work() -> None:
        balancers = LoadBalancers(deployer.cloud)
        (listener,) = [one for one in balancers.listeners() if one.secure]
        goal, _ = balancers.goal(listener, DOMAIN, "/within/v1/models", {})
        assert goal.internal

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        asked = replace(goal, internal=internal_one)
        await Front(deployer.cloud)({"type": "http", "headers": []}, receive, keep, asked)

    act(work())
    assert sent[0]["status"] == status, "403 is the answer to who comes without a token, 404 is a closed door"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"cloudrun": {}}, "name it as cloudrun.network"),
        (
            {"access": {"isolated": True}, "edge": {"domain": DOMAIN}},
            'set kind = "internal", within a network',
        ),
    ],
)
def test_what_it_is_not_built_for_is_refused(deployer: WithEdge, more: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        spec.parse({**internal(deployer).model_dump(exclude_none=True), **more})
