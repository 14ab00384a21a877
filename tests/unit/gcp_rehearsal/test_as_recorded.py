"""
What HTTP logs of Google Cloud show, as GoogleCloudPlatform/k8s-config-connector publishes them (`_http.log`), and that the
rehearsal once did otherwise. `scripts/replay_recorded.py` compares all of them.
"""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Project

P = "projects/rehearsal"


@pytest.fixture
def raw() -> Raw:
    cloud = Cloud(delays=AT_ONCE, projects=(Project(default_network=True),))
    enable(cloud, "dns", "monitoring", "certificatemanager", "networkconnectivity")
    raw = Raw(cloud)
    compute = f"serviceusage.googleapis.com/v1/{P}/services/compute.googleapis.com:enable"
    assert act(raw.send("POST", compute, {})).status == 200
    return raw


def test_what_dns_deletes_it_answers_with_an_empty_object(raw: Raw) -> None:
    zones = f"dns.googleapis.com/dns/v1/{P}/managedZones"
    act(raw.send("POST", zones, {"name": "z", "dnsName": "example.com.", "description": ""}))
    gone = act(raw.send("DELETE", f"{zones}/z"))
    assert (gone.status, gone.body) == (200, {})


def test_the_host_of_the_older_apis_answers_for_compute_dns_and_storage(raw: Raw) -> None:
    for path in (
        f"compute/v1/{P}/global/networks",
        f"dns/v1/{P}/managedZones",
        "storage/v1/b?project=rehearsal",
    ):
        assert act(raw.send("GET", f"www.googleapis.com/{path}")).status == 200


@pytest.mark.parametrize("service", ["gkehub", "alloydb", "spanner", "workflows"])
def test_any_service_of_google_s_can_be_enabled(raw: Raw, service: str) -> None:
    path = f"serviceusage.googleapis.com/v1/{P}/services/{service}.googleapis.com:enable"
    assert act(raw.send("POST", path, {})).status == 200
    unheard = act(raw.send("POST", path.replace(service, "unheardof"), {}))
    assert unheard.status == 403


def test_an_issuance_config_proves_a_wildcard_too(raw: Raw) -> None:
    path = f"certificatemanager.googleapis.com/v1/{P}/locations/global/certificates?certificateId="
    managed: dict[str, Any] = {"domains": ["*.example.com"]}
    assert act(raw.send("POST", f"{path}one", {"managed": managed})).status == 400
    config = {"issuanceConfig": f"{P}/locations/global/certificateIssuanceConfigs/c"}
    assert act(raw.send("POST", f"{path}two", {"managed": {**managed, **config}})).status == 200


@pytest.mark.parametrize(("widget", "status"), [("collapsibleGroup", 200), ("text", 400)])
def test_a_group_on_a_dashboard_lies_around_its_tiles(raw: Raw, widget: str, status: int) -> None:
    tiles = [
        {"width": 12, "height": 1, "widget": {widget: {}}},
        {"width": 6, "height": 1, "widget": {"text": {}}},
    ]
    body = {"displayName": "d", "mosaicLayout": {"columns": 12, "tiles": tiles}}
    assert act(raw.send("POST", f"monitoring.googleapis.com/v1/{P}/dashboards", body)).status == status


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ({"resourceGroup": {"groupId": "1", "resourceType": "INSTANCE"}}, 200),
        ({"resourceGroup": {"resourceType": "INSTANCE"}}, 400),
        ({"resourceGroup": {"groupId": "1"}, "monitoredResource": {"type": "uptime_url"}}, 400),
        ({}, 400),
    ],
)
def test_an_uptime_check_asks_a_resource_or_the_members_of_a_group(
    raw: Raw, where: dict[str, Any], status: int
) -> None:
    body = {"displayName": "c", "period": "60s", "timeout": "30s", "tcpCheck": {"port": 80}, **where}
    made = act(raw.send("POST", f"monitoring.googleapis.com/v3/{P}/uptimeCheckConfigs", body))
    assert made.status == status, made.body


def test_the_binding_of_a_tag_is_called_what_it_is_bound_to_and_goes_by_that_name(raw: Raw) -> None:
    tags = "cloudresourcemanager.googleapis.com/v3/tagBindings"
    body = {"parent": "//storage.googleapis.com/projects/_/buckets/b", "tagValue": "tagValues/4"}
    made = act(raw.send("POST", tags, body))
    assert made.status == 200, made.body
    name = "%2F%2Fstorage.googleapis.com%2Fprojects%2F_%2Fbuckets%2Fb/tagValues/4"
    assert made.body["response"]["name"] == f"tagBindings/{name}"
    assert act(raw.send("POST", tags, body)).status == 409, "once is enough"
    # By the rules of google.api.http a slash stays encoded that is encoded once: not seen of Google's own.
    for slash in ("%252F", "%252f", "%2F", "%2f"):
        sent = name.replace("%2F", slash)
        assert act(raw.send("DELETE", f"{tags}/{sent}")).status == 200, slash
        assert act(raw.send("DELETE", f"{tags}/{sent}")).status == 404, slash
        assert act(raw.send("POST", tags, body)).status == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"parent": "//storage.googleapis.com/projects/_/buckets/b"}, 400),
        ({"tagValue": "tagValues/4"}, 400),
        ({"parent": "buckets/b", "tagValue": "tagValues/4"}, 400),
        ({"parent": "//storage.googleapis.com/projects/_/buckets/b", "tagValue": "tagValues/"}, 400),
        ({"parent": "//storage.googleapis.com/projects/_/buckets/b", "tagValueNamespacedName": "1/k/v"}, 501),
    ],
)
def test_a_tag_is_bound_to_something_and_has_a_value(raw: Raw, body: dict[str, Any], status: int) -> None:
    made = act(raw.send("POST", "cloudresourcemanager.googleapis.com/v3/tagBindings", body))
    assert made.status == status, made.body


def test_a_regional_endpoint_may_name_no_subnetwork_and_a_reserved_address(raw: Raw) -> None:
    compute = f"compute.googleapis.com/compute/v1/{P}"
    own = {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.8.0.0/28"}
    act(raw.send("POST", f"{compute}/global/networks", {"name": "net", "autoCreateSubnetworks": False}))
    act(raw.send("POST", f"{compute}/regions/us-central1/subnetworks", own))
    held = {"name": "held", "addressType": "INTERNAL", "subnetwork": "regions/us-central1/subnetworks/sub"}
    assert act(raw.send("POST", f"{compute}/regions/us-central1/addresses", held)).status == 200
    address = act(raw.send("GET", f"{compute}/regions/us-central1/addresses/held")).body["address"]

    place = f"networkconnectivity.googleapis.com/v1/{P}/locations/us-central1/regionalEndpoints"
    body = {"accessType": "GLOBAL", "targetGoogleApi": "modelarmor.us-central1.rep.googleapis.com"}
    assert act(raw.send("POST", f"{place}?regionalEndpointId=plain", body)).status == 200
    named = {
        "subnetwork": f"{P}/regions/us-central1/subnetworks/sub",
        "address": f"{P}/regions/us-central1/addresses/held",
    }
    assert act(raw.send("POST", f"{place}?regionalEndpointId=held", {**body, **named})).status == 200
    assert act(raw.send("GET", f"{place}/held")).body["ipAddress"] == address
    wrong = {**body, **named, "address": f"{P}/regions/us-central1/addresses/none"}
    assert act(raw.send("POST", f"{place}?regionalEndpointId=wrong", wrong)).status == 400
