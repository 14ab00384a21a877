"""Everything that can be known beforehand is told at once, and nothing is written."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud, Project
from gcp_rehearsal.discovery import load
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.iam.permissions import permissions_of, required
from gcp_rehearsal.testing import Rehearsed
from homeport.catalog.cloudrun import Shape
from homeport.errors import NoCredentials
from homeport.google import Binding, Google, IamResource, policy
from homeport.google.credentials import Credentials
from homeport.google.grants import role_for
from homeport.progress import Silent
from homeport.resources.google.bucket import bucket
from homeport.resources.google.repository import repository
from homeport.secret import Secret
from homeport.spec import TABLES
from homeport.targets import cloudrun
from homeport.targets.cloudrun import hub_token
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.preflight import (
    CHECKS,
    GatedFile,
    PreflightFinding,
    PreflightInput,
    PreflightVerdict,
    RegistryImage,
    preflight,
)
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.preflight.request import OwnSubnetwork
from hub import Hub
from preflights import ASKED, COMPUTE, OFFICE, SUBNETS, about, looked, ready, subjects, with_office


def test_a_project_in_order_has_no_problem_and_no_warning() -> None:
    findings = looked(ready(), replace(ASKED, region="europe-west4"))
    assert (findings.problems, findings.warnings) == ((), ())
    assert subjects(findings.unchecked) == ["free trial"]


def test_nothing_is_written() -> None:
    cloud = ready()
    looked(cloud)
    verbs = {entry.method.rpartition(".")[2] for entry in cloud.log}
    assert not verbs & {"create", "insert", "patch", "update", "delete", "setIamPolicy", "batchEnable"}
    assert [kept for kept in cloud.store.everything() if kept.api != "logging"] == []


def test_all_problems_are_told_in_one_run() -> None:
    cloud = ready(projects=(Project(billing=False),), quotas={"CpuAllocPerProjectRegion": 2000})
    cloud.policies.ingress = frozenset(("internal",))
    cloud.policies.locations = frozenset(("europe-west4",))
    asked = replace(ASKED, max_instances=2, network="nowhere", subnetwork="nothing")
    assert {"billing", "quota/CpuAllocPerProjectRegion", "policy/run.allowedIngress", "policy/gcp.resourceLocations",
            "network/nowhere", "subnetwork/nothing"} <= set(subjects(looked(cloud, asked).problems))  # fmt: skip


@pytest.mark.parametrize(
    "check",
    [
        check.subject
        for check in CHECKS
        if check.subject not in {"hub", "free trial", "firewall", "addresses"}
    ],
)
def test_a_check_that_breaks_hides_no_other(check: str) -> None:
    methods = {
        "project": "cloudresourcemanager.projects.get",
        "billing": "cloudbilling.projects.getBillingInfo",
        "region": "run.projects.locations.list",
        "quota": "cloudquotas.projects.locations.services.quotaInfos.get",
        "policy": "orgpolicy.projects.policies.getEffectivePolicy",
        "permissions": "cloudresourcemanager.projects.testIamPermissions",
        "bucket": "storage.buckets.get",
        "repository": "artifactregistry.projects.locations.repositories.get",
        "service": "run.projects.locations.services.get",
        "network": "compute.networks.get",
        "subnetwork": "compute.subnetworks.get",
        "proxies": "compute.subnetworks.list",
        "secret": "secretmanager.projects.secrets.get",
        "image": "docker.manifests.get",
    }
    cloud = ready()
    given = RegistryImage(host="us-docker.pkg.dev", path="cloudrun/container/gemma/gemma3-1b", tag="latest")
    asked = replace(
        ASKED,
        network="office",
        subnetwork="office",
        mounted_secrets=("tools-token",),
        edge="internal",
        image=given,
    )
    cloud.faults.append(Fault(method=methods[check], status=500, times=1000))
    findings = looked(cloud, asked)
    broken = {one.subject for one in findings.unchecked} - {"free trial"}
    assert broken
    assert all(one.partition("/")[0] == check for one in broken)
    seen = {one.subject.partition("/")[0] for one in findings.all}
    assert {
        "credentials",
        "project",
        "billing",
        "quota",
        "policy",
        "permissions",
        "bucket",
        "service",
    } <= seen


def given(path: str) -> PreflightInput:
    return replace(ASKED, image=RegistryImage(host="europe-west4-docker.pkg.dev", path=path, tag="v1"))


def test_an_image_whose_manifest_says_no_platform_is_not_told_as_one_for_cloud_runs() -> None:
    found = about(looked(ready(), given("cloudrun/container/several")), "image/several")
    assert (found.verdict, "for linux/amd64" in found.text) == (PreflightVerdict.OK, True)
    found = about(looked(ready(), given("cloudrun/container/single")), "image/single")
    assert found.verdict is PreflightVerdict.WARNING
    assert "does not say for which platform" in found.text
    assert str(found.data["digest"]).startswith("sha256:")


def test_an_image_that_is_not_given_names_the_role_and_the_login_that_is_read() -> None:
    cloud = ready(projects=(Project(), Project(id="other", number="7", owner="else@example.com")))
    found = about(looked(cloud, given("other/theirs/image")), "image/image")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "roles/artifactregistry.reader" in found.hint
    assert "gcloud auth application-default login" in found.hint


def test_without_credentials_nothing_else_is_guessed_at() -> None:
    class Nobody:
        principal = ""
        quota_project = ""

        def who(self) -> str:
            return ""

        def token(self) -> Any:
            raise NoCredentials("nobody is logged in", hint="gcloud auth application-default login")

        def signed_jwt(self, audience: str) -> Any:
            raise NoCredentials("nobody is logged in")

        def id_token(self, audience: str) -> Any:
            raise NoCredentials("nobody is logged in")

    google = Google(Credentials(Nobody()), project="rehearsal", transport=Rehearsed(ready()))
    findings = act(preflight(google, ASKED))
    assert subjects(findings.problems) == ["credentials"]
    assert findings.problems[0].hint == "gcloud auth application-default login"
    assert len(findings.unchecked) == len(CHECKS)


def test_a_project_that_is_not_there_is_named() -> None:
    found = about(looked(ready(), replace(ASKED, project="elsewhere")), "project")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "gcloud projects list" in found.hint


def test_billing_that_is_off_comes_with_the_command() -> None:
    found = about(looked(ready(projects=(Project(billing=False),))), "billing")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "gcloud billing projects link rehearsal" in found.hint


def test_apis_that_are_off_are_not_checked_and_name_the_command() -> None:
    findings = looked(Cloud(delays=AT_ONCE))
    assert findings.problems == ()
    quota = about(findings, "quota/MemAllocPerProjectRegion")
    assert quota.verdict is PreflightVerdict.NOT_CHECKED
    assert quota.hint == "gcloud services enable cloudquotas.googleapis.com --project rehearsal"
    assert "a new project has 40" in quota.text
    for subject, api in (("billing", "cloudbilling"), ("policy", "orgpolicy")):
        found = about(findings, subject)
        assert (found.verdict, f"enable {api}.googleapis.com" in found.hint) == (
            PreflightVerdict.NOT_CHECKED,
            True,
        )


def test_a_region_without_the_gpu_or_without_cloud_run_is_a_problem() -> None:
    findings = looked(
        ready(),
        replace(ASKED, region="us-east4", shape=Shape(gpu="nvidia-rtx-pro-6000", cpu=20, memory_gib=80)),
    )
    assert "us-east4 has no nvidia-rtx-pro-6000" in about(findings, "gpu").text
    findings = looked(ready(), replace(ASKED, region="us-centrall1"))
    assert about(findings, "region").verdict is PreflightVerdict.PROBLEM


def test_a_bucket_of_somebody_else_says_which_name_to_change() -> None:
    cloud = ready(projects=(Project(), Project(id="other", number="7", owner="else@example.com")))
    theirs = Google(
        google_for(cloud, caller="else@example.com").credentials, project="other", transport=Rehearsed(cloud)
    )
    act(bucket(theirs, "x", ASKED.bucket, "us-central1").create({}, Silent()))
    found = about(looked(cloud), f"bucket/{ASKED.bucket}")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "set `name` in homeport.toml" in found.hint


def test_a_bucket_of_another_project_is_not_ours_whatever_its_label_says() -> None:
    cloud = ready(projects=(Project(), Project(id="other", number="7", owner="else@example.com")))
    theirs = Google(
        google_for(cloud, caller="else@example.com").credentials, project="other", transport=Rehearsed(cloud)
    )
    act(bucket(theirs, "home", ASKED.bucket, "us-central1").create({}, Silent()))
    lure = [Binding(role="roles/storage.admin", members=(f"user:{OWNER}",))]
    act(policy.grant(theirs, IamResource(api="storage", path=f"storage/v1/b/{ASKED.bucket}"), lure))
    found = about(looked(cloud), f"bucket/{ASKED.bucket}")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "in another project, whatever its label says" in found.text


@pytest.mark.parametrize(
    ("label", "where", "says"),
    [
        ("home", "us-central1", ""),
        ("home", "europe-west4", "across regions"),
        ("another", "us-central1", "of the endpoint another"),
    ],
)
def test_a_bucket_that_is_there_must_be_ours_and_in_the_region(label: str, where: str, says: str) -> None:
    cloud = ready()
    act(bucket(google_for(cloud), label, ASKED.bucket, where).create({}, Silent()))
    found = about(looked(cloud), f"bucket/{ASKED.bucket}")
    assert found.verdict is (PreflightVerdict.PROBLEM if says else PreflightVerdict.OK)
    assert says in found.text


def test_what_takes_a_bucket_of_another_region_away_is_told_and_that_another_name_leaves_it() -> None:
    cloud = ready()
    act(bucket(google_for(cloud), "home", ASKED.bucket, "europe-west4").create({}, Silent()))
    hint = about(looked(cloud), f"bucket/{ASKED.bucket}").hint
    assert (
        "set cloudrun.region = 'europe-west4', or run `homeport down home --on cloudrun --purge` first"
        in hint
    )
    assert "another `name` makes a second endpoint, and what is in europe-west4 stays and is paid for" in hint


def test_a_repository_of_another_endpoint_is_a_problem() -> None:
    cloud = ready()
    act(repository(google_for(cloud), "another", "home", "us-central1").create({}, Silent()))
    assert about(looked(cloud), "repository/home").verdict is PreflightVerdict.PROBLEM


@pytest.mark.parametrize(
    ("network", "subnetwork"),
    [
        ("office", "desks"),
        (
            "projects/rehearsal/global/networks/office",
            "projects/rehearsal/regions/us-central1/subnetworks/desks",
        ),
        (f"https://{COMPUTE}/global/networks/office", f"https://{SUBNETS}/desks"),
    ],
)
def test_a_network_of_ones_own_is_looked_at_with_its_subnetwork(network: str, subnetwork: str) -> None:
    findings = looked(with_office(), replace(ASKED, network=network, subnetwork=subnetwork))
    assert findings.problems == ()
    assert about(findings, f"network/{network}").verdict is PreflightVerdict.OK
    assert "10.9.0.0/26 with Private Google Access" in about(findings, f"subnetwork/{subnetwork}").text


def test_a_subnetwork_of_another_network_or_region_or_none_is_a_problem() -> None:
    cloud = with_office()
    other = about(looked(cloud, replace(OFFICE, network="cellar")), "subnetwork/desks")
    assert (other.verdict, other.text) == (
        PreflightVerdict.PROBLEM,
        "it is of the network office, not of cellar",
    )
    lent = about(
        looked(cloud, replace(OFFICE, network="projects/lender/global/networks/office")), "subnetwork/desks"
    )
    assert lent.verdict is PreflightVerdict.PROBLEM, "two projects may each have an office"
    none = about(looked(cloud, replace(OFFICE, subnetwork="chairs")), "subnetwork/chairs")
    assert (none.verdict, none.text) == (
        PreflightVerdict.PROBLEM,
        "there is no subnetwork chairs in us-central1",
    )
    assert "gcloud compute networks subnets list --project=rehearsal" in none.hint
    elsewhere = about(looked(cloud, replace(OFFICE, region="europe-west4")), "subnetwork/desks")
    assert elsewhere.text == "there is no subnetwork desks in europe-west4"
    path = "projects/rehearsal/regions/europe-west4/subnetworks/desks"
    far = about(looked(cloud, replace(OFFICE, subnetwork=path)), f"subnetwork/{path}")
    assert (far.verdict, "the service would be in us-central1" in far.text) == (
        PreflightVerdict.PROBLEM,
        True,
    )


def test_the_project_of_a_network_may_be_said_by_its_number() -> None:
    number = Project().number
    assert about(looked(with_office(), replace(OFFICE, network=f"projects/{number}/global/networks/office")),
                 "subnetwork/desks").verdict is PreflightVerdict.OK  # fmt: skip


def test_a_subnetwork_that_reaches_no_api_or_is_too_small_comes_with_the_command() -> None:
    which = "desks --region=us-central1 --project=rehearsal"
    shut = about(looked(with_office(private_access=False), OFFICE), "subnetwork/desks")
    assert shut.verdict is PreflightVerdict.PROBLEM
    assert shut.hint == f"gcloud compute networks subnets update {which} --enable-private-ip-google-access"
    small = about(looked(with_office(cidr="10.9.0.0/27"), OFFICE), "subnetwork/desks")
    assert small.verdict is PreflightVerdict.PROBLEM
    assert "10.9.0.0/27" in small.text
    assert f"gcloud compute networks subnets expand-ip-range {which} --prefix-length=26" in small.hint
    both = looked(with_office(cidr="10.9.0.0/28", private_access=False), OFFICE)
    assert subjects(both.problems) == ["subnetwork/desks"] * 2


def test_missing_permissions_are_named_with_the_role_that_mends_them() -> None:
    cloud = ready()
    project = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
    held = [
        Binding(role=role, members=("user:dev@example.com",)) for role in ("roles/run.admin", "roles/browser")
    ]
    act(policy.grant(google_for(cloud), project, held))
    findings = looked(cloud, caller="dev@example.com")
    found = about(findings, "permissions/storage.admin")
    assert found.verdict is PreflightVerdict.PROBLEM
    assert (
        "gcloud projects add-iam-policy-binding rehearsal --member=user:dev@example.com --role=roles/storage.admin"
        in found.hint
    )
    assert "storage.buckets.create" in found.data["missing"]
    assert "permissions/run.admin" not in subjects(findings.problems)


@pytest.mark.parametrize(
    ("asked", "wanted", "needless"),
    [
        (ASKED, {"network", "secret"}, {"isolation"}),
        (replace(ASKED, isolated=True), {"network", "isolation"}, set()),
        (replace(ASKED, network="office", isolated=True), set(), {"network", "isolation"}),
        (replace(ASKED, secret=False), {"network"}, {"secret"}),
    ],
)
def test_permissions_are_wanted_for_what_is_made_alone(
    asked: PreflightInput, wanted: set[str], needless: set[str]
) -> None:
    assert wanted <= asked.needs <= needs().keys() - needless


def test_granting_every_role_that_is_named_mends_all_that_is_missing() -> None:
    cloud = ready()
    project = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
    before = looked(cloud, caller="dev@example.com")
    roles = {one.data["role"] for one in before.problems if "role" in one.data}
    assert roles
    assert "" not in roles
    act(
        policy.grant(
            google_for(cloud),
            project,
            [Binding(role=role, members=("user:dev@example.com",)) for role in roles],
        )
    )
    assert about(looked(cloud, caller="dev@example.com"), "permissions").verdict is PreflightVerdict.OK


def test_what_is_asked_for_is_needed_by_some_method_and_held_by_its_role() -> None:
    known = {
        permission
        for api in ("run.v1", "run.v2", "storage.v1", "iam.v1", "secretmanager.v1", "artifactregistry.v1", "cloudbuild.v1",
                    "compute.v1", "dns.v1", "serviceusage.v1", "cloudresourcemanager.v3", "logging.v2", "cloudscheduler.v1", "certificatemanager.v1",
                    "monitoring.v1", "monitoring.v3", "modelarmor.v1", "networkconnectivity.v1", "networkservices.v1", "networksecurity.v1", "apigateway.v1", "apikeys.v2", "iap.v1", "agentregistry.v1")
        for method in load(api).methods
        for permission in required(str(getattr(method, "id", method)))
    } | {
        "iam.serviceAccounts.actAs", "dns.networks.bindPrivateDNSZone", "run.routes.invoke",
        "artifactregistry.repositories.downloadArtifacts", "compute.backendServices.use",
        # What another thing names is used, and Google asks for that on the thing that is named.
        "compute.regionBackendServices.use", "compute.addresses.use", "compute.networks.use",
    }  # fmt: skip
    for need in needs().values():
        for permission in need.permissions:
            assert permission in known, permission
            assert permission in (permissions_of(role_for(permission)) or ()), permission


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def gate_of(
    hub: Hub, *, token: str | None, gated: bool = True, file: str = "model.safetensors"
) -> PreflightFinding:
    commit = hub.push("org/gemma", {"model.safetensors": b"weights"}, gated=gated)
    hub.tokens |= {"hf_let_in": {"org/gemma"}, "hf_left_out": set()}
    gate = GatedFile(
        endpoint=hub.address,
        repo="org/gemma",
        revision=commit,
        file=file,
        token=Secret(token) if token else None,
    )
    asked = replace(ASKED, gates=(gate,))
    return about(asyncio.run(preflight(google_for(ready()), asked)), "hub/org/gemma")


def test_an_open_gate_is_seen_without_a_byte_of_the_weights(hub: Hub) -> None:
    assert gate_of(hub, token="hf_let_in").verdict is PreflightVerdict.OK
    assert gate_of(hub, token=None, gated=False).verdict is PreflightVerdict.OK
    assert hub.total() == 0


@pytest.mark.parametrize(
    ("token", "file", "says"),
    [
        ("hf_left_out", "model.safetensors", "gate is closed: this token may not fetch"),
        (None, "model.safetensors", "gate is closed: nobody without a token"),
        ("hf_mistyped", "model.safetensors", "does not know this token"),
        ("hf_let_in", "absent.safetensors", "the hub has no org/gemma"),
    ],
)
def test_a_closed_gate_says_why_and_shows_no_token(hub: Hub, token: str | None, file: str, says: str) -> None:
    found = gate_of(hub, token=token, file=file)
    assert found.verdict is PreflightVerdict.PROBLEM
    assert says in found.text
    assert f"{hub.address}/" in found.hint
    assert "hf_" not in str(found.as_json())


def test_too_many_requests_without_a_token_are_no_open_gate_and_the_token_at_hand_is_tried(hub: Hub) -> None:
    commit = hub.push("org/gemma", {"model.safetensors": b"weights"}, gated=False)
    hub.tokens |= {"hf_let_in": {"org/gemma"}}
    gate = GatedFile(endpoint=hub.address, repo="org/gemma", revision=commit, file="model.safetensors")

    async def found() -> HubToken | None:
        return await hub_token.find(google_for(ready()), "home-hub-token", (gate,), env="hf_let_in")

    hub.limited = True
    limited = about(
        asyncio.run(preflight(google_for(ready()), replace(ASKED, gates=(gate,)))), "hub/org/gemma"
    )
    assert limited.verdict is PreflightVerdict.WARNING
    assert "too many requests of callers without a token" in limited.text
    assert "sign in" in limited.text
    assert "HF_TOKEN" in limited.hint
    token = asyncio.run(found())
    assert token is not None
    assert token.source == "the environment (HF_TOKEN)"


def test_a_hub_that_does_not_answer_is_not_checked() -> None:
    gate = GatedFile(
        endpoint="http://127.0.0.1:9", repo="org/gemma", revision="0" * 40, file="model.safetensors"
    )
    found = about(asyncio.run(preflight(google_for(ready()), replace(ASKED, gates=(gate,)))), "hub/org/gemma")
    assert found.verdict is PreflightVerdict.NOT_CHECKED


def test_what_is_to_be_changed_is_a_key_of_the_file() -> None:
    """Every `table.key` in the words of findings and of the target is one that the spec has."""
    folder = Path(cloudrun.__file__).parent
    words = [
        node.value
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {
        found.groups()
        for text in words
        for found in re.finditer(r"(?<![\w.])(cloudrun|engine|access)\.([a-z_]+)", text)
    }
    assert ("cloudrun", "region") in named
    assert {one for one in named if one[1] not in TABLES[one[0]].model_fields} == set()


def test_whether_the_network_is_still_closed_is_not_checked_by_whoever_may_not_list_its_rules() -> None:
    cloud = ready()
    assert not [one for one in looked(cloud).all if one.subject == "firewall"]
    cloud.faults.append(Fault(method="compute.firewalls.list", status=403, times=99))
    assert about(looked(cloud), "firewall").verdict == PreflightVerdict.NOT_CHECKED


def test_whether_addresses_are_taken_is_not_checked_by_whoever_may_not_see_the_network() -> None:
    cloud = ready()
    asked = replace(ASKED, own_subnetworks=(OwnSubnetwork(name="home", addresses="10.8.0.0/23"),))
    assert not [one for one in looked(cloud, asked).all if one.subject == "addresses"]
    cloud.faults.append(Fault(method="compute.networks.get", status=403, times=99))
    assert about(looked(cloud, asked), "addresses").verdict == PreflightVerdict.NOT_CHECKED
