"""Quotas and policies are held against what a deployment does, before it is begun."""

from __future__ import annotations

import shlex
from dataclasses import replace
from typing import Any

import pytest

from cloud import Raw, act
from deployment import google_for
from gcp_rehearsal.cloud import Cloud, Project
from homeport.catalog.cloudrun import Shape
from homeport.errors import QuotaExceeded
from homeport.progress import Silent
from homeport.resources.google.service import ServiceIdentity, service
from homeport.targets.cloudrun.preflight import (
    Findings,
    PreflightFinding,
    PreflightInput,
    PreflightVerdict,
    quotas,
)
from preflights import ASKED, about, looked, ready, subjects

CPU, MEMORY = "CpuAllocPerProjectRegion", "MemAllocPerProjectRegion"
L4 = "NvidiaL4GpuAllocNoZonalRedundancyPerProjectRegion"
L4_ZONAL = "NvidiaL4GpuAllocPerProjectRegion"
RTX = "NvidiaRtxPro6000GpuAllocNoZonalRedundancyPerProjectRegion"
LARGE = replace(ASKED, shape=Shape(gpu="nvidia-rtx-pro-6000", cpu=20, memory_gib=80))


def quota(findings: Findings, name: str) -> PreflightFinding:
    return about(findings, f"quota/{name}")


def test_the_largest_gpu_does_not_fit_the_memory_of_a_new_project() -> None:
    findings = looked(ready(), LARGE)
    assert subjects(findings.problems) == [f"quota/{MEMORY}"]
    found = quota(findings, MEMORY)
    assert "80 GiB wanted in us-central1, 40 GiB there" in found.text
    assert "--preferred-value=85899345920 --dimensions=region=us-central1" in found.hint
    assert "no setting of homeport.toml fits" in found.hint


def test_gpus_in_thousandths_are_asked_for_in_thousandths() -> None:
    cloud = ready(quotas={RTX: 1000, CPU: 100_000, MEMORY: 800 * 2**30})
    found = quota(looked(cloud, replace(LARGE, max_instances=3)), RTX)
    assert found.verdict is PreflightVerdict.PROBLEM
    assert "set scaling.max = 1;" in found.hint
    assert f"--quota-id={RTX} --preferred-value=3000 " in found.hint


def test_the_smallest_change_counts_every_quota() -> None:
    cloud = ready(quotas={L4: 10, CPU: -1, MEMORY: 48 * 2**30})
    findings = looked(cloud, replace(ASKED, max_instances=9))
    assert subjects(findings.problems) == [f"quota/{MEMORY}"]
    assert "set scaling.max = 3;" in quota(findings, MEMORY).hint


def test_a_project_without_zonal_gpus_is_told_of_those_without_redundancy() -> None:
    found = quota(looked(ready(), replace(ASKED, zonal_redundancy=True)), L4_ZONAL)
    assert found.verdict is PreflightVerdict.PROBLEM
    assert found.hint.startswith("set cloudrun.zonal_redundancy = false;")


def test_a_region_whose_quota_is_enough_is_named() -> None:
    cloud = ready(quotas={f"{L4}@us-central1": 0})
    found = quota(looked(cloud), L4)
    assert "free trial" in found.text
    assert "set cloudrun.region = " in found.hint
    region = found.hint.partition("'")[2].partition("'")[0]
    assert quota(looked(cloud, replace(ASKED, region=region)), L4).verdict is PreflightVerdict.OK


@pytest.mark.parametrize("given", [True, False])
def test_a_project_without_any_l4_may_be_given_its_first_by_its_first_deployment(given: bool) -> None:
    """Both projects look alike before: a warning, and where Google gives none its refusal comes with the request."""
    cloud = ready(quotas={L4: 0}, quotas_at_first={L4: 3} if given else {})
    findings = looked(cloud)
    found = quota(findings, L4)
    assert (found.verdict, findings.problems) == (PreflightVerdict.WARNING, ())
    assert "first 3 when its first deployment is made" in found.text
    assert f"--quota-id={L4} --preferred-value=1 " in found.hint
    made = act(made_with_an_l4(cloud))
    if given:
        assert made is None
        assert quota(looked(cloud), L4).verdict is PreflightVerdict.OK
    else:
        assert isinstance(made, QuotaExceeded)
        assert f"--quota-id={L4} --preferred-value=1 --dimensions=region=us-central1" in made.hint


async def made_with_an_l4(cloud: Cloud) -> QuotaExceeded | None:
    """What Google says to a service with an L4; None where it makes it."""
    body = {
        "template": {
            "containers": [
                {"image": "us-docker.pkg.dev/cloudrun/container/hello", "resources": {"limits": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}, "cpuIdle": False}}
            ],
            "nodeSelector": {"accelerator": "nvidia-l4"},
            "gpuZonalRedundancyDisabled": True,
            "scaling": {"maxInstanceCount": 1},
        }
    }  # fmt: skip
    async with google_for(cloud) as google:
        try:
            await service(google, ServiceIdentity(endpoint="home", region="us-central1"), body).create(
                {}, Silent()
            )
        except QuotaExceeded as error:
            return error
    return None


def test_more_than_the_first_gpus_is_a_problem_from_the_start() -> None:
    found = quota(looked(ready(quotas={L4: 0, CPU: -1, MEMORY: -1}), replace(ASKED, max_instances=5)), L4)
    assert found.verdict is PreflightVerdict.PROBLEM
    assert found.hint.startswith("set scaling.max = 3;")


def test_another_gpu_is_not_said_to_come_with_the_first_deployment() -> None:
    cloud = ready(quotas={RTX: 0, CPU: -1, MEMORY: -1})
    assert quota(looked(cloud, LARGE), RTX).verdict is PreflightVerdict.PROBLEM


def test_no_limit_is_no_limit() -> None:
    cloud = ready(quotas={L4: -1, CPU: -1, MEMORY: -1})
    assert looked(cloud, replace(ASKED, max_instances=50)).problems == ()


def test_a_value_for_all_regions_holds_where_none_is_named() -> None:
    told = quotas._read(
        {
            "dimensionsInfos": [
                {
                    "dimensions": {"region": "us-east4"},
                    "details": {"value": "7"},
                    "applicableLocations": ["us-east4"],
                },
                {"details": {"value": "3"}},
            ]
        }
    )
    assert (told.value("us-east4"), told.value("us-central1")) == (7, 3)


def test_room_for_one_instance_only_is_a_warning() -> None:
    found = quota(looked(ready(quotas={L4: 1})), L4)
    assert (found.verdict, "--preferred-value=2 " in found.hint) == (PreflightVerdict.WARNING, True)


def test_what_others_use_is_said_to_be_unseen() -> None:
    assert "not visible" in quota(looked(ready()), CPU).text


def test_a_project_without_billing_is_told_why_google_grants_no_more() -> None:
    cloud = ready(projects=(Project(billing=False),), quotas={L4: 0})
    assert "NO_VALID_BILLING_ACCOUNT" in quota(looked(cloud), L4).text


def test_the_request_for_more_is_one_that_google_takes() -> None:
    cloud = ready(quotas={L4: 1})
    hint = quota(looked(cloud, replace(ASKED, max_instances=5)), L4).hint
    words = shlex.split(hint[hint.index("gcloud") : hint.index(" (or http")])
    flags = dict(word.removeprefix("--").split("=", 1) for word in words if word.startswith("--"))
    body = {
        "service": flags["service"],
        "quotaId": flags["quota-id"],
        "dimensions": {"region": flags["dimensions"].removeprefix("region=")},
        "quotaConfig": {"preferredValue": flags["preferred-value"]},
        "contactEmail": flags["email"],
        "justification": flags["justification"],
    }
    place = f"cloudquotas.googleapis.com/v1/projects/{flags['project']}/locations/global/quotaPreferences"
    assert act(Raw(cloud).send("POST", place, body)).status == 200


def forbidding(**policies: Any) -> Cloud:
    cloud = ready()
    for name, value in policies.items():
        setattr(cloud.policies, name, value)
    return cloud


@pytest.mark.parametrize(
    ("policies", "change", "subject", "verdict"),
    [
        ({"ingress": frozenset({"internal"})}, {}, "run.allowedIngress", "problem"),
        ({"ingress": frozenset({"internal"})}, {"isolated": True}, "run.allowedIngress", "ok"),
        ({"egress": frozenset({"private-ranges-only"})}, {}, "run.allowedVPCEgress", "problem"),
        ({"locations": frozenset({"us-central1"})}, {}, "gcp.resourceLocations", "ok"),
        ({"locations": frozenset({"europe-west4"})}, {}, "gcp.resourceLocations", "problem"),
        ({"told": {"gcp.resourceLocations": {"values": {"allowedValues": ["in:us-locations"]}}}}, {}, "gcp.resourceLocations", "ok"),
        ({"told": {"gcp.resourceLocations": {"values": {"allowedValues": ["in:eu-locations"]}}}}, {}, "gcp.resourceLocations", "problem"),
        ({"told": {"gcp.resourceLocations": {"values": {"allowedValues": ["in:low-carbon-locations"]}}}}, {}, "gcp.resourceLocations", "warning"),
        ({"told": {"gcp.resourceLocations": {"denyAll": True}}}, {}, "gcp.resourceLocations", "problem"),
        ({"restricts_members": True}, {}, "iam.allowedPolicyMemberDomains", "ok"),
        ({"restricts_members": True}, {"callers": ("user:me@example.com",)}, "iam.allowedPolicyMemberDomains", "warning"),
        ({"restricts_members": True}, {"public": True}, "iam.allowedPolicyMemberDomains", "warning"),
        ({"told": {"iam.disableServiceAccountCreation": {"enforce": True}}}, {}, "iam.disableServiceAccountCreation", "problem"),
        ({"told": {"run.managed.requireInvokerIam": {"enforce": True}}}, {"public": True}, "run.managed.requireInvokerIam", "problem"),
        ({"told": {"run.managed.requireInvokerIam": {"enforce": True}}}, {}, "run.managed.requireInvokerIam", "ok"),
        ({"told": {"storage.publicAccessPrevention": {"enforce": True}}}, {}, "storage.publicAccessPrevention", "ok"),
        ({"told": {"run.allowedIngress": {"allowAll": True, "condition": {"expression": "resource.matchTag('1/env', 'prod')"}}}}, {}, "run.allowedIngress", "not checked"),
    ],
)  # fmt: skip
def test_a_policy_is_held_against_what_is_done(
    policies: dict[str, Any], change: dict[str, Any], subject: str, verdict: str
) -> None:
    asked: PreflightInput = replace(ASKED, **change)
    found = about(looked(forbidding(**policies), asked), f"policy/{subject}")
    assert found.verdict == verdict, found
    if verdict in {"problem", "warning"}:
        assert found.hint


def test_managed_members_that_are_listed_may_call() -> None:
    rule = {"enforce": True, "parameters": {"allowedMemberSubjects": ["user:me@example.com"]}}
    cloud = forbidding(told={"iam.managed.allowedPolicyMembers": rule})
    subject = "policy/iam.managed.allowedPolicyMembers"
    assert (
        about(looked(cloud, replace(ASKED, callers=("user:me@example.com",))), subject).verdict
        is PreflightVerdict.OK
    )
    found = about(looked(cloud, replace(ASKED, callers=("user:you@example.org",))), subject)
    assert "user:you@example.org" in found.text
    assert found.verdict is PreflightVerdict.WARNING
