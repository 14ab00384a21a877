"""Paths as clients send them: names of several segments, older and newer versions, and what is not acted out."""

from __future__ import annotations

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal import discovery
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Project


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE, projects=(Project(default_network=True),))
    enable(cloud, "dns", "monitoring", "run", "cloudbuild", "artifactregistry")
    return cloud


@pytest.mark.parametrize(
    ("host", "verb", "path", "method", "name"),
    [
        ("cloudbuild", "GET", "/v1/operations/build/rehearsal/YWJj", "cloudbuild.operations.get",
         "operations/build/rehearsal/YWJj"),
        ("cloudbuild", "POST", "/v1/operations/build/p/x:cancel", "cloudbuild.operations.cancel", "operations/build/p/x"),
        ("monitoring", "GET", "/v3/projects/p/metricDescriptors/custom.googleapis.com/mine",
         "monitoring.projects.metricDescriptors.get", "projects/p/metricDescriptors/custom.googleapis.com/mine"),
        ("iap", "POST", "/v1/projects/1/iap_web/cloud_run-us-central1/services/s:setIamPolicy", "iap.setIamPolicy",
         "projects/1/iap_web/cloud_run-us-central1/services/s"),
        ("artifactregistry", "GET", "/v1/projects/p/locations/l/repositories/r/files/a/b/c",
         "artifactregistry.projects.locations.repositories.files.get", "projects/p/locations/l/repositories/r/files/a/b/c"),
    ],
)  # fmt: skip
def test_a_variable_may_take_several_segments(
    host: str, verb: str, path: str, method: str, name: str
) -> None:
    found = discovery.find(f"{host}.googleapis.com", verb, path)
    assert found is not None
    assert (found.method.id, next(iter(found.params.values()))) == (method, name)


def test_a_beta_version_is_answered_as_the_released_one_where_there_is_one(cloud: Cloud) -> None:
    zones = "dns.googleapis.com/dns/v1beta2/projects/rehearsal/managedZones"
    zone = {"name": "z", "dnsName": "example.com.", "description": ""}
    assert act(Raw(cloud).send("POST", zones, zone)).status == 200
    assert act(Raw(cloud).send("GET", f"{zones}/z")).body["dnsName"] == "example.com."
    enable(cloud, "compute")
    beta = "compute.googleapis.com/compute/beta/projects/rehearsal/global/networks"
    assert act(Raw(cloud).send("GET", beta)).status == 200


def test_a_service_s_own_account_is_told(cloud: Cloud) -> None:
    path = "serviceusage.googleapis.com/v1beta1/projects/rehearsal/services/run.googleapis.com:generateServiceIdentity"
    made = act(Raw(cloud).send("POST", path)).body
    assert made["done"]
    assert made["response"]["email"] == "service-481516234200@serverless-robot-prod.iam.gserviceaccount.com"
    assert act(Raw(cloud).send("POST", path)).body["response"] == made["response"]


def test_what_is_not_acted_out_says_so_in_words_of_our_own(cloud: Cloud) -> None:
    raw = Raw(cloud)
    metrics = "serviceusage.googleapis.com/v1beta1/projects/rehearsal/services/run.googleapis.com/consumerQuotaMetrics"
    for path in ("run.googleapis.com/v3/projects/rehearsal/locations/us-central1/services", metrics):
        refused = act(raw.send("GET", path))
        assert (refused.status, "the rehearsal does not act out" in refused.error) == (501, True)


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "orgpolicy.googleapis.com/v2/organizations/1/policies/run.allowedIngress"),
        ("GET", "orgpolicy.googleapis.com/v2/folders/1/policies"),
        ("POST", "orgpolicy.googleapis.com/v2/organizations/1/customConstraints"),
        ("GET", "accesscontextmanager.googleapis.com/v1/accessPolicies/1/servicePerimeters/p"),
        ("GET", "compute.googleapis.com/compute/v1/locations/global/firewallPolicies/p"),
        (
            "GET",
            "compute.googleapis.com/compute/v1/locations/global/firewallPolicies?parentId=organizations/1",
        ),
        (
            "GET",
            "compute.googleapis.com/compute/v1/projects/rehearsal/global/networks/n/getEffectiveFirewalls",
        ),
        ("GET", "cloudresourcemanager.googleapis.com/v3/organizations/1"),
        ("GET", "cloudbilling.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01"),
        ("GET", "alloydb.googleapis.com/v1/projects/rehearsal/locations/us-central1/clusters"),
    ],
)
def test_what_lies_beside_projects_is_neither_there_nor_not_there(cloud: Cloud, verb: str, path: str) -> None:
    """Policies of organisations, perimeters, firewall policies: a 404 would say that there are none."""
    enable(cloud, "compute", "orgpolicy", "cloudbilling")
    refused = act(Raw(cloud).send(verb, path, {} if verb == "POST" else None))
    assert (refused.status, "the rehearsal does not act out" in refused.error) == (501, True), refused.body


def test_of_billing_accounts_there_are_budgets(cloud: Cloud) -> None:
    enable(cloud, "billingbudgets")
    path = "billingbudgets.googleapis.com/v1/billingAccounts/012345-6789AB-CDEF01/budgets"
    assert act(Raw(cloud).send("GET", path)).status == 200


def test_a_project_stands_alone(cloud: Cloud) -> None:
    path = "cloudresourcemanager.googleapis.com/v1/projects/rehearsal:getAncestry"
    told = act(Raw(cloud).send("POST", path, {})).body
    assert told == {"ancestor": [{"resourceId": {"type": "project", "id": "rehearsal"}}]}


def test_a_new_project_has_a_default_network_once_compute_engine_is_enabled(cloud: Cloud) -> None:
    raw, place = Raw(cloud), "compute.googleapis.com/compute/v1/projects/rehearsal"
    services = "serviceusage.googleapis.com/v1/projects/rehearsal/services"
    act(raw.send("POST", f"{services}/compute.googleapis.com:enable", {}))
    assert act(raw.send("GET", f"{place}/global/networks/default")).body["autoCreateSubnetworks"]
    here = act(raw.send("GET", f"{place}/regions/europe-west4/subnetworks/default")).body
    assert here["ipCidrRange"] == "10.164.0.0/20"
    rules = act(raw.send("GET", f"{place}/global/firewalls")).body["items"]
    assert sorted(one["name"] for one in rules) == [
        "default-allow-icmp", "default-allow-internal", "default-allow-rdp", "default-allow-ssh",
    ]  # fmt: skip
