"""Cloud Run jobs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

from gcp_rehearsal import generic
from gcp_rehearsal.apis.run import executions
from gcp_rehearsal.apis.run.checks import check_job, check_name
from gcp_rehearsal.apis.run.defaults import fill_job
from gcp_rehearsal.apis.run.status import (
    GOOD,
    at_once,
    check_etag,
    condition,
    created,
    ended,
    operation,
    put_conditions,
    stamp,
)
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.errors import ApiError, exists, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

COLLECTION = "run.projects.locations.jobs"
_READY_AFTER = 2.0
_WRITTEN = ("annotations", "labels", "launchStage", "template", "client", "clientVersion", "functionalType",
            "binaryAuthorization")  # fmt: skip


def put(call: Call, name: str, body: JsonObject, *, dry: bool = False) -> StoredResource:
    """
    Make a job, or change an existing one to what `body` says; return the operation that does it.

    Raises `ApiError` for a job that Cloud Run would not take.
    """
    cloud, job = call.cloud, call.cloud.store.get("run", name)
    for key in ("startExecutionToken", "runExecutionToken"):
        if body.get(key):
            raise unimplemented(key)
    check_name(name, "job_id")
    check_job(call, name, body)
    body = deepcopy({key: body[key] for key in _WRITTEN if key in body})
    fill_job(cloud, name, body)
    if dry:
        tried = StoredResource(api="run", name=name, collection=COLLECTION, project=call.project, body=body)
        created(call, tried)
        return _done_at_once(call, tried)
    if job is None:
        job = cloud.keep(call, name, COLLECTION, body)
        created(call, job)
        job.body["latestCreatedExecution"] = {}
    else:
        outputs = {key: value for key, value in job.body.items() if key not in _WRITTEN}
        job.body = {**outputs, **body}
        job.body["generation"] = str(int(job.body["generation"]) + 1)
        job.body["updateTime"] = cloud.clock.text()
    return _settle(call, job)


def run(
    call: Call, job: StoredResource, overrides: Mapping[str, Json]
) -> tuple[StoredResource, StoredResource]:
    """
    Execute a job; return the execution, and the operation that ends with it.

    Raises `ApiError` 400 for an override of a container that the job does not have.
    """
    cloud = call.cloud
    execution = executions.make(call, job, _overridden(job, overrides))
    job.body["executionCount"] = job.body.get("executionCount", 0) + 1
    job.body["latestCreatedExecution"] = executions.reference(execution)
    job.hidden["latest"] = execution
    stamp(cloud, job)
    op = operation(call, execution, "Execution")

    def done(error: ApiError | None) -> None:
        if job.hidden["latest"] is execution:
            job.body["latestCreatedExecution"] = executions.reference(execution)
            stamp(cloud, job)
        ended(op, error or execution.body, "Execution")

    executions.start(cloud, execution, done)
    cloud.clock.settle()
    return execution, op


def remove(call: Call, kept: StoredResource) -> StoredResource:
    """Delete a job with its executions; return the operation that did it."""
    cloud = call.cloud
    kept.body["deleteTime"] = cloud.clock.text()
    for execution in list(cloud.store.under("run", f"{kept.name}/executions")):
        if "completionTime" not in execution.body:
            executions.cancel(cloud, execution)
    op = operation(call, kept, "Job")
    cloud.forget(kept)
    ended(op, kept.body, "Job")
    return op


def _create(call: Call) -> Json:
    short = call.query.get("jobId") or ""
    name = f"{call.name}/{short}"
    if call.cloud.store.get("run", name) is not None:
        raise exists(f"Resource '{short}' already exists.")
    return put(call, name, generic.writable(call), dry=call.validate_only).body


def _patch(call: Call) -> Json:
    job = call.cloud.store.get("run", call.name)
    if job is None and not call.query.get("allowMissing"):
        raise not_found(generic.missing(call, call.name))
    if job is not None:
        check_etag(job, call.body.get("etag"))
    return put(call, call.name, generic.writable(call), dry=call.validate_only).body


def _delete(call: Call) -> Json:
    job = generic.existing(call)
    check_etag(job, call.query.get("etag"))
    if call.validate_only:
        return at_once(call, job, "Job")
    return remove(call, job).body


def _run(call: Call) -> Json:
    job = generic.existing(call)
    check_etag(job, call.body.get("etag"))
    overrides = call.body.get("overrides", {})
    if call.validate_only:
        _overridden(job, overrides)
        return at_once(call, job, "Job")
    return run(call, job, overrides)[1].body


def _settle(call: Call, job: StoredResource) -> StoredResource:
    cloud = call.cloud
    job.body["lastModifier"] = call.caller.email
    job.body["observedGeneration"] = job.body["generation"]
    job.body["terminalCondition"] = condition(cloud, "Ready", GOOD)
    put_conditions(job, [condition(cloud, "ResourcesAvailable", GOOD)])
    stamp(cloud, job)
    op = operation(call, job, "Job")
    cloud.clock.after(cloud.takes(_READY_AFTER), lambda: ended(op, job.body, "Job"))
    cloud.clock.settle()
    return op


def _done_at_once(call: Call, job: StoredResource) -> StoredResource:
    op = operation(call, job, "Job")
    ended(op, job.body, "Job")
    return op


def _overridden(job: StoredResource, overrides: Mapping[str, Json]) -> JsonObject:
    template: JsonObject = deepcopy(job.body["template"])
    task = template["template"]
    if overrides.get("taskCount"):
        template["taskCount"] = overrides["taskCount"]
    if overrides.get("timeout"):
        task["timeout"] = overrides["timeout"]
    containers = task["containers"]
    for place, override in enumerate(overrides.get("containerOverrides", ())):
        named = [
            container for container in containers if container.get("name", "") == override.get("name", "")
        ]
        if len(containers) == 1 and not override.get("name"):
            named = containers
        if not named:
            field = f"overrides.container_overrides[{place}].name"
            text = f"Container '{override.get('name', '')}' does not exist in the job."
            raise invalid(f"{field}: {text}", (field, text))
        _override(named[0], override)
    return template


def _override(container: JsonObject, override: Mapping[str, Json]) -> None:
    if override.get("clearArgs"):
        container.pop("args", None)
    if override.get("args"):
        container["args"] = list(override["args"])
    env = {variable["name"]: variable for variable in container.get("env", ())}
    env |= {variable.get("name", ""): variable for variable in override.get("env", ())}
    if env:
        container["env"] = list(env.values())


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.patch": _patch,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.run": _run,
}
