"""Jobs, executions and tasks in Knative's form, there and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run import executions, jobs
from gcp_rehearsal.apis.run.knative import annotations as notes
from gcp_rehearsal.apis.run.knative.containers import Aliases, containers_to_v2, pick
from gcp_rehearsal.apis.run.knative.lists import check_kind, found, is_dry, listed, name_of, success
from gcp_rehearsal.apis.run.knative.services import refuse_unknown, task_to_v1, task_to_v2, users_labels
from gcp_rehearsal.apis.run.knative.status import check_version, conditions, metadata
from gcp_rehearsal.apis.run.status import Wrong, segments
from gcp_rehearsal.context import Handler
from gcp_rehearsal.errors import exists, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

Body = Mapping[str, Json]
Made = JsonObject

GROUP = "run.googleapis.com"
_VERSION = f"{GROUP}/v1"
_SPEC = frozenset(("template", "taskCount", "parallelism", "delayExecution"))
_STATES = {"True": "Succeeded", "False": "Failed"}


def job_to_v1(body: Body) -> tuple[Made, Made]:
    """Return what a job's user has said, as Knative has it: metadata and spec."""
    annotations = {**body.get("annotations", {}), **notes.to_v1(notes.JOB, body)}
    execution = body["template"]
    of_task, task = task_to_v1(execution.get("template", {}))
    of_execution = {**execution.get("annotations", {}), **notes.to_v1(notes.EXECUTION, execution), **of_task}
    template = {
        "metadata": {**_labels(execution), **({"annotations": of_execution} if of_execution else {})},
        "spec": {**pick(execution, "taskCount", "parallelism"), "template": {"spec": task}},
    }
    return {**_labels(body), **({"annotations": annotations} if annotations else {})}, {"template": template}


def job_to_v2(v1: Body, wrong: Wrong) -> Made:
    """
    Return a job of the v2 API that says what a Knative job says; `wrong` gets what Cloud Run would not take.

    Raises `ApiError` 501 for what the rehearsal does not act out.
    """
    own, execution = v1.get("metadata", {}), v1.get("spec", {}).get("template", {})
    refuse_unknown(v1.get("spec", {}), frozenset(("template",)))
    body: Made = {"launchStage": "GA"}
    _set_own(body, own, notes.users(own.get("annotations", {}), "Job", wrong))
    notes.to_v2(notes.JOB, own.get("annotations", {}), body, wrong)
    inner, spec = execution.get("metadata", {}), execution.get("spec", {})
    refuse_unknown(spec, _SPEC - {"delayExecution"})
    annotations = inner.get("annotations", {})
    template: Made = pick(spec, "taskCount", "parallelism")
    _set_own(template, inner, notes.users(annotations, "Execution", wrong))
    notes.to_v2(notes.EXECUTION, annotations, template, wrong)
    template["template"] = task_to_v2(spec.get("template", {}).get("spec", {}), annotations, wrong)
    body["template"] = template
    return body


def _show_job(call: Call, job: StoredResource) -> Made:
    own, spec = job_to_v1(job.body)
    meta = _metadata(call, job, "jobs", own)
    body = job.body
    last = body.get("latestCreatedExecution") or {}
    names = {"name": "name", "createTime": "creationTimestamp", "completionTime": "completionTimestamp",
             "completionStatus": "completionStatus"}  # fmt: skip
    status = {
        "observedGeneration": int(body["observedGeneration"]),
        "conditions": conditions(body["conditions"], first=body["terminalCondition"]),
        "executionCount": body.get("executionCount", 0),
    }
    if last:
        status["latestCreatedExecution"] = {new: last[old] for old, new in names.items() if old in last}
    return {"apiVersion": _VERSION, "kind": "Job", "metadata": meta, "spec": spec, "status": status}


def _show_execution(call: Call, execution: StoredResource) -> Made:
    body = execution.body
    of_task, task = task_to_v1(body["template"])
    own = {**body.get("annotations", {}), **notes.to_v1(notes.EXECUTION, body), **of_task}
    meta = _metadata(call, execution, "executions", {**_labels(body), "annotations": own})
    meta["labels"] |= {f"{GROUP}/job": body["job"], f"{GROUP}/jobUid": _uid(call, execution, "/executions/")}
    status = {
        **pick(body, "startTime", "completionTime", "succeededCount", "failedCount", "cancelledCount", "runningCount",
               "retriedCount", "logUri"),
        "observedGeneration": int(body.get("observedGeneration") or body["generation"]),
        "conditions": conditions(body["conditions"]),
    }  # fmt: skip
    spec = {**pick(body, "taskCount", "parallelism"), "template": {"spec": task}}
    return {"apiVersion": _VERSION, "kind": "Execution", "metadata": meta, "spec": spec, "status": status}


def _show_task(call: Call, stored: StoredResource) -> Made:
    body = stored.body
    of_task, task = task_to_v1(body)
    meta = _metadata(call, stored, "tasks", {"annotations": of_task})
    task_conditions = conditions(body["conditions"])
    running = "Running" if "startTime" in body else "Pending"
    meta["labels"] |= {
        f"{GROUP}/job": body["job"],
        f"{GROUP}/execution": body["execution"],
        f"{GROUP}/taskIndex": str(body.get("index", 0)),
        f"{GROUP}/runningState": _STATES.get(task_conditions[0]["status"], running),
    }
    status = {
        **pick(body, "startTime", "completionTime", "retried", "lastAttemptResult", "logUri"),
        "index": body.get("index", 0),
        "observedGeneration": int(body.get("observedGeneration") or body["generation"]),
        "conditions": task_conditions,
    }
    return {"apiVersion": _VERSION, "kind": "Task", "metadata": meta, "spec": task, "status": status}


def _create(call: Call) -> Json:
    short = call.body.get("metadata", {}).get("name", "")
    name = name_of(call, "jobs", short)
    if call.cloud.store.get("run", name) is not None:
        raise exists(f"Resource '{short}' already exists.")
    return _put(call, name)


def _replace(call: Call) -> Json:
    job = found(call, "jobs")
    sent = call.body.get("metadata", {})
    if sent.get("name", job.id) != job.id:
        raise invalid("metadata.name: must be that of the path.")
    check_version(job, sent.get("resourceVersion"))
    return _put(call, job.name)


def _put(call: Call, name: str) -> Made:
    check_kind(call.body, GROUP, "Job")
    wrong = Wrong()
    body = job_to_v2(call.body, wrong)
    wrong.check()
    op = jobs.put(call, name, body, dry=is_dry(call))
    job = call.cloud.store.get("run", name)
    if job is None or is_dry(call):
        job = StoredResource(api="run", name=name, collection=jobs.COLLECTION, project=call.project, body=op.body["metadata"],
                    hidden={"version": job.hidden["version"] if job else 0})  # fmt: skip
        job.body.setdefault("observedGeneration", job.body["generation"])
        job.body.setdefault("conditions", [])
        job.body.setdefault("terminalCondition", None)
    return _show_job(call, job)


def _run(call: Call) -> Json:
    job = found(call, "jobs")
    sent = call.body.get("overrides", {})
    overrides = pick(sent, "taskCount")
    if sent.get("timeoutSeconds"):
        overrides["timeout"] = f"{sent['timeoutSeconds']}s"
    if sent.get("containerOverrides"):
        aliases = Aliases()
        overrides["containerOverrides"] = [
            {
                **pick(override, "name", "args", "clearArgs"),
                **pick(containers_to_v2([pick(override, "env")], aliases)[0], "env"),
            }
            for override in sent["containerOverrides"]
        ]
    return _show_execution(call, jobs.run(call, job, overrides)[0])


def _delete(call: Call) -> Json:
    job = found(call, "jobs")
    if not is_dry(call):
        jobs.remove(call, job)
    return success(job, GROUP, "jobs")


def _cancel(call: Call) -> Json:
    execution = found(call, "executions")
    executions.cancel(call.cloud, execution)
    return _show_execution(call, execution)


def _delete_execution(call: Call) -> Json:
    execution = found(call, "executions")
    if "completionTime" not in execution.body:
        executions.cancel(call.cloud, execution)
    call.cloud.forget(execution)
    return success(execution, GROUP, "executions")


def _metadata(call: Call, resource: StoredResource, plural: str, own: Body) -> Made:
    meta = metadata(call.cloud, resource, GROUP, plural)
    annotations = {
        f"{GROUP}/{key}": resource.body[key] for key in ("creator", "lastModifier") if key in resource.body
    }
    labels = {**own.get("labels", {}), **meta["labels"]}
    return {**meta, "labels": labels, "annotations": {**own.get("annotations", {}), **annotations}}


def _uid(call: Call, resource: StoredResource, before: str) -> str:
    above = call.cloud.store.get("run", resource.name.partition(before)[0])
    return str(above.body["uid"]) if above else segments(resource.name)[2]


def _set_own(body: Made, sent: Body, annotations: Mapping[str, str]) -> None:
    labels = users_labels(sent)
    body |= {"labels": labels} if labels else {}
    body |= {"annotations": dict(annotations)} if annotations else {}


def _labels(body: Body) -> Made:
    return {"labels": dict(body["labels"])} if body.get("labels") else {}


HANDLERS: Mapping[str, Handler] = {
    "jobs.create": _create,
    "jobs.replaceJob": _replace,
    "jobs.get": lambda call: _show_job(call, found(call, "jobs")),
    "jobs.list": lambda call: listed(call, "jobs", "Job", _show_job),
    "jobs.delete": _delete,
    "jobs.run": _run,
    "executions.get": lambda call: _show_execution(call, found(call, "executions")),
    "executions.list": lambda call: listed(call, "executions", "Execution", _show_execution),
    "executions.cancel": _cancel,
    "executions.delete": _delete_execution,
    "tasks.get": lambda call: _show_task(call, found(call, "tasks")),
    "tasks.list": lambda call: listed(call, "tasks", "Task", _show_task),
}
"""By collection and action, of the namespaces' methods."""
