"""A load balancer before the model: its parts in order, the closed door, a change, another certificate, and its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cloud import act, things
from deployers import PATH
from deployment import google_for
from edges import DOMAIN, WithEdge, write_certificate
from gcp_rehearsal.iam.permissions import required
from homeport.errors import OperationFailed, VerificationFailed
from homeport.resources.google.load_balancer import CANDIDATE_HEADER
from homeport.resources.google.service import ServiceIdentity, service
from homeport.targets.cloudrun.endpoints import describe, list_endpoints
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.preflight.permissions import needs

ADDRESS = f"https://{DOMAIN}"
CLOSED = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"


@pytest.fixture
def deployer(tmp_path: Path) -> WithEdge:
    return WithEdge("ollama", tmp_path)


def parts(deployer: WithEdge) -> dict[str, Any]:  # Any: JSON
    """What there is of load balancers, by collection and name."""
    return {
        "/".join(kept.name.split("/")[-2:]): kept.body
        for kept in things(deployer.cloud)
        if kept.api == "certificatemanager"
        or (
            kept.api == "compute"
            and not re.search(r"/(networks|subnetworks|firewalls|routes|serverless-)", kept.name)
        )
    }


def test_it_comes_up_after_the_model_and_the_door_is_closed_as_the_last(deployer: WithEdge) -> None:
    plan, after = deployer.up(deployer.behind())
    order = [action.resource.id for action in plan.pending]
    assert order[-1] == "closed-door/home"
    assert order.index("service/home") < order.index("endpoint-group/home-edge")
    assert after.pending == (), after.pending
    assert set(deployer.asked_while) == {"INGRESS_TRAFFIC_ALL"}, "the door is open until the edge answers"
    service = deployer.service
    assert (service["ingress"], service["defaultUriDisabled"]) == (CLOSED, True)
    assert "uri" not in service
    assert service["customAudiences"] == [ADDRESS]
    assert deployer.asked == [deployer.asked[0], ADDRESS], "proven at its own address, then through the edge"
    there = parts(deployer)
    assert there["forwardingRules/home-edge"]["portRange"] == "443-443"
    assert there["forwardingRules/home-edge-redirect"]["IPAddress"] == there["addresses/home-edge"]["address"]
    assert there["networkEndpointGroups/home-edge-candidate"]["cloudRun"] == {
        "service": "home",
        "tag": "candidate",
    }
    assert there["certificates/home-edge"]["managed"]["domains"] == [DOMAIN]


def test_no_part_says_what_a_serverless_group_refuses(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind())
    for name in ("backendServices/home-edge", "backendServices/home-edge-candidate"):
        sent = parts(deployer)[name]
        assert not {"healthChecks", "outlierDetection"} & set(sent)
        assert "maxUtilization" not in sent["backends"][0]
    created = [one for one in deployer.cloud.log if one.method == "compute.backendServices.insert"]
    assert {one.status for one in created} == {200}, "with timeoutSec Google's answer would be 400"


def test_only_the_header_with_googles_own_number_leads_to_a_candidate(deployer: WithEdge) -> None:
    from gcp_rehearsal.apis.compute.url_maps import service_for

    deployer.deployed(deployer.behind())
    there = parts(deployer)
    number = there["backendServices/home-edge-candidate"]["id"]
    routes = there["urlMaps/home-edge"]
    for headers, name in (
        ({}, "home-edge"),
        ({CANDIDATE_HEADER: "1"}, "home-edge"),
        ({CANDIDATE_HEADER: number}, "home-edge-candidate"),
    ):
        assert service_for(routes, DOMAIN, "/v1/models", headers).endswith(f"/backendServices/{name}")
    assert len(routes["tests"]) == 2, "Google refuses a map that does not route so"


def test_a_new_revision_is_proven_behind_the_closed_door_and_a_bad_one_gets_nothing(
    deployer: WithEdge,
) -> None:
    deployer.deployed(deployer.behind())
    (first,) = [one["revision"] for one in deployer.service["trafficStatuses"] if one.get("percent")]
    deployer.broken = True
    wanted = deployer.behind()
    changed = wanted.model_copy(update={"engine": wanted.engine.model_copy(update={"parallel": 2})})
    with pytest.raises(VerificationFailed, match="gets no traffic"):
        deployer.up(changed)
    assert deployer.asked[-1] == ADDRESS, "there is no other way to it"
    assert [one for one in deployer.service["trafficStatuses"] if one.get("percent")] == [
        {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": first, "percent": 100}
    ]
    assert deployer.service["ingress"] == CLOSED
    deployer.broken = False
    _, after = deployer.up(changed)
    assert after.pending == ()
    assert deployer.service["trafficStatuses"][0]["revision"] != first
    assert "tag" not in deployer.service["trafficStatuses"][0]
    assert (deployer.service["ingress"], deployer.service["defaultUriDisabled"]) == (CLOSED, True)


def test_an_edge_that_never_answers_leaves_the_service_reachable_and_says_what_dns_lacks(
    tmp_path: Path,
) -> None:
    deployer = WithEdge("ollama", tmp_path, answers=["it says 404"] * 10_000)
    with pytest.raises(OperationFailed, match=f"{ADDRESS} does not answer: it says 404") as failed:
        deployer.up(deployer.behind())
    assert deployer.service["ingress"] == "INGRESS_TRAFFIC_ALL"
    assert deployer.service["uri"]
    address = parts(deployer)["addresses/home-edge"]["address"]
    assert f"DNS: {DOMAIN}. A {address}" in failed.value.hint
    assert f"DNS: _acme-challenge.{DOMAIN}. CNAME " in failed.value.hint
    deployer.answers.clear()
    plan, after = deployer.up(deployer.behind())
    assert [one.resource.id for one in plan.pending] == ["closed-door/home"], "it goes on from there"
    assert after.pending == ()


def test_a_proof_that_fails_through_the_edge_opens_the_door_again(deployer: WithEdge) -> None:
    deployer.deployed(deployer.wanted())
    deployer.breaks_when_it_answers = True
    with pytest.raises(VerificationFailed) as failed:
        deployer.up(deployer.behind())
    assert "the service is reached as before" in failed.value.hint
    assert (deployer.service["ingress"], "uri" in deployer.service) == ("INGRESS_TRAFFIC_ALL", True)


def test_status_and_list_give_the_address_of_the_edge(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind())
    google = google_for(deployer.cloud)
    assert act(describe(google, "home", "us-central1")).url == f"{ADDRESS}/v1"
    (row,), unread = act(list_endpoints(google_for(deployer.cloud)))
    assert (row.url, unread) == (f"{ADDRESS}/v1", ())
    assert "forwarding rule home-edge" in row.other


def test_another_certificate_is_shown_before_the_old_one_goes(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(**deployer.own()))
    (old,) = [name for name in parts(deployer) if name.startswith("sslCertificates/")]
    plan, after = deployer.up(deployer.behind(**deployer.own()))
    kinds = [(one.kind.value, one.resource.kind) for one in plan.pending]
    assert kinds == [("create", "TLS certificate"), ("update", "HTTPS proxy"), ("delete", "TLS certificate")]
    assert after.pending == ()
    (new,) = [name for name in parts(deployer) if name.startswith("sslCertificates/")]
    assert new != old
    assert parts(deployer)["targetHttpsProxies/home-edge"]["sslCertificates"][0].endswith(new)


def test_googles_certificate_takes_the_place_of_ones_own_and_back(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(**deployer.own()))
    _, after = deployer.up(deployer.behind())
    assert after.pending == ()
    assert not [name for name in parts(deployer) if name.startswith("sslCertificates/")]
    _, after = deployer.up(deployer.behind(**deployer.own()))
    assert after.pending == ()
    assert not [name for name in parts(deployer) if name.startswith(("certificateMaps/", "certificates/"))]


def test_another_domain_takes_the_place_of_the_first(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind())
    before = len(deployer.asked)
    _, after = deployer.up(deployer.behind(domain="models.example.com"))
    assert after.pending == ()
    assert deployer.asked[before:] == ["https://models.example.com"], "the old domain takes no token any more"
    assert deployer.service["annotations"]["homeport/edge"] == "https://models.example.com"
    assert deployer.service["customAudiences"] == ["https://models.example.com"]


def test_what_a_change_of_domain_does_to_the_old_one_is_said_before_and_where_it_is_broken_off(
    deployer: WithEdge,
) -> None:
    deployer.deployed(deployer.behind())
    changed = deployer.behind(domain="models.example.com")
    assert deployer.told(deployer.behind()) == []
    (told,) = deployer.told(changed)
    assert told.verdict.value == "warning"
    assert told.text.startswith(f"{ADDRESS} answers no more once `up` changes its load balancer"), told.text
    deployer.answers = ["it says 404"] * 10_000
    with pytest.raises(OperationFailed, match="does not answer: it says 404; ") as failed:
        deployer.up(changed)
    assert f"{ADDRESS} answers no more" in str(failed.value)
    assert "as before" not in str(failed.value)
    assert (deployer.service["ingress"], deployer.service["customAudiences"]) == (
        CLOSED,
        ["https://models.example.com"],
    )
    deployer.answers = []
    _, after = deployer.up(deployer.behind())
    assert after.pending == (), "the old domain can be put back"
    assert deployer.service["customAudiences"] == [ADDRESS]
    deployer.breaks_when_it_answers = True
    with pytest.raises(VerificationFailed) as unproven:
        deployer.up(changed)
    assert f"{ADDRESS} answers no more" in unproven.value.hint
    deployer.broken = deployer.breaks_when_it_answers = False
    _, after = deployer.up(changed)
    assert after.pending == ()
    assert deployer.told(changed) == []


def test_a_limit_per_key_is_put_in_changed_and_taken_away(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind(requests_per_minute=60, preview=True))
    rule = parts(deployer)["securityPolicies/home-edge"]["rules"][0]
    assert (rule["action"], rule["preview"]) == ("throttle", True)
    assert rule["rateLimitOptions"]["enforceOnKeyName"] == "x-api-key"
    assert rule["rateLimitOptions"]["rateLimitThreshold"] == {"count": 60, "intervalSec": 60}
    assert parts(deployer)["backendServices/home-edge"]["securityPolicy"].endswith("/home-edge")
    plan, after = deployer.up(deployer.behind(requests_per_minute=30))
    assert [one.resource.id for one in plan.pending] == ["security-policy/home-edge"]
    assert after.pending == ()
    rule = parts(deployer)["securityPolicies/home-edge"]["rules"][0]
    assert (rule["preview"], rule["rateLimitOptions"]["rateLimitThreshold"]["count"]) == (False, 30)
    _, after = deployer.up(deployer.behind())
    assert after.pending == ()
    assert "securityPolicy" not in parts(deployer)["backendServices/home-edge"]
    assert "securityPolicies/home-edge" not in parts(deployer)


@pytest.mark.parametrize("own", [False, True])
def test_without_it_the_services_own_address_is_back_before_the_load_balancer_goes(
    deployer: WithEdge, own: bool
) -> None:
    deployer.deployed(deployer.wanted())
    before = set(parts(deployer))
    deployer.deployed(deployer.behind(requests_per_minute=60, **(deployer.own() if own else {})))
    deployer.cloud.log.clear()
    _, after = deployer.up(deployer.wanted())
    assert after.pending == ()
    service = deployer.service
    assert (service["ingress"], service.get("defaultUriDisabled", False)) == ("INGRESS_TRAFFIC_ALL", False)
    assert "homeport/edge" not in service.get("annotations", {})
    assert set(parts(deployer)) == before
    methods = [one.method for one in deployer.cloud.log]
    opened = methods.index("run.projects.locations.services.patch")
    gone = [place for place, method in enumerate(methods) if method.endswith(".delete")]
    assert opened < min(gone)
    status = act(describe(google_for(deployer.cloud), "home", "us-central1"))
    assert status.url == f"{service['uri']}/v1"


@pytest.mark.parametrize("own", [False, True])
def test_down_takes_all_of_it_away_in_an_order_that_google_allows(deployer: WithEdge, own: bool) -> None:
    before = {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)}
    deployer.deployed(deployer.behind(requests_per_minute=60, **(deployer.own() if own else {})))
    gone = deployer.down(deployer.behind(), purge=True)
    assert gone.index("forwarding rule home-edge") < gone.index("HTTPS proxy home-edge")
    assert gone.index("endpoint group home-edge") < gone.index("service home")
    assert {f"{kept.api}/{kept.name}" for kept in things(deployer.cloud)} == before
    refused = [one for one in deployer.cloud.log if one.method.endswith(".delete") and one.status >= 400]
    assert [one for one in refused if one.status != 404] == []
    asked_for = {one for call in deployer.cloud.log for one in required(call.method)}
    listed = {one for need in needs().values() for one in need.permissions}
    assert asked_for - listed - {"cloudquotas.quotas.get", "orgpolicy.policy.get"} == set()


def test_a_load_balancer_of_somebody_elses_is_not_touched(deployer: WithEdge) -> None:
    deployer.deployed(deployer.behind())
    parts(deployer)["backendServices/home-edge-candidate"]["description"] = "made by hand"
    found = act(find_managed(google_for(deployer.cloud), "home"))
    assert "backend-service/home-edge" in {one.id for one in found.resources}
    assert "backend-service/home-edge-candidate" not in {one.id for one in found.resources}


def test_a_file_without_it_asks_nothing_about_load_balancers(deployer: WithEdge) -> None:
    deployer.deployed(deployer.wanted())
    asked = {one.method for one in deployer.cloud.log}
    assert not [
        one for one in asked if re.search(r"urlMaps|forwardingRules|backendServices|certificatemanager", one)
    ]
    wanted = service(google_for(deployer.cloud), ServiceIdentity(endpoint="home", region="us-central1"), {})
    assert not wanted.has_edge
    assert deployer.service["labels"] == {"homeport": "home"}


def test_a_plan_tells_the_records_the_price_and_when_the_own_address_is_better(deployer: WithEdge) -> None:
    from homeport.catalog.prices import load
    from homeport.targets.cloudrun.edge.fact import EdgeFact

    edge = deployer.behind().edge
    assert edge is not None
    fact = EdgeFact.of(edge, load())
    assert fact.usd_per_month == 18.25
    assert "an A record, and its DNS authorization's CNAME" in fact.text
    assert "without [edge] the service's own address has TLS" in fact.text
    limited = deployer.behind(requests_per_minute=60).edge
    assert limited is not None
    assert "refused with 429" in EdgeFact.of(limited, load()).text
    assert "armor_rule_month" in EdgeFact.of(limited, load()).text
    assert "$0.008 a GiB each way and $0.75 a million requests" in EdgeFact.of(limited, load()).text


def test_the_key_of_a_certificate_is_read_where_it_is_sent_and_nowhere_else(deployer: WithEdge) -> None:
    certificate, key = write_certificate(deployer.folder)
    wanted = deployer.behind(certificate=f"file:{certificate}", private_key=f"file:{key}")
    deployer.deployed(wanted)
    key.unlink()
    _, after = deployer.up(wanted)
    assert after.pending == ()
    assert PATH.endswith("/services/home")
