"""What Google fills into the parts of a load balancer, or says in another form, is no difference: no plan is for ever pending."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edges import WithEdge

NUMBER = "415104041262"
FILLED: dict[str, dict[str, Any]] = {  # Any: JSON
    "backendServices": {
        "iap": {"enabled": False, "oauth2ClientId": "", "oauth2ClientSecretSha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4"},
        "connectionDraining": {"drainingTimeoutSec": 0}, "affinityCookieTtlSec": 0, "sessionAffinity": "NONE", "port": 80,
        "portName": "http", "enableCDN": False, "localityLbPolicy": "ROUND_ROBIN", "usedBy": [{"reference": "x"}],
    },
    "targetHttpsProxies": {"quicOverride": "NONE", "tlsEarlyData": "DISABLED", "proxyBind": False},
    "targetHttpProxies": {"proxyBind": False},
    "forwardingRules": {"networkTier": "PREMIUM", "labelFingerprint": "42WmSpB8rSM=", "allowGlobalAccess": False},
    "addresses": {"prefixLength": 32, "labelFingerprint": "42WmSpB8rSM=", "users": ["x"]},
    "networkEndpointGroups": {"size": 0, "annotations": {}},
    "securityPolicies": {"labelFingerprint": "42WmSpB8rSM=", "advancedOptionsConfig": {"jsonParsing": "DISABLED"}},
    "urlMaps": {},
    "sslCertificates": {"expireTime": "2027-02-27T00:00:00.000-08:00", "subjectAlternativeNames": ["llm.example.com"]},
}  # fmt: skip


def as_others_of_google_say_it(collection: str, body: Any) -> Any:  # Any: JSON
    """The same part with what Google fills in, by addresses of another host and the project's number, with rules in another order."""
    said = {**FILLED[collection], **_by_number(body)}
    if collection == "backendServices":
        said["backends"] = [
            {"balancingMode": "UTILIZATION", "capacityScaler": 1.0, **one} for one in said["backends"]
        ]
        said["iap"] = FILLED[collection]["iap"]
    if collection == "urlMaps":
        said["pathMatchers"] = [
            {**one, "routeRules": one.get("routeRules", [])[::-1]} for one in said.get("pathMatchers", [])
        ]
    if collection == "securityPolicies":
        said["rules"] = [{"preview": False, "ruleTupleCount": 1, **one} for one in said["rules"]][::-1]
    return said


def _by_number(value: Any) -> Any:  # Any: JSON
    if isinstance(value, dict):
        return {key: _by_number(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_by_number(one) for one in value]
    if isinstance(value, str) and value.startswith("https://www.googleapis.com/compute/v1/projects/"):
        rest = value.partition("/projects/")[2].partition("/")[2]
        return f"https://compute.googleapis.com/compute/beta/projects/{NUMBER}/{rest}"
    return value


@pytest.mark.parametrize("kind", ["global", "regional"])
def test_a_load_balancer_that_is_as_wanted_stays_no_difference_however_google_says_it(
    tmp_path: Path, kind: str
) -> None:
    deployer = WithEdge("vllm", tmp_path)
    more = {"requests_per_minute": 60} if kind == "global" else deployer.own()
    wish = deployer.behind(kind=kind, **more)
    deployer.up(wish)
    changed = set()
    for kept in deployer.cloud.store.everything():
        collection = kept.name.split("/")[-2]
        if kept.api == "compute" and collection in FILLED:
            kept.body = as_others_of_google_say_it(collection, kept.body)
            changed.add(collection)
    assert {"backendServices", "urlMaps", "targetHttpsProxies", "forwardingRules", "addresses"} <= changed
    plan = deployer.up(wish).plan
    assert {one.resource.id: one.changes for one in plan.pending} == {}


def test_a_load_balancer_that_leads_nowhere_any_more_is_a_difference(tmp_path: Path) -> None:
    deployer = WithEdge("vllm", tmp_path)
    wish = deployer.behind()
    deployer.up(wish)
    (main,) = [
        kept
        for kept in deployer.cloud.store.everything()
        if kept.name.endswith("/global/backendServices/home-edge")
    ]
    main.body = {**main.body, "backends": []}
    plan = deployer.up(wish).plan
    assert [one.resource.id for one in plan.pending] == ["backend-service/home-edge"]
