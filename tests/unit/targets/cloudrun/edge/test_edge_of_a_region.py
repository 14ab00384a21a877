"""`[edge] kind = "regional"`: its own proxies' network, parts in the service's region, certificates of either kind, and its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployment import google_for
from edges import DOMAIN, WithEdge, shown_before_it_goes
from gcp_rehearsal.apis.compute.url_maps import service_for
from gcp_rehearsal.iam.permissions import required
from homeport.errors import OperationFailed, VerificationFailed
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.targets.cloudrun.endpoints import describe, list_endpoints
from homeport.targets.cloudrun.preflight.permissions import needs

ADDRESS = f"https://{DOMAIN}"
REGION = "europe-west4"
CLOSED = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
PARTS = re.compile(
    r"/(addresses|backendServices|certificates|dnsAuthorizations|forwardingRules|networkEndpointGroups|securityPolicies|"
    r"sslCertificates|targetHttpProxies|targetHttpsProxies|urlMaps|certificateMaps)/"
)


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    return WithEdge("ollama", tmp_path)


def parts(deployer: WithEdge) -> dict[str, Any]:  # Any: JSON
    """What there is of load balancers, by its whole name."""
    found = {kept.name: kept.body for kept in things(deployer.cloud) if PARTS.search(f"/{kept.name}")}
    return {name: body for name, body in found.items() if "/serverless-" not in name}


def of(deployer: WithEdge, kind: str, name: str = "home-edge") -> Any:  # Any: JSON
    """One of them, in the region."""
    return parts(deployer)[f"projects/rehearsal/regions/{REGION}/{kind}/{name}"]


@pytest.mark.parametrize("own", [False, True])
def test_all_of_it_is_in_the_services_region_and_in_a_network_of_the_proxies_alone(
    deployer: WithEdge, own: bool
) -> None:
    plan, after = deployer.up(
        deployer.behind(kind="regional", requests_per_minute=60, **(deployer.own() if own else {}))
    )
    assert after.pending == (), after.pending
    assert plan.pending[-1].resource.id == "closed-door/home"
    assert [name for name in parts(deployer) if f"/{REGION}/" not in name] == [], "nothing of it is global"
    there = {kept.name: kept.body for kept in things(deployer.cloud)}
    proxies = there[f"projects/rehearsal/regions/{REGION}/subnetworks/home-edge"]
    assert (proxies["purpose"], proxies["role"]) == ("REGIONAL_MANAGED_PROXY", "ACTIVE")
    assert proxies["network"].endswith("/networks/home-edge")
    rule = of(deployer, "forwardingRules")
    assert (rule["network"], rule["loadBalancingScheme"], rule["networkTier"]) == (
        proxies["network"], "EXTERNAL_MANAGED", "STANDARD"
    )  # fmt: skip
    assert rule["IPAddress"] == of(deployer, "addresses")["address"]
    assert of(deployer, "backendServices")["securityPolicy"].endswith(
        f"/regions/{REGION}/securityPolicies/home-edge"
    )
    (shown,) = of(deployer, "targetHttpsProxies")["sslCertificates"]
    wanted = f"/regions/{REGION}/sslCertificates/" if own else f"/locations/{REGION}/certificates/home-edge"
    assert wanted in shown
    service = deployer.service
    assert (service["ingress"], service["defaultUriDisabled"]) == (CLOSED, True)
    assert service["labels"] == {"homeport": "home", "homeport-edge-regional": "regional"}


def test_no_part_says_what_a_serverless_group_of_a_region_refuses(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(kind="regional"))
    for name in ("home-edge", "home-edge-candidate"):
        sent = of(deployer, "backendServices", name)
        assert not {"healthChecks", "outlierDetection"} & set(sent)
        assert "maxUtilization" not in sent["backends"][0]
    calls = [one for one in deployer.cloud.log if re.search(r"compute\..*(insert|patch|set)", one.method)]
    assert {one.status for one in calls} == {200}


def test_a_new_revision_is_proven_behind_the_closed_door_and_a_bad_one_gets_nothing(
    deployer: WithEdge,
) -> None:
    deployer.deployed(deployer.behind(kind="regional"))
    number = of(deployer, "backendServices", "home-edge-candidate")["id"]
    found = service_for(of(deployer, "urlMaps"), DOMAIN, "/v1/models", {CANDIDATE_HEADER: number})
    assert found.endswith(f"/regions/{REGION}/backendServices/home-edge-candidate")
    deployer.broken = True
    wanted = deployer.behind(kind="regional")
    changed = wanted.model_copy(update={"engine": wanted.engine.model_copy(update={"parallel": 2})})
    with pytest.raises(VerificationFailed, match="gets no traffic"):
        deployer.up(changed)
    assert deployer.asked[-1] == ADDRESS, "there is no other way to it"
    deployer.broken = False
    _, after = deployer.up(changed)
    assert after.pending == ()
    assert deployer.service["ingress"] == CLOSED


def test_where_it_never_answers_what_dns_lacks_is_said(tmp_path: Path) -> None:
    deployer = WithEdge("ollama", tmp_path, answers=["it says 404"] * 10_000)
    with pytest.raises(OperationFailed) as failed:
        deployer.up(deployer.behind(kind="regional"))
    assert f"DNS: {DOMAIN}. A {of(deployer, 'addresses')['address']}" in failed.value.hint
    assert re.search(rf"DNS: _acme-challenge_[0-9a-f]+\.{re.escape(DOMAIN)}\. CNAME ", failed.value.hint)


def test_what_was_changed_by_hand_is_mended(deployer: WithEdge) -> None:
    wanted = deployer.behind(kind="regional", requests_per_minute=60)
    deployer.deployed(wanted)
    routes = of(deployer, "urlMaps")
    routes["tests"] = []
    of(deployer, "backendServices").pop("securityPolicy")
    of(deployer, "securityPolicies")["rules"][0]["rateLimitOptions"]["rateLimitThreshold"]["count"] = 6000
    plan, after = deployer.up(wanted)
    assert {one.resource.id for one in plan.pending} == {
        "url-map/home-edge", "backend-service/home-edge", "security-policy/home-edge"
    }  # fmt: skip
    assert after.pending == ()


def test_googles_certificate_takes_the_place_of_ones_own_and_back(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(kind="regional", **deployer.own()))
    _, after = deployer.up(deployer.behind(kind="regional"))
    assert after.pending == ()
    assert not [name for name in parts(deployer) if "/sslCertificates/" in name]
    _, after = deployer.up(deployer.behind(kind="regional", **deployer.own()))
    assert after.pending == ()
    assert not [name for name in parts(deployer) if "/certificates/" in name]


def test_another_domain_takes_the_place_of_the_first(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(kind="regional"))
    plan, after = deployer.up(deployer.behind(kind="regional", domain="models.example.com"))
    shown_before_it_goes(plan)
    assert after.pending == (), after.pending
    ((name, made),) = [item for item in parts(deployer).items() if "/certificates/" in item[0]]
    assert made["managed"]["domains"] == ["models.example.com"]
    assert of(deployer, "targetHttpsProxies")["sslCertificates"][0].endswith(name)
    assert len([name for name in parts(deployer) if "/dnsAuthorizations/" in name]) == 1
    assert deployer.service["annotations"]["homeport/edge"] == "https://models.example.com"


def test_down_takes_the_certificates_of_both_domains_where_a_change_was_broken_off(
    deployer: WithEdge,
) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.behind(kind="regional"))
    deployer.answers = ["it says 404"] * 10_000
    with pytest.raises(OperationFailed):
        deployer.up(deployer.behind(kind="regional", domain="models.example.com"))
    assert len([name for name in parts(deployer) if "/certificates/" in name]) == 2
    deployer.down(deployer.behind(kind="regional"), purge=True)
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one for one in refused if one.status != 404] == []


@pytest.mark.parametrize("own", [False, True])
def test_without_it_and_by_down_nothing_of_it_is_left(deployer: WithEdge, own: bool) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    edge = {"kind": "regional", "requests_per_minute": 60, **(deployer.own() if own else {})}
    deployer.deployed(deployer.behind(**edge))
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    assert parts(deployer) == {}
    assert not [kept.name for kept in things(deployer.cloud) if kept.name.endswith("/home-edge")], (
        "no network, either"
    )
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL"
    deployer.up(deployer.behind(**edge))
    gone = deployer.down(deployer.behind(**edge), purge=True)
    assert gone.index("forwarding rule home-edge") < gone.index("subnetwork home-edge")
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one for one in refused if one.status != 404] == []
    asked_for = {one for call in deployer.cloud.log for one in required(call.method)}
    listed = {one for need in needs().values() for one in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()


def test_status_and_list_tell_of_it_without_a_file(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(kind="regional"))
    google = google_for(deployer.cloud)
    assert act(describe(google, "home", REGION)).url == f"{ADDRESS}/v1"
    (row,), unread = act(list_endpoints(google_for(deployer.cloud)))
    assert (row.url, unread) == (f"{ADDRESS}/v1", ())
    assert f"forwarding rule home-edge in {REGION}" in row.other


def test_another_kind_takes_its_place_only_while_the_door_is_open(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind())
    assert [one.verdict.value for one in deployer.told(deployer.behind(kind="regional"))] == ["problem"]
    assert [one.verdict.value for one in deployer.told(deployer.behind())] == []
    deployer.deployed(deployer.wanted())
    assert [one.verdict.value for one in deployer.told(deployer.behind(kind="regional"))] == []
    _, after = deployer.up(deployer.behind(kind="regional"))
    assert after.pending == ()
