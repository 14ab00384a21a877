"""Whether a service, or a job, is one that Cloud Run would take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.iam import service_accounts as accounts
from gcp_rehearsal.apis.run import quota as run_quota
from gcp_rehearsal.apis.run.defaults import default_account
from gcp_rehearsal.apis.run.sizes import size_of
from gcp_rehearsal.apis.run.status import Wrong, segments
from gcp_rehearsal.apis.run.template_checks import check_template, check_timeout
from gcp_rehearsal.errors import ApiError, invalid, precondition, unimplemented
from gcp_rehearsal.facts import cloud_run
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.regions import ZONES

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

Body = Mapping[str, Json]

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,47}[a-z0-9])?")
_REVISION = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_TAG = re.compile(r"[a-z]([-a-z0-9]{0,44}[a-z0-9])?")
_SYSTEM = ("run.googleapis.com", "cloud.googleapis.com", "serving.knative.dev", "autoscaling.knative.dev")
_LABEL_KEY = re.compile(r"[a-z][-_a-z0-9./]{0,127}")
_LABEL_VALUE = re.compile(r"[-_a-z0-9]{0,63}")
_STAGES = ("", "ALPHA", "BETA", "GA", "LAUNCH_STAGE_UNSPECIFIED")
_SHORT_INGRESS = {"INGRESS_TRAFFIC_ALL": "all", "INGRESS_TRAFFIC_INTERNAL_ONLY": "internal", "INGRESS_TRAFFIC_NONE": "none",
                  "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing"}  # fmt: skip
_SHORT_EGRESS = {"ALL_TRAFFIC": "all-traffic", "PRIVATE_RANGES_ONLY": "private-ranges-only"}
_NOT_ACTED = ("buildConfig", "multiRegionSettings")
"""What would be served here otherwise than it says."""
_PLATFORM_POLICY = re.compile(r"projects/[^/]+/platforms/cloudRun/[^/]+")
_PREVIEW = ("sshEnabled", "functionalType")


def check_name(name: str, field: str) -> None:
    """Raise `ApiError` 400 for a name that no service or job can have, or a region that there is not."""
    _, region, last = segments(name)
    if not _NAME.fullmatch(last):
        text = (
            "Resource name must use only lowercase letters, numbers and '-'. Must begin with a letter and cannot end "
            "with a '-'. Maximum length is 49 characters."
        )
        raise invalid(f"{field}: {text}", (field, text))
    if region not in ZONES:
        raise ApiError(404, f"Location {region} is not found or access is unauthorized.")


def check_service(call: Call, name: str, body: Body) -> None:
    """Raise `ApiError` for whatever is wrong with a service as it was sent, everything at once."""
    wrong = Wrong()
    _refuse(body)
    template = body.get("template") or {}
    _check_metadata(body, "", wrong)
    _check_metadata(template, "template.", wrong)
    if len(body.get("description", "")) > 512:
        wrong.say("description", "Maximum length is 512 characters.")
    _check_containers_with_ports(template, wrong)
    _, region, last = segments(name)
    check_template(template, region, "template", wrong)
    _check_runtime(template, wrong)
    _check_binaries(body.get("binaryAuthorization") or {}, wrong)
    _check_scaling(body, wrong)
    _check_revision_name(template.get("revision", ""), last, wrong)
    _check_traffic(call, name, body, wrong)
    _check_stage(body, template, wrong)
    wrong.check()
    run_quota.check(call.cloud, region, template, wrong)
    wrong.check()
    _check_policies(call, region, body.get("ingress", ""), template)
    check_act_as(call, template.get("serviceAccount", ""))


def check_job(call: Call, name: str, body: Body) -> None:
    """Raise `ApiError` for whatever is wrong with a job as it was sent, everything at once."""
    wrong = Wrong()
    _refuse(body)
    execution = body.get("template") or {}
    task = execution.get("template") or {}
    _check_metadata(body, "", wrong)
    _check_metadata(execution, "template.", wrong)
    _, region, _ = segments(name)
    check_template(task, region, "template.template", wrong, job=True)
    gpu = size_of(task.get("containers", ())).gpus
    jobs = cloud_run.job_limits()
    longest = jobs.longest_task_gpu_s if gpu else jobs.longest_task_s
    check_timeout(task.get("timeout"), longest, "template.template.timeout", wrong)
    tasks = execution.get("taskCount", 1) or 1
    if not 0 <= execution.get("parallelism", 0) <= tasks:
        wrong.say("template.parallelism", "parallelism must be between 0 and task_count.")
    if not 1 <= tasks <= 10000:
        wrong.say("template.task_count", "task_count must be between 1 and 10000.")
    if not 0 <= task.get("maxRetries", 0) <= 10:
        wrong.say("template.template.max_retries", "max_retries must be between 0 and 10.")
    _check_stage(body, task, wrong, "template.template")
    _check_binaries(body.get("binaryAuthorization") or {}, wrong)
    run_quota.check_gpu_of_job(call.cloud, region, task, wrong)
    wrong.check()
    _check_policies(call, region, "", task)
    check_act_as(call, task.get("serviceAccount", ""))


def check_act_as(call: Call, email: str) -> None:
    """Raise `ApiError` 403 where the caller may not run something as this account, or there is no such account."""
    email = email or default_account(call.cloud, call.project)
    if not accounts.may_act_as(call, email):
        raise ApiError(
            403,
            f"Permission 'iam.serviceaccounts.actAs' denied on service account {email} (or it may not exist).",
        )


def _refuse(body: Body) -> None:
    for key in _NOT_ACTED:
        if body.get(key):
            raise unimplemented(key)


def _check_binaries(binaries: Body, wrong: Wrong) -> None:
    """Check settings of Binary Authorization by what the document says of them; the words are the rehearsal's."""
    policy, field = binaries.get("policy", ""), "binary_authorization"
    if policy and not _PLATFORM_POLICY.fullmatch(policy):
        wrong.say(f"{field}.policy", f"Invalid Binary Authorization policy '{policy}'.")
    if policy and binaries.get("useDefault"):
        wrong.say(field, "Only one of use_default and policy may be set.")
    if binaries.get("breakglassJustification") and not (policy or binaries.get("useDefault")):
        wrong.say(f"{field}.breakglass_justification", "It must be empty where no policy is used.")


def _check_metadata(body: Body, base: str, wrong: Wrong) -> None:
    for kind in ("annotations", "labels"):
        for key in body.get(kind) or {}:
            if any(key.partition("/")[0].endswith(system) for system in _SYSTEM) and "/" in key:
                wrong.say(
                    f"{base}{kind}",
                    f"Cloud Run API v2 does not support {kind} with the system namespace: '{key}'.",
                )
    for key, value in (body.get("labels") or {}).items():
        if not _LABEL_KEY.fullmatch(key) or not _LABEL_VALUE.fullmatch(str(value)):
            wrong.say(f"{base}labels", f"Label '{key}={value}' is invalid.")


def _check_containers_with_ports(template: Body, wrong: Wrong) -> None:
    containers = template.get("containers") or []
    serving = [container for container in containers if container.get("ports")]
    if len(containers) > 1 and len(serving) != 1:
        wrong.say(
            "template.containers",
            "Revision template should contain exactly one container with an exposed port.",
        )
    if len(containers) > 1 and any(
        not container.get("name") for container in containers if not container.get("ports")
    ):
        wrong.say("template.containers", "Containers without a port must have a name.")


def _check_runtime(template: Body, wrong: Wrong) -> None:
    limits = cloud_run.service_limits()
    check_timeout(template.get("timeout"), limits.longest_request_s, "template.timeout", wrong)
    concurrency = template.get("maxInstanceRequestConcurrency", 0)
    field = "template.max_instance_request_concurrency"
    if not 0 <= concurrency <= limits.largest_concurrency:
        wrong.say(field, f"Concurrency must be between 1 and {limits.largest_concurrency}.")
    if concurrency > 1 and 0 < size_of(template.get("containers") or ()).cpu < 1000:
        wrong.say(
            "template.containers.resources.limits.cpu",
            "Invalid value specified for cpu. Total cpu < 1 is not supported with concurrency > 1.",
        )


def _check_scaling(body: Body, wrong: Wrong) -> None:
    template = body.get("template") or {}
    for place, scaling in (
        ("scaling", body.get("scaling", {})),
        ("template.scaling", template.get("scaling", {})),
    ):
        least, most = scaling.get("minInstanceCount", 0), scaling.get("maxInstanceCount", 0)
        if least < 0 or most < 0 or scaling.get("manualInstanceCount", 0) < 0:
            wrong.say(place, "Instance counts must not be negative.")
        if most and least > most:
            wrong.say(f"{place}.min_instance_count", "Min instances must not be greater than max instances.")
    for key, most in (("cpuUtilization", 0.9), ("concurrencyUtilization", 0.95)):
        share = float(template.get("scaling", {}).get(key, 0))
        if share and not 0.1 <= share <= most:
            wrong.say(f"template.scaling.{key}", f"Value must be between 0.1 and {most}, or 0.")


def _check_revision_name(revision: str, service: str, wrong: Wrong) -> None:
    if not revision:
        return
    if not revision.startswith(f"{service}-"):
        wrong.say(
            "template.revision",
            "Revision name must be prefixed by the name of the enclosing Service or Configuration with a trailing -",
        )
    elif not _REVISION.fullmatch(revision):
        wrong.say(
            "template.revision", f"Revision name '{revision}' must be a DNS label of at most 63 characters."
        )


def _check_traffic(call: Call, name: str, body: Body, wrong: Wrong) -> None:
    targets = body.get("traffic") or []
    total = sum(target.get("percent", 0) for target in targets)
    if targets and total != 100:
        wrong.say("traffic", f"Traffic targets sum to {total}, want 100.")
    if any(not 0 <= target.get("percent", 0) <= 100 for target in targets):
        wrong.say("traffic", "Traffic percent must be between 0 and 100.")
    tags = [target["tag"] for target in targets if target.get("tag")]
    for tag in tags:
        if not _TAG.fullmatch(tag):
            wrong.say("traffic", f"Traffic tag '{tag}' is invalid.")
    if len(set(tags)) != len(tags):
        wrong.say("traffic", "Traffic tags must be unique.")
    own = (body.get("template") or {}).get("revision")
    for place, target in enumerate(targets):
        why = _wrong_target(call, name, target, own)
        if why:
            wrong.say(f"traffic[{place}].revision", why)


def _wrong_target(call: Call, name: str, target: Body, own: str | None) -> str:
    revision, kind = target.get("revision", ""), target.get("type", "")
    if "LATEST" in kind:
        return "A target of the latest revision must not name a revision." if revision else ""
    if not revision:
        return "Revision name is required." if "REVISION" in kind else ""
    short = revision.rpartition("/")[2]
    known = revision == own or call.cloud.store.get("run", f"{name}/revisions/{short}") is not None
    return "" if known else f"Revision '{revision}' does not exist."


def _check_stage(body: Body, template: Body, wrong: Wrong, base: str = "template") -> None:
    stage = body.get("launchStage", "")
    if stage not in _STAGES:
        wrong.say("launch_stage", f"Launch stage '{stage}' is not supported: ALPHA, BETA and GA are.")
    if stage in {"ALPHA", "BETA"}:
        return
    used = [key for key in _PREVIEW if body.get(key)]
    gpu = cloud_run.gpu_type(template.get("nodeSelector", {}).get("accelerator", ""))
    if gpu is not None and gpu.stage != "GA":
        used.append(f"{base}.node_selector.accelerator")
    used += [
        f"{base}.volumes[{place}].empty_dir.medium"
        for place, volume in enumerate(template.get("volumes", ()))
        if volume.get("emptyDir", {}).get("medium") == "DISK"
    ]
    for path in used:
        wrong.say(path, "The feature is not supported in the declared launch stage")


def _check_policies(call: Call, region: str, ingress: str, template: Body) -> None:
    policies = call.cloud.policies
    who = f"projects/{call.project}"
    if policies.locations and region not in policies.locations:
        raise precondition(
            f"Constraint constraints/gcp.resourceLocations violated for {who}: '{region}' violates constraint "
            "'constraints/gcp.resourceLocations'.",
            reason="LOCATION_POLICY_VIOLATED",
        )
    ingress = ingress or "INGRESS_TRAFFIC_ALL"
    if policies.ingress and not {ingress, _SHORT_INGRESS.get(ingress)} & policies.ingress:
        raise precondition(
            f"Constraint constraints/run.allowedIngress violated for {who} with ingress {ingress}."
        )
    access = template.get("vpcAccess") or {}
    egress = access.get("egress") or "PRIVATE_RANGES_ONLY"
    if access and policies.egress and not {egress, _SHORT_EGRESS.get(egress)} & policies.egress:
        raise precondition(
            f"Constraint constraints/run.allowedVPCEgress violated for {who} with egress {egress}."
        )
