"""Cloud Build: builds, triggers, and which function answers what of the API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy

from gcp_rehearsal import generic, operations
from gcp_rehearsal.apis.cloudbuild import checks as build_checks
from gcp_rehearsal.apis.cloudbuild import run as build_run
from gcp_rehearsal.apis.storage.objects import find
from gcp_rehearsal.context import Call, Cloud, Handler, Kind
from gcp_rehearsal.errors import ApiError, exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.filters import matches
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_BUILDS, _TRIGGERS = "cloudbuild.projects.locations.builds", "cloudbuild.projects.locations.triggers"
_ACCOUNT = re.compile(r"(?:projects/[^/]+/serviceAccounts/)?([^/]+@[^/]+)")
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,62}[a-zA-Z0-9])?")
_READ_ONLY = ("id", "name", "projectId", "status", "statusDetail", "createTime", "startTime", "finishTime", "results",
              "timing", "logUrl", "buildTriggerId", "failureInfo", "warnings", "approval", "sourceProvenance")  # fmt: skip
_STARTS = ("autodetect", "build", "filename", "gitFileSource")
_EVENTS = ("github", "triggerTemplate", "pubsubConfig", "webhookConfig", "repositoryEventConfig", "sourceToBuild",
           "bitbucketServerTriggerConfig", "developerConnectEventConfig")  # fmt: skip

Build = JsonObject


def create(call: Call) -> Build:
    """Start a build."""
    return submit(
        call, {key: value for key, value in call.body.items() if key not in _READ_ONLY}, _location(call)
    )


def submit(call: Call, request: Build, location: str, trigger: StoredResource | None = None) -> Build:
    """
    Start a build in a project's location, without a check of the caller; the answer is the operation.

    Raises `ApiError` 400, 403 where the caller may not act as the build's account, 501.
    """
    cloud, request = call.cloud, deepcopy(request)
    build_checks.check(request)
    _check_place(cloud, request, location)
    account = _account(call, request)
    project = cloud.project(call.project)
    number = project.number if project else ""
    substitutions = request.get("substitutions") or {}
    key = cloud.uuid()
    values = {"PROJECT_ID": call.project, "PROJECT_NUMBER": number, "BUILD_ID": key, "LOCATION": location,
              "SERVICE_ACCOUNT_EMAIL": account, **_of_trigger(trigger), **substitutions}  # fmt: skip
    body = build_checks.substituted(request, values)
    build_checks.check_names(body)
    _check_bucket(call, body, account)
    if body.get("source"):
        body["sourceProvenance"] = _provenance(call, body["source"], account)
    place = "" if location == "global" else f";region={location}"
    body |= {
        "id": key,
        "name": f"projects/{number}/locations/{location}/builds/{key}",
        "projectId": call.project,
        "status": "QUEUED",
        "createTime": cloud.clock.text(),
        "timeout": body.get("timeout") or f"{build_checks.TIMEOUT:g}s",
        "queueTtl": body.get("queueTtl") or "3600s",
        "serviceAccount": f"projects/{call.project}/serviceAccounts/{account}",
        "logUrl": f"https://console.cloud.google.com/cloud-build/builds{place}/{key}?project={number}",
        "options": {"logging": "LEGACY", **(body.get("options") or {})},
        "results": {},
    }
    if body.get("images"):
        body["artifacts"] = {"images": body["images"]}
    if trigger is not None:
        body |= {"buildTriggerId": trigger.id, "substitutions": {**_of_trigger(trigger), **substitutions}}
    inputs = build_run.inputs_of(body)
    for step in body["steps"]:
        step["status"] = "QUEUED"
    build = cloud.keep(call, f"projects/{call.project}/locations/{location}/builds/{key}", _BUILDS, body)
    build.hidden.update(request=request, values=values, inputs=inputs)
    return _begun(call, build, location, account)


def _check_place(cloud: Cloud, request: Build, location: str) -> None:
    """Refuse a region or a machine that the project may not build in or on; `global` is none of the regions."""
    machine = (request.get("options") or {}).get("machineType", "UNSPECIFIED")
    if cloud.build_regions and location not in {*cloud.build_regions, "global"}:
        refusal = "cannot run builds in this region"
    elif cloud.only_default_machine and machine not in {"UNSPECIFIED", "E2_MEDIUM"}:
        refusal = "cannot run builds of this machine type in this region"
    else:
        return
    raise ApiError(
        400, f"failed precondition: due to quota restrictions, {refusal}. Please contact support",
        status="FAILED_PRECONDITION",
    )  # fmt: skip


def _begun(call: Call, build: StoredResource, location: str, account: str) -> Build:
    metadata = {
        "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
        "build": build.body,
    }
    target = build.name if location != "global" else f"projects/{call.project}/builds/{build.body['id']}"
    operation = operations.pending(call, target, metadata)
    run = build_run.Run(call.cloud, build, operation, account)
    build.hidden["run"] = run
    operation.hidden["build"] = build
    run.begin()
    return operation.body


def get(call: Call) -> Build:
    """Return one build."""
    return _named(call).body


def list_(call: Call) -> Build:
    """Return a location's builds, the newest first, those that a filter lets through."""
    text = call.query.get("filter") or ""
    under = call.cloud.store.under(
        "cloudbuild", f"projects/{call.project}/locations/{_location(call)}/builds"
    )
    builds = [build for build in under if matches(text, _filtered(build.body))]
    builds.sort(key=lambda build: build.created, reverse=True)
    return generic.page(call, "builds", [build.body for build in builds])


def cancel(call: Call) -> Build:
    """End a build that is under way."""
    build = _named(call)
    _cancel(build)
    return build.body


def retry(call: Call) -> Build:
    """Start a build over again, as it was asked for."""
    build = _named(call)
    return submit(call, build.hidden["request"], _location(call))


def cancel_operation(call: Call) -> Build:
    """End the build of an operation."""
    operation = generic.existing(call)
    build: StoredResource | None = operation.hidden.get("build")
    if build is None:
        raise unimplemented("cancelling this operation")
    _cancel(build)
    return {}


def default_account(call: Call) -> Build:
    """Return the account in whose name builds run that name none."""
    email = _default_account(call)
    return {
        "name": call.name,
        "serviceAccountEmail": f"projects/{call.project}/serviceAccounts/{email}",
    }


def create_trigger(call: Call) -> Build:
    """Make a trigger."""
    body = {key: value for key, value in call.body.items() if key not in {"createTime", "id", "resourceName"}}
    _check_trigger(call, body)
    name = body.setdefault("name", f"trigger-{call.cloud.number()[:6]}")
    place = f"projects/{call.project}/locations/{_location(call)}/triggers"
    if any(trigger.body["name"] == name for trigger in call.cloud.store.under("cloudbuild", place)):
        raise exists("Requested entity already exists")
    key = call.cloud.uuid()
    body |= {"id": key, "resourceName": f"{place}/{key}", "createTime": call.cloud.clock.text()}
    return call.cloud.keep(call, f"{place}/{key}", _TRIGGERS, body).body


def get_trigger(call: Call) -> Build:
    """Return a trigger by its id or name."""
    return _trigger(call).body


def list_triggers(call: Call) -> Build:
    """Return a location's triggers."""
    place = f"projects/{call.project}/locations/{_location(call)}/triggers"
    return generic.page(
        call, "triggers", [trigger.body for trigger in call.cloud.store.under("cloudbuild", place)]
    )


def patch_trigger(call: Call) -> Build:
    """Change a trigger: what the mask names, or all that can be set."""
    trigger, sent = _trigger(call), dict(call.body)
    fixed = {key: trigger.body[key] for key in ("id", "resourceName", "createTime", "name")}
    if call.mask:
        body = dict(trigger.body)
        for path in call.mask:
            head = path.partition(".")[0]
            if head in sent:
                body[head] = sent[head]
            else:
                body.pop(head, None)
    else:
        body = sent
    body = {**body, **{key: value for key, value in fixed.items() if key != "name" or not body.get("name")}}
    _check_trigger(call, body)
    trigger.body = body
    return body


def delete_trigger(call: Call) -> Build:
    """Unmake a trigger."""
    call.cloud.forget(_trigger(call))
    return {}


def run_trigger(call: Call) -> Build:
    """Start the build of a trigger by hand."""
    trigger = _trigger(call)
    if trigger.body.get("disabled"):
        raise precondition("trigger is disabled")
    build = trigger.body.get("build")
    if not build:
        raise unimplemented("triggers whose build lies in a repository: give the build in the trigger itself")
    source = call.body.get("source") or call.body
    build = deepcopy(build)
    substitutions = {**(build.get("substitutions") or {}), **(trigger.body.get("substitutions") or {}),
                     **(source.get("substitutions") or {})}  # fmt: skip
    if substitutions:
        build["substitutions"] = substitutions
    build["tags"] = [*(build.get("tags") or ()), *(trigger.body.get("tags") or ()), f"trigger-{trigger.id}"]
    if trigger.body.get("serviceAccount"):
        build["serviceAccount"] = trigger.body["serviceAccount"]
    return submit(call, build, _location(call), trigger)


def _location(call: Call) -> str:
    """Return the build's location; `global` for the older methods, which know no locations."""
    segments = call.name.split("/")
    return segments[3] if segments[2:3] == ["locations"] else "global"


def _named(call: Call) -> StoredResource:
    key = call.name.rpartition("/")[2]
    build = call.cloud.store.get(
        "cloudbuild", f"projects/{call.project}/locations/{_location(call)}/builds/{key}"
    )
    if build is None:
        raise not_found("Requested entity was not found.")
    return build


def _trigger(call: Call) -> StoredResource:
    key = call.name.rpartition("/")[2]
    place = f"projects/{call.project}/locations/{_location(call)}/triggers"
    for trigger in call.cloud.store.under("cloudbuild", place):
        if key in {trigger.id, trigger.body["name"]}:
            return trigger
    raise not_found("Requested entity was not found.")


def _cancel(build: StoredResource) -> None:
    if build.body["status"] not in build_run.RUNNING:
        raise precondition("build cannot be cancelled: it is not in progress")
    build.hidden["run"].cancel()


def _default_account(call: Call) -> str:
    project = call.cloud.project(call.project)
    return f"{project.number if project else ''}-compute@developer.gserviceaccount.com"


def _account(call: Call, request: Build) -> str:
    """Return the e-mail of the build's account. Raises `ApiError` where the caller may not act as it."""
    account = str(request.get("serviceAccount") or "")
    match = _ACCOUNT.fullmatch(account)
    if account and match is None:
        raise invalid(f"invalid value for 'build.service_account': \"{account}\" is not a service account")
    email = match[1] if match else _default_account(call)
    name, permission = f"projects/{call.project}/serviceAccounts/{email}", "iam.serviceAccounts.actAs"
    may = call.cloud.access.held(call.caller, [permission], "iam", name, call.project)
    if permission not in may or (match and not call.cloud.account_is_visible(email)):
        raise ApiError(403, f"caller does not have permission to act as service account {account or name}")
    return email


def _check_bucket(call: Call, body: Build, account: str) -> None:
    url = str(body.get("logsBucket") or "")
    if not url:
        return
    bucket = url.removeprefix("gs://").partition("/")[0]
    stored, permission = call.cloud.store.get("storage", f"b/{bucket}"), "storage.objects.create"
    held = stored and call.cloud.access.held(
        Caller(account), [permission], "storage", stored.name, stored.project
    )
    if not held:
        raise invalid(
            f'invalid bucket "{bucket}"; service account {account} does not have access to the bucket'
        )


def _provenance(call: Call, source: Build, account: str) -> Build:
    stored = source.get("storageSource")
    if not stored:
        raise unimplemented("builds from a repository: use a storageSource, or none")
    bucket, name = str(stored.get("bucket") or ""), str(stored.get("object") or "")
    holder = call.cloud.store.get("storage", f"b/{bucket}")
    permission = "storage.objects.get"
    if holder is None:
        raise _unresolved(404, "The specified bucket does not exist.", "notFound")
    if permission not in call.cloud.access.held(
        Caller(account), [permission], "storage", holder.name, holder.project
    ):
        raise _unresolved(
            403,
            f"{account} does not have {permission} access to the Google Cloud Storage object. Permission "
            f"'{permission}' denied on resource (or it may not exist).",
            "forbidden",
        )
    archive = find(call.cloud, bucket, name)
    generation = stored.get("generation")
    if archive is None or (generation and str(generation) != archive.body["generation"]):
        raise _unresolved(404, f"No such object: {bucket}/{name}", "notFound")
    resolved = {"bucket": bucket, "object": name, "generation": archive.body["generation"]}
    return {"resolvedStorageSource": resolved}


def _unresolved(code: int, text: str, reason: str) -> ApiError:
    return invalid(f"could not resolve source: googleapi: Error {code}: {text}, {reason}")


def _check_trigger(call: Call, body: Build) -> None:
    name = str(body.get("name") or "trigger")
    if not _NAME.fullmatch(name):
        raise invalid(f'trigger name ("{name}") must match "^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$" and have at most 64 characters')  # fmt: skip
    if sum(bool(body.get(key)) for key in _STARTS) != 1:
        raise invalid(
            "Request contains an invalid argument.",
            ("trigger", f"exactly one of {', '.join(_STARTS)} is required"),
        )
    if not any(body.get(key) for key in _EVENTS):
        raise invalid(
            "Request contains an invalid argument.", ("trigger", f"one of {', '.join(_EVENTS)} is required")
        )
    link = (body.get("repositoryEventConfig") or {}).get("repository")
    if link and call.cloud.store.get("cloudbuild", call.cloud.by_id(link)) is None:
        raise not_found(f"repository {link} was not found")
    if body.get("build"):
        build_checks.check(deepcopy(body["build"]) | {"substitutions": {
            **(body["build"].get("substitutions") or {}), **(body.get("substitutions") or {})}})  # fmt: skip


def _of_trigger(trigger: StoredResource | None) -> dict[str, str]:
    return {"TRIGGER_NAME": trigger.body["name"]} if trigger else {}


def _filtered(body: Mapping[str, Json]) -> JsonObject:
    """Return a build by the names that filters have for its parts."""
    return {**body, "build_id": body["id"], "create_time": body["createTime"], "finish_time": body.get("finishTime"),
            "build_trigger_id": body.get("buildTriggerId"), "trigger_id": body.get("buildTriggerId")}  # fmt: skip


KINDS: Mapping[str, Kind] = {}
_BOTH: Mapping[str, Handler] = {
    "builds.cancel": cancel,
    "builds.create": create,
    "builds.get": get,
    "builds.list": list_,
    "builds.retry": retry,
    "triggers.create": create_trigger,
    "triggers.delete": delete_trigger,
    "triggers.get": get_trigger,
    "triggers.list": list_triggers,
    "triggers.patch": patch_trigger,
    "triggers.run": run_trigger,
}
HANDLERS: Mapping[str, Handler] = {
    **{f"cloudbuild.projects.{name}": handler for name, handler in _BOTH.items()},
    **{f"cloudbuild.projects.locations.{name}": handler for name, handler in _BOTH.items()},
    "cloudbuild.operations.cancel": cancel_operation,
    "cloudbuild.projects.locations.getDefaultServiceAccount": default_account,
    "cloudbuild.projects.locations.operations.cancel": cancel_operation,
}
