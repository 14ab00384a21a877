"""Who may do what: the roles and the methods of the rehearsal, against what is known of Google's."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from gcp_rehearsal import discovery
from gcp_rehearsal.errors import RehearsalError
from gcp_rehearsal.iam.permissions import further, permissions_of, required, roles, unchecked
from places import ROOT

NAME = re.compile(r"[a-z]+(\.[a-zA-Z]+){2}")
DEPLOYER = (
    "serviceusage.serviceUsageAdmin", "resourcemanager.projectIamAdmin", "iam.serviceAccountAdmin",
    "iam.serviceAccountUser", "secretmanager.admin", "artifactregistry.admin", "storage.admin",
    "compute.networkAdmin", "dns.admin", "cloudbuild.builds.editor", "run.admin", "logging.viewer",
    "monitoring.editor", "cloudquotas.viewer",
)  # fmt: skip
BALANCER = (
    "compute.loadBalancerAdmin", "compute.securityAdmin", "networkservices.serviceExtensionsAdmin", "modelarmor.admin",
)  # fmt: skip


def held(*names: str) -> frozenset[str]:
    """What roles allow together."""
    found = [permissions_of(f"roles/{name}") for name in names]
    assert None not in found
    return frozenset().union(*(each for each in found if each))


@cache
def table(name: str) -> dict[str, Any]:  # Any: JSON
    loaded: dict[str, Any] = json.loads(files("gcp_rehearsal.iam").joinpath(name).read_text("utf-8"))
    return loaded


@cache
def documented() -> tuple[str, ...]:
    """All methods of all APIs that homeport knows."""
    found: dict[str, None] = {}
    for name in discovery.NAMES:
        try:
            found.update(dict.fromkeys(discovery.load(name).methods))
        except (RehearsalError, FileNotFoundError):
            if name not in {"cloudquotas.v1", "modelarmor.v1"}:
                pytest.skip("Google's discovery documents are in the extra `rehearse`")
    return tuple(found)


@pytest.mark.parametrize("role", roles())
def test_a_role_holds_permissions_with_names_as_googles(role: str) -> None:
    permissions = permissions_of(role)
    assert permissions
    assert [name for name in permissions if not NAME.fullmatch(name)] == []


@pytest.mark.parametrize("name", ["roles/run.nobody", "run.admin", "owner", "projects/p/roles/mine", ""])
def test_an_unknown_role_is_told_from_an_empty_one(name: str) -> None:
    assert permissions_of(name) is None


@pytest.mark.parametrize(
    ("name", "permission"),
    [
        ("run.developer", "run.services.setIamPolicy"),
        ("artifactregistry.writer", "artifactregistry.repositories.createOnPush"),
        ("artifactregistry.writer", "artifactregistry.repositories.create"),
        ("artifactregistry.reader", "artifactregistry.repositories.uploadArtifacts"),
        ("storage.objectViewer", "storage.buckets.get"),
        ("storage.objectViewer", "storage.objects.create"),
        ("storage.objectUser", "storage.buckets.get"),
        ("storage.objectUser", "storage.objects.setIamPolicy"),
        ("storage.objectCreator", "storage.objects.get"),
        ("secretmanager.viewer", "secretmanager.versions.access"),
        ("secretmanager.secretAccessor", "secretmanager.versions.get"),
        ("secretmanager.secretVersionAdder", "secretmanager.versions.access"),
        ("run.servicesInvoker", "run.jobs.run"),
        ("run.jobsExecutor", "run.jobs.runWithOverrides"),
        ("run.viewer", "run.routes.invoke"),
        ("iam.serviceAccountAdmin", "iam.serviceAccounts.actAs"),
        ("cloudbuild.builds.editor", "iam.serviceAccounts.actAs"),
        ("compute.networkAdmin", "compute.firewalls.create"),
        ("compute.networkAdmin", "compute.regionNetworkEndpointGroups.create"),
        ("compute.viewer", "compute.networks.create"),
        ("cloudquotas.viewer", "cloudquotas.quotas.update"),
        ("browser", "run.services.get"),
        ("owner", "iam.serviceAccounts.getAccessToken"),
        ("owner", "iap.webServiceVersions.accessViaIAP"),
        ("editor", "run.services.setIamPolicy"),
        ("editor", "resourcemanager.projects.setIamPolicy"),
        ("editor", "iam.serviceAccounts.setIamPolicy"),
        ("editor", "secretmanager.versions.access"),
        ("viewer", "run.routes.invoke"),
        ("viewer", "run.services.update"),
        ("viewer", "secretmanager.versions.access"),
        ("viewer", "storage.objects.create"),
    ],
)
def test_a_role_lacks_what_surprises_people(name: str, permission: str) -> None:
    assert permission not in held(name)


@pytest.mark.parametrize(
    ("name", "permission"),
    [
        ("run.admin", "run.services.setIamPolicy"),
        ("run.serviceAgent", "artifactregistry.repositories.downloadArtifacts"),
        ("run.serviceAgent", "compute.subnetworks.use"),
        ("run.serviceAgent", "iam.serviceAccounts.actAs"),
        ("run.serviceAgent", "iam.serviceAccounts.getAccessToken"),
        ("iam.serviceAccountUser", "iam.serviceAccounts.actAs"),
        ("compute.networkUser", "compute.subnetworks.use"),
        ("compute.securityAdmin", "compute.firewalls.create"),
        ("dns.admin", "dns.networks.bindPrivateDNSZone"),
        ("cloudbuild.builds.builder", "artifactregistry.repositories.createOnPush"),
        ("storage.objectUser", "storage.objects.delete"),
        ("modelarmor.calloutUser", "modelarmor.callouts.invoke"),
        ("owner", "secretmanager.versions.access"),
        ("owner", "resourcemanager.projects.setIamPolicy"),
        ("owner", "iam.serviceAccounts.actAs"),
        ("owner", "storage.objects.get"),
        ("editor", "run.routes.invoke"),
        ("editor", "serviceusage.services.enable"),
        ("viewer", "run.services.getIamPolicy"),
        ("viewer", "storage.objects.get"),
    ],
)
def test_a_role_holds_what_it_is_granted_for(name: str, permission: str) -> None:
    assert permission in held(name)


def test_the_smallest_roles_hold_no_more() -> None:
    projects = {"resourcemanager.projects.get", "resourcemanager.projects.list"}
    assert held("run.servicesInvoker") == {"run.routes.invoke"}
    assert held("run.invoker") == {"run.routes.invoke", "run.jobs.run", "run.instances.invoke"}
    assert held("run.jobsExecutor") == {"run.jobs.run", "run.executions.cancel"}
    assert len(held("run.builder")) == 6
    assert held("secretmanager.secretAccessor") - projects == {"secretmanager.versions.access"}
    assert held("storage.bucketViewer") == {"storage.buckets.get", "storage.buckets.list"}
    assert held("iap.httpsResourceAccessor") == {"iap.webServiceVersions.accessViaIAP"}


def test_a_viewer_may_less_than_an_editor_and_an_editor_less_than_an_owner() -> None:
    assert held("viewer") < held("editor") < held("owner")


def test_a_role_that_is_for_less_holds_less() -> None:
    assert held("run.viewer") < held("run.developer") < held("run.admin")
    assert held("storage.objectViewer") < held("storage.objectUser") < held("storage.objectAdmin")
    assert held("secretmanager.viewer") < held("secretmanager.admin")
    assert held("dns.reader") < held("dns.admin")


RUN, BUILD, SECRETS = "run.projects.locations", "cloudbuild.projects.locations", "secretmanager.projects"
REPOSITORIES = "artifactregistry.projects.locations.repositories"
ACCOUNTS = "iam.projects.serviceAccounts"
FACTS = {
    "serviceusage.services.batchEnable": "serviceusage.services.enable",
    "serviceusage.services.batchGet": "serviceusage.services.get",
    "serviceusage.services.list": "serviceusage.services.list",
    "serviceusage.operations.get": "serviceusage.operations.get",
    f"{ACCOUNTS}.create": "iam.serviceAccounts.create",
    f"{ACCOUNTS}.get": "iam.serviceAccounts.get",
    f"{ACCOUNTS}.patch": "iam.serviceAccounts.update",
    f"{ACCOUNTS}.delete": "iam.serviceAccounts.delete",
    f"{ACCOUNTS}.getIamPolicy": "iam.serviceAccounts.getIamPolicy",
    f"{ACCOUNTS}.setIamPolicy": "iam.serviceAccounts.setIamPolicy",
    "cloudresourcemanager.projects.get": "resourcemanager.projects.get",
    "cloudresourcemanager.projects.getIamPolicy": "resourcemanager.projects.getIamPolicy",
    "cloudresourcemanager.projects.setIamPolicy": "resourcemanager.projects.setIamPolicy",
    "cloudbilling.projects.getBillingInfo": "resourcemanager.projects.get",
    f"{SECRETS}.secrets.create": "secretmanager.secrets.create",
    f"{SECRETS}.secrets.addVersion": "secretmanager.versions.add",
    f"{SECRETS}.locations.secrets.addVersion": "secretmanager.versions.add",
    f"{SECRETS}.secrets.setIamPolicy": "secretmanager.secrets.setIamPolicy",
    f"{SECRETS}.secrets.versions.access": "secretmanager.versions.access",
    f"{SECRETS}.secrets.versions.destroy": "secretmanager.versions.destroy",
    f"{REPOSITORIES}.create": "artifactregistry.repositories.create",
    f"{REPOSITORIES}.patch": "artifactregistry.repositories.update",
    f"{REPOSITORIES}.setIamPolicy": "artifactregistry.repositories.setIamPolicy",
    f"{REPOSITORIES}.dockerImages.list": "artifactregistry.dockerimages.list",
    f"{REPOSITORIES}.packages.tags.list": "artifactregistry.tags.list",
    f"{REPOSITORIES}.packages.versions.delete": "artifactregistry.versions.delete",
    "storage.buckets.insert": "storage.buckets.create",
    "storage.buckets.get": "storage.buckets.get",
    "storage.buckets.patch": "storage.buckets.update",
    "storage.buckets.delete": "storage.buckets.delete",
    "storage.buckets.getIamPolicy": "storage.buckets.getIamPolicy",
    "storage.buckets.setIamPolicy": "storage.buckets.setIamPolicy",
    "storage.objects.insert": "storage.objects.create",
    "storage.objects.get": "storage.objects.get",
    "storage.objects.list": "storage.objects.list",
    "storage.objects.patch": "storage.objects.update",
    "storage.objects.rewrite": "storage.objects.create storage.objects.get",
    "storage.objects.delete": "storage.objects.delete",
    "compute.networks.insert": "compute.networks.create",
    "compute.networks.patch": "compute.networks.update",
    "compute.subnetworks.insert": "compute.subnetworks.create",
    "compute.subnetworks.patch": "compute.subnetworks.update",
    "compute.subnetworks.setPrivateIpGoogleAccess": "compute.subnetworks.setPrivateIpGoogleAccess",
    "compute.regionOperations.wait": "compute.regionOperations.get",
    "compute.globalOperations.get": "compute.globalOperations.get",
    "compute.zones.list": "compute.zones.list",
    "dns.managedZones.create": "dns.managedZones.create",
    "dns.managedZones.patch": "dns.managedZones.update",
    "dns.changes.create": "dns.changes.create",
    "dns.resourceRecordSets.create": "dns.resourceRecordSets.create",
    "dns.resourceRecordSets.patch": "dns.resourceRecordSets.update",
    f"{BUILD}.builds.create": "cloudbuild.builds.create",
    f"{BUILD}.builds.get": "cloudbuild.builds.get",
    f"{BUILD}.builds.cancel": "cloudbuild.builds.update",
    f"{BUILD}.builds.retry": "cloudbuild.builds.create",
    f"{BUILD}.operations.get": "cloudbuild.operations.get",
    f"{BUILD}.triggers.create": "cloudbuild.builds.create",
    f"{BUILD}.triggers.patch": "cloudbuild.builds.create",
    f"{BUILD}.triggers.get": "cloudbuild.builds.get",
    f"{BUILD}.triggers.run": "cloudbuild.builds.create",
    f"{RUN}.services.create": "run.services.create",
    f"{RUN}.services.patch": "run.services.update",
    f"{RUN}.services.delete": "run.services.delete",
    f"{RUN}.services.getIamPolicy": "run.services.getIamPolicy",
    f"{RUN}.services.setIamPolicy": "run.services.setIamPolicy",
    f"{RUN}.services.revisions.list": "run.revisions.list",
    f"{RUN}.jobs.create": "run.jobs.create",
    f"{RUN}.jobs.patch": "run.jobs.update",
    f"{RUN}.jobs.run": "run.jobs.run",
    f"{RUN}.jobs.executions.list": "run.executions.list",
    f"{RUN}.jobs.executions.cancel": "run.executions.cancel",
    f"{RUN}.jobs.executions.tasks.get": "run.tasks.get",
    f"{RUN}.operations.get": "run.operations.get",
    f"{RUN}.operations.wait": "run.operations.get",
    f"{RUN}.builds.submit": "cloudbuild.builds.create",
    "run.namespaces.services.replaceService": "run.services.update",
    "run.namespaces.jobs.replaceJob": "run.jobs.update",
    "monitoring.projects.dashboards.create": "monitoring.dashboards.create",
    "monitoring.projects.dashboards.patch": "monitoring.dashboards.update",
    "monitoring.projects.alertPolicies.create": "monitoring.alertPolicies.create",
    "monitoring.projects.notificationChannels.create": "monitoring.notificationChannels.create",
    "logging.entries.list": "logging.logEntries.list",
    "cloudquotas.projects.locations.services.quotaInfos.list": "cloudquotas.quotas.get",
}
"""The methods that an ordinary deployment calls, and what each asks for."""

EXTENSIONS = "networkservices.projects.locations"
BALANCED = {
    "compute.globalAddresses.insert": "compute.globalAddresses.create",
    "compute.regionNetworkEndpointGroups.insert": "compute.regionNetworkEndpointGroups.create",
    "compute.backendServices.insert": "compute.backendServices.create",
    "compute.backendServices.setSecurityPolicy": "compute.backendServices.setSecurityPolicy",
    "compute.urlMaps.insert": "compute.urlMaps.create",
    "compute.urlMaps.validate": "compute.urlMaps.validate",
    "compute.targetHttpsProxies.insert": "compute.targetHttpsProxies.create",
    "compute.globalForwardingRules.insert": "compute.globalForwardingRules.create",
    "compute.sslCertificates.insert": "compute.sslCertificates.create",
    "compute.securityPolicies.insert": "compute.securityPolicies.create",
    "compute.securityPolicies.addRule": "compute.securityPolicies.update",
    "compute.firewalls.insert": "compute.firewalls.create compute.networks.updatePolicy",
    f"{EXTENSIONS}.lbTrafficExtensions.create": "networkservices.lbTrafficExtensions.create",
    f"{EXTENSIONS}.lbRouteExtensions.patch": "networkservices.lbRouteExtensions.update",
    f"{EXTENSIONS}.authzExtensions.create": "networkservices.authzExtensions.create",
    f"{EXTENSIONS}.operations.get": "networkservices.operations.get",
    "modelarmor.projects.locations.templates.create": "modelarmor.templates.create",
    "modelarmor.projects.locations.templates.sanitizeUserPrompt": "modelarmor.templates.useToSanitizeUserPrompt",
}
"""The same with a load balancer before it."""

OTHERS = {
    f"{BUILD}.connections.create": "cloudbuild.connections.create",
    f"{BUILD}.connections.repositories.create": "cloudbuild.repositories.create",
    "iamcredentials.projects.serviceAccounts.generateAccessToken": "iam.serviceAccounts.getAccessToken",
    "iamcredentials.projects.serviceAccounts.generateIdToken": "iam.serviceAccounts.getOpenIdToken",
    "cloudquotas.projects.locations.quotaPreferences.create": "cloudquotas.quotas.update",
    "orgpolicy.projects.policies.getEffectivePolicy": "orgpolicy.policy.get",
    "certificatemanager.projects.locations.certificates.create": "certificatemanager.certs.create",
    "logging.entries.write": "logging.logEntries.create",
    "monitoring.projects.timeSeries.create": "monitoring.timeSeries.create",
    "storage.buckets.operations.get": "storage.bucketOperations.get",
}


@pytest.mark.parametrize(("method", "permissions"), (FACTS | BALANCED | OTHERS).items())
def test_a_method_asks_for_what_google_asks_for(method: str, permissions: str) -> None:
    assert required(method) == tuple(permissions.split())


def test_the_roles_told_to_a_deployer_are_enough() -> None:
    # Who reads a secret's value or speaks to a template is the runtime, and the deployer's admin roles hold it anyway.
    assert {name for names in FACTS.values() for name in names.split()} <= held(*DEPLOYER)
    assert {name for names in BALANCED.values() for name in names.split()} <= held(*DEPLOYER, *BALANCER)
    assert not {name for names in BALANCED.values() for name in names.split()} <= held(*DEPLOYER)


def test_the_methods_named_here_are_googles() -> None:
    known = set(documented())
    derived = ("cloudquotas.", "modelarmor.")
    assert [m for m in FACTS | BALANCED | OTHERS if m not in known and not m.startswith(derived)] == []


def test_what_a_method_asks_for_is_held_by_a_role() -> None:
    basic = held("owner", "editor", "viewer")
    predefined = held(*table("roles.json")["roles"])
    asked = {name for method in documented() for name in required(method)}
    assert asked <= predefined | basic
    only = {
        f"{kind}.{verb}"
        for kind, verbs in table("roles.json")["basic_only"].items()
        for verb in verbs.split()
    }
    assert asked - predefined <= only
    assert only <= basic - predefined


def test_a_method_is_checked_or_it_is_said_why_not() -> None:
    assert [method for method in documented() if bool(required(method)) == bool(unchecked(method))] == []


def test_the_tables_of_methods_hold_nothing_in_vain() -> None:
    methods = table("methods.json")
    patterns = [pattern for listed in methods["unchecked"].values() for pattern in listed]
    free = [method for method in documented() if not required(method)]
    derived = ("cloudquotas.", "modelarmor.", "docker.")  # A registry has no document of Google's.
    assert [
        pattern
        for pattern in patterns
        if not pattern.startswith(derived) and not any(fnmatchcase(method, pattern) for method in free)
    ] == []
    split = [method.split(".") for method in documented()]
    shorts = {".".join((parts[0], *parts[-2:]) if len(parts) > 2 else parts) for parts in split}
    named = {*methods["exceptions"], *(short for group in methods["further"] for short in group["methods"])}
    assert [short for short in named if short not in shorts and not short.startswith(derived)] == []


@pytest.mark.parametrize(
    "method",
    [
        f"{RUN}.services.testIamPermissions",
        "storage.buckets.testIamPermissions",
        "sts.token",
        "iap.getIapSettings",
    ],
)
def test_what_cannot_be_checked_is_said_to_be_unchecked(method: str) -> None:
    assert required(method) == ()
    assert unchecked(method)


def test_a_method_that_nobody_knows_is_not_checked() -> None:
    assert required("run.projects.locations.dreams.interpret") == ()
    assert required("x") == ()
    assert required("") == ()


def test_a_service_that_runs_as_an_account_needs_the_right_to_act_as_it() -> None:
    needs = further(f"{RUN}.services.create")
    assert [(need.permission, need.on) for need in needs] == [
        ("iam.serviceAccounts.actAs", "the service account")
    ]
    assert "iam.serviceAccounts.actAs" in held("iam.serviceAccountUser")


def test_overwriting_an_object_needs_the_right_to_delete_it() -> None:
    (need,) = further("storage.objects.insert")
    assert need.permission in held("storage.objectUser") - held("storage.objectCreator")


def test_what_is_needed_besides_is_held_by_a_role() -> None:
    everything = held(*(role.removeprefix("roles/") for role in roles()))
    asked = {need.permission for method in documented() for need in further(method)}
    assert asked
    assert asked <= everything


def test_the_facts_carry_their_source_and_date() -> None:
    assert "iann0036/iam-dataset" in table("roles.json")["about"]["source"]
    assert re.search(r"20\d\d-\d\d-\d\d", table("roles.json")["about"]["read"])
    assert all(re.fullmatch(r"[0-9a-f]{8}", role["commit"]) for role in table("roles.json")["roles"].values())
    assert re.search(r"20\d\d-\d\d-\d\d", table("methods.json")["about"]["source"])


def test_the_documents_count_the_roles_that_there_are() -> None:
    text = (ROOT / "docs" / "rehearsal.md").read_text()
    (count,) = re.findall(r"the (\d+) in `gcp_rehearsal/iam/roles.json`", text)
    assert int(count) == len(table("roles.json")["roles"])


def test_the_tables_are_in_order() -> None:
    for role in table("roles.json")["roles"].values():
        assert list(role["grants"]) == sorted(role["grants"])
        assert all(verbs.split() == sorted(set(verbs.split())) for verbs in role["grants"].values())
    for part in ("exceptions", "verbs", "collections"):
        assert list(table("methods.json")[part]) == sorted(table("methods.json")[part])
