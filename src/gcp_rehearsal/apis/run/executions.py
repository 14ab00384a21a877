"""Executions of Cloud Run jobs, and their tasks: they run on the clock, are retried, fail, and are cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING
from urllib.parse import quote

from gcp_rehearsal import generic
from gcp_rehearsal.apis.run import log as run_log
from gcp_rehearsal.apis.run import start as run_start
from gcp_rehearsal.apis.run.sizes import seconds
from gcp_rehearsal.apis.run.status import (
    BAD,
    BUSY,
    GOOD,
    at_once,
    check_etag,
    condition,
    created,
    ended,
    operation,
    put_conditions,
    segments,
    stamp,
)
from gcp_rehearsal.context import Handler, Kind
from gcp_rehearsal.errors import ApiError, precondition
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_state import Failure, Wait
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call, Cloud

COLLECTION = "run.projects.locations.jobs.executions"
TASKS = f"{COLLECTION}.tasks"
_STARTS_AFTER = 5.0
_CONDITIONS = ("Completed", "Started", "ResourcesAvailable", "ContainerReady")
_CANCELLED = Failure(message="Execution was cancelled.", execution_reason="CANCELLED")


def make(call: Call, job: StoredResource, template: Mapping[str, Json]) -> StoredResource:
    """Make a new execution of a job by `template`, which is the job's own with what the caller overrides."""
    short = f"{job.id}-{call.cloud.uuid()[:5]}"
    count = template["taskCount"]
    body = {
        **{key: job.body[key] for key in ("launchStage",) if key in job.body},
        **{
            key: template[key]
            for key in ("labels", "annotations", "client", "clientVersion")
            if key in template
        },
        "job": job.id,
        "template": deepcopy(template["template"]),
        "taskCount": count,
        "parallelism": template.get("parallelism") or count,
        "reconciling": True,
        "logUri": _logs(job.name, job.id, short),
    }
    execution = call.cloud.keep(call, f"{job.name}/executions/{short}", COLLECTION, body)
    created(call, execution)
    put_conditions(execution, [condition(call.cloud, kind, BUSY) for kind in _CONDITIONS])
    for index in range(count):
        _make_task(call, execution, index)
    return execution


def start(cloud: Cloud, execution: StoredResource, done: Callable[[ApiError | None], None]) -> None:
    """Run an execution's tasks; `done` is told on the clock how it ended."""
    execution.hidden["done"] = done
    failure = run_start.obstacle(cloud, execution.name, execution.body["template"])

    def begin() -> None:
        if not _is_going(cloud, execution):
            return
        if failure is not None:
            _end(cloud, execution, failure)
            return
        execution.body["startTime"] = cloud.clock.text()
        put_conditions(
            execution, [condition(cloud, kind, GOOD if kind != "Completed" else BUSY) for kind in _CONDITIONS]
        )
        stamp(cloud, execution)
        _next(cloud, execution)

    cloud.clock.after(cloud.takes(_STARTS_AFTER), begin)


def cancel(cloud: Cloud, execution: StoredResource) -> None:
    """Stop what runs of an execution. Raises `ApiError` 400 where it has ended."""
    if "completionTime" in execution.body:
        raise precondition(f"Execution '{execution.id}' has already completed and cannot be cancelled.")
    for task in tasks_of(cloud, execution):
        if "completionTime" not in task.body:
            _end_task(cloud, task, _CANCELLED)
    _end(cloud, execution, _CANCELLED)


def tasks_of(cloud: Cloud, execution: StoredResource) -> list[StoredResource]:
    """Return the tasks of an execution, in their order."""
    tasks = cloud.store.under("run", f"{execution.name}/tasks")
    return sorted(tasks, key=lambda task: int(task.body.get("index", 0)))


def reference(execution: StoredResource) -> JsonObject:
    """Return what a job tells of its newest execution."""
    body = execution.body
    state = next(condition["state"] for condition in body["conditions"] if condition["type"] == "Completed")
    ends = {GOOD: "EXECUTION_SUCCEEDED", BAD: "EXECUTION_FAILED"}.get(state, "EXECUTION_RUNNING")
    if body.get("cancelledCount"):
        ends = "EXECUTION_CANCELLED"
    ref = {"name": execution.id, "createTime": body["createTime"], "completionStatus": ends}
    return {**ref, **{key: body[key] for key in ("completionTime",) if key in body}}


def _make_task(call: Call, execution: StoredResource, index: int) -> None:
    cloud, template = call.cloud, execution.body["template"]
    short = f"{execution.id}-task{index}"
    body = {
        **deepcopy(template),
        "job": execution.body["job"],
        "execution": execution.id,
        "reconciling": True,
        "logUri": execution.body["logUri"],
    }
    if index:
        body["index"] = index
    task = cloud.keep(call, f"{execution.name}/tasks/{short}", TASKS, body)
    created(call, task)
    del task.body["creator"]
    put_conditions(task, [condition(cloud, kind, BUSY) for kind in ("Completed", "Started")])


def _next(cloud: Cloud, execution: StoredResource) -> None:
    """Start as many tasks as may run side by side; where none is left, the execution has ended."""
    tasks = tasks_of(cloud, execution)
    waiting = [task for task in tasks if "startTime" not in task.body]
    running = [task for task in tasks if "startTime" in task.body and "completionTime" not in task.body]
    begun = waiting[: execution.body["parallelism"] - len(running)]
    for task in begun:
        task.body["startTime"] = task.body["scheduledTime"] = cloud.clock.text()
        _attempt(cloud, execution, task)
    _count(cloud, execution)
    if not begun and not running and _is_going(cloud, execution):
        failed = execution.body.get("failedCount", 0)
        count = execution.body["taskCount"]
        text = (
            f"Execution {execution.id} has failed to complete, {count - failed}/{count} tasks were a success."
        )
        _end(
            cloud, execution, Failure(message=text, execution_reason="NON_ZERO_EXIT_CODE") if failed else None
        )


def _attempt(cloud: Cloud, execution: StoredResource, task: StoredResource) -> None:
    body = task.body

    def done(failure: Failure | None) -> None:
        if not _is_going(cloud, execution) or "completionTime" in body:
            return
        run_log.attempt_ended(cloud, execution, task, failure)
        body["lastAttemptResult"] = {"status": {}} if failure is None else {
            "exitCode": failure.code, "status": {"code": 2, "message": failure.message}
        }  # fmt: skip
        if failure is not None and body.get("retried", 0) < body.get("maxRetries", 0):
            body["retried"] = body.get("retried", 0) + 1
            _attempt(cloud, execution, task)
            return
        _end_task(cloud, task, failure)
        _next(cloud, execution)

    def first() -> None:
        Wait(
            ask=lambda waited: cloud.containers.task(body, waited),
            done=done,
            after=cloud.clock.after,
            takes=cloud.takes,
            deadline=seconds(body["timeout"]),
            late=Failure(message="The configured timeout was reached.", code=0),
        )()

    cloud.clock.after(0.0, first)


def _end_task(cloud: Cloud, task: StoredResource, failure: Failure | None) -> None:
    task.body.pop("reconciling", None)
    task.body["completionTime"] = task.body["updateTime"] = cloud.clock.text()
    task.body["observedGeneration"] = task.body["generation"]
    task.hidden["failure"] = failure
    put_conditions(
        task,
        [condition(cloud, "Completed", BAD if failure else GOOD, failure), condition(cloud, "Started", GOOD)],
    )
    stamp(cloud, task)
    cloud.containers.stop(task.name)


def _end(cloud: Cloud, execution: StoredResource, failure: Failure | None) -> None:
    _count(cloud, execution)
    body = execution.body
    body.pop("reconciling", None)
    body["completionTime"] = body["updateTime"] = cloud.clock.text()
    body["observedGeneration"] = body["generation"]
    started = "startTime" in body
    states = (
        {"Completed": BAD if failure else GOOD} if started else dict.fromkeys(("Completed", "Started"), BAD)
    )
    put_conditions(
        execution,
        [
            condition(cloud, kind, states.get(kind, GOOD), failure if kind in states else None)
            for kind in _CONDITIONS
        ],
    )
    stamp(cloud, execution)
    execution.hidden["done"](_as_error(failure))


def _as_error(failure: Failure | None) -> ApiError | None:
    if failure is None:
        return None
    if failure.execution_reason == "CANCELLED":
        return ApiError(499, failure.message)
    return precondition(failure.message)


def _count(cloud: Cloud, execution: StoredResource) -> None:
    ends = {"succeededCount": 0, "failedCount": 0, "cancelledCount": 0, "runningCount": 0, "retriedCount": 0}
    for task in tasks_of(cloud, execution):
        ends["retriedCount"] += 1 if task.body.get("retried") else 0
        if "completionTime" in task.body:
            failure = task.hidden["failure"]
            cancelled = failure is not None and failure.execution_reason == "CANCELLED"
            ends[
                "succeededCount" if failure is None else "cancelledCount" if cancelled else "failedCount"
            ] += 1
        elif "startTime" in task.body:
            ends["runningCount"] += 1
    for key, count in ends.items():
        execution.body.pop(key, None)
        if count:
            execution.body[key] = count


def _is_going(cloud: Cloud, execution: StoredResource) -> bool:
    return cloud.store.get("run", execution.name) is execution and "completionTime" not in execution.body


def _cancel(call: Call) -> Json:
    execution = generic.existing(call)
    check_etag(execution, call.body.get("etag"))
    if call.validate_only:
        return at_once(call, execution, "Execution")
    cancel(call.cloud, execution)
    return at_once(call, execution, "Execution")


def _delete(call: Call) -> Json:
    execution = generic.existing(call)
    check_etag(execution, call.query.get("etag"))
    if call.validate_only:
        return at_once(call, execution, "Execution")
    if _is_going(call.cloud, execution):
        cancel(call.cloud, execution)
    execution.body["deleteTime"] = call.cloud.clock.text()
    op = operation(call, execution, "Execution")
    call.cloud.forget(execution)
    ended(op, execution.body, "Execution")
    return op.body


def _list(call: Call) -> Json:
    executions = sorted(call.cloud.store.under("run", call.name), key=lambda execution: -execution.created)
    return generic.page(call, "executions", [execution.body for execution in executions])


def _logs(job: str, short: str, execution: str) -> str:
    project, region, _ = segments(job)
    query = (
        f'resource.type="cloud_run_job"\nresource.labels.job_name="{short}"\n'
        f'labels."run.googleapis.com/execution_name"="{execution}"\nresource.labels.location="{region}"'
    )
    return f"https://console.cloud.google.com/logs/viewer?project={project}&advancedFilter={quote(query, safe='')}"


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.cancel": _cancel,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.list": _list,
}
