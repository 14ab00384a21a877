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
    given = request.get("substitutions") or {}
    key = cloud.uuid()
    values = {"PROJECT_ID": call.project, "PROJECT_NUMBER": number, "BUILD_ID": key, "LOCATION": location,
              "SERVICE_ACCOUNT_EMAIL": account, **_of_trigger(trigger), **given}  # fmt: skip
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
        body |= {"buildTriggerId": trigger.id, "substitutions": {**_of_trigger(trigger), **given}}
    inputs = build_run.inputs_of(body)
    for step in body["steps"]:
        step["status"] = "QUEUED"
    kept = cloud.keep(call, f"projects/{call.project}/locations/{location}/builds/{key}", _BUILDS, body)
    kept.hidden.update(request=request, values=values, inputs=inputs)
    return _begun(call, kept, location, account)


def _check_place(cloud: Cloud, request: Build, location: str) -> None:
    """Refuse a region or a machine that the project may not build in or on; `global` is none of the regions."""
    machine = (request.get("options") or {}).get("machineType", "UNSPECIFIED")
    if cloud.build_regions and location not in {*cloud.build_regions, "global"}:
        what = "cannot run builds in this region"
    elif cloud.only_default_machine and machine not in {"UNSPECIFIED", "E2_MEDIUM"}:
        what = "cannot run builds of this machine type in this region"
    else:
        return
    raise ApiError(
        400, f"failed precondition: due to quota restrictions, {what}. Please contact support",
        status="FAILED_PRECONDITION",
    )  # fmt: skip


def _begun(call: Call, kept: StoredResource, location: str, account: str) -> Build:
    metadata = {
        "@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata",
        "build": kept.body,
    }
    target = kept.name if location != "global" else f"projects/{call.project}/builds/{kept.body['id']}"
    operation = operations.pending(call, target, metadata)
    run = build_run.Run(call.cloud, kept, operation, account)
    kept.hidden["run"] = run
    operation.hidden["build"] = kept
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
    found = [kept for kept in under if matches(text, _filtered(kept.body))]
    found.sort(key=lambda kept: kept.created, reverse=True)
    return generic.page(call, "builds", [kept.body for kept in found])


def cancel(call: Call) -> Build:
    """End a build that is under way."""
    kept = _named(call)
    _cancel(kept)
    return kept.body


def retry(call: Call) -> Build:
    """Start a build over again, as it was asked for."""
    kept = _named(call)
    return submit(call, kept.hidden["request"], _location(call))


def cancel_operation(call: Call) -> Build:
    """End the build of an operation."""
    operation = generic.existing(call)
    kept: StoredResource | None = operation.hidden.get("build")
    if kept is None:
        raise unimplemented("cancelling this operation")
    _cancel(kept)
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
    if any(kept.body["name"] == name for kept in call.cloud.store.under("cloudbuild", place)):
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
    return generic.page(call, "triggers", [kept.body for kept in call.cloud.store.under("cloudbuild", place)])


def patch_trigger(call: Call) -> Build:
    """Change a trigger: what the mask names, or all that can be set."""
    kept, sent = _trigger(call), dict(call.body)
    fixed = {key: kept.body[key] for key in ("id", "resourceName", "createTime", "name")}
    if call.mask:
        body = dict(kept.body)
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
    kept.body = body
    return body


def delete_trigger(call: Call) -> Build:
    """Unmake a trigger."""
    call.cloud.forget(_trigger(call))
    return {}


def run_trigger(call: Call) -> Build:
    """Start the build of a trigger by hand."""
    kept = _trigger(call)
    if kept.body.get("disabled"):
        raise precondition("trigger is disabled")
    build = kept.body.get("build")
    if not build:
        raise unimplemented("triggers whose build lies in a repository: give the build in the trigger itself")
    source = call.body.get("source") or call.body
    build = deepcopy(build)
    given = {**(build.get("substitutions") or {}), **(kept.body.get("substitutions") or {}),
             **(source.get("substitutions") or {})}  # fmt: skip
    if given:
        build["substitutions"] = given
    build["tags"] = [*(build.get("tags") or ()), *(kept.body.get("tags") or ()), f"trigger-{kept.id}"]
    if kept.body.get("serviceAccount"):
        build["serviceAccount"] = kept.body["serviceAccount"]
    return submit(call, build, _location(call), kept)


def _location(call: Call) -> str:
    """Return the build's location; `global` for the older methods, which know no locations."""
    segments = call.name.split("/")
    return segments[3] if segments[2:3] == ["locations"] else "global"


def _named(call: Call) -> StoredResource:
    key = call.name.rpartition("/")[2]
    kept = call.cloud.store.get(
        "cloudbuild", f"projects/{call.project}/locations/{_location(call)}/builds/{key}"
    )
    if kept is None:
        raise not_found("Requested entity was not found.")
    return kept


def _trigger(call: Call) -> StoredResource:
    key = call.name.rpartition("/")[2]
    place = f"projects/{call.project}/locations/{_location(call)}/triggers"
    for kept in call.cloud.store.under("cloudbuild", place):
        if key in {kept.id, kept.body["name"]}:
            return kept
    raise not_found("Requested entity was not found.")


def _cancel(kept: StoredResource) -> None:
    if kept.body["status"] not in build_run.RUNNING:
        raise precondition("build cannot be cancelled: it is not in progress")
    kept.hidden["run"].cancel()


def _default_account(call: Call) -> str:
    project = call.cloud.project(call.project)
    return f"{project.number if project else ''}-compute@developer.gserviceaccount.com"


def _account(call: Call, request: Build) -> str:
    """Return the e-mail of the build's account. Raises `ApiError` where the caller may not act as it."""
    given = str(request.get("serviceAccount") or "")
    found = _ACCOUNT.fullmatch(given)
    if given and found is None:
        raise invalid(f"invalid value for 'build.service_account': \"{given}\" is not a service account")
    email = found[1] if found else _default_account(call)
    name, permission = f"projects/{call.project}/serviceAccounts/{email}", "iam.serviceAccounts.actAs"
    may = call.cloud.access.held(call.caller, [permission], "iam", name, call.project)
    if permission not in may or (found and not call.cloud.account_is_seen(email)):
        raise ApiError(403, f"caller does not have permission to act as service account {given or name}")
    return email


def _check_bucket(call: Call, body: Build, account: str) -> None:
    given = str(body.get("logsBucket") or "")
    if not given:
        return
    bucket = given.removeprefix("gs://").partition("/")[0]
    kept, permission = call.cloud.store.get("storage", f"b/{bucket}"), "storage.objects.create"
    held = kept and call.cloud.access.held(Caller(account), [permission], "storage", kept.name, kept.project)
    if not held:
        raise invalid(
            f'invalid bucket "{bucket}"; service account {account} does not have access to the bucket'
        )


def _provenance(call: Call, source: Build, account: str) -> Build:
    stored = source.get("storageSource")
    if not stored:
        raise unimplemented("builds from a repository: use a storageSource, or none")
    bucket, name = str(stored.get("bucket") or ""), str(stored.get("object") or "")
    kept = call.cloud.store.get("storage", f"b/{bucket}")
    permission = "storage.objects.get"
    if kept is None:
        raise _unresolved(404, "The specified bucket does not exist.", "notFound")
    if permission not in call.cloud.access.held(
        Caller(account), [permission], "storage", kept.name, kept.project
    ):
        raise _unresolved(
            403,
            f"{account} does not have {permission} access to the Google Cloud Storage object. Permission "
            f"'{permission}' denied on resource (or it may not exist).",
            "forbidden",
        )
    found = find(call.cloud, bucket, name)
    generation = stored.get("generation")
    if found is None or (generation and str(generation) != found.body["generation"]):
        raise _unresolved(404, f"No such object: {bucket}/{name}", "notFound")
    resolved = {"bucket": bucket, "object": name, "generation": found.body["generation"]}
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
