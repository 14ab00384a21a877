"""What is written to the logs of services and jobs: by Cloud Run itself, and by containers that really run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.apis.logging.entries import write_log
from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_state import Failure
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_SYSTEM = "run.googleapis.com/varlog/system"
_PROBES = {"httpGet": "HTTP", "grpc": "GRPC"}
_GOOGLES_OWN = 240
"""The period, in seconds, of the probe that Google sets where nobody sets one."""


def revision_settled(cloud: Cloud, revision: StoredResource, failure: Failure | None) -> None:
    """Log a line about a revision that has started, or could not."""
    if failure is None:
        instance_started(cloud, revision.body)
        return
    project, _, _ = segments(revision.name)
    resource = _resource(revision.body)
    write_log(cloud, project, _SYSTEM, resource, failure.message, also={"severity": "ERROR"})


def instance_started(cloud: Cloud, revision: Mapping[str, Json]) -> None:
    """Log a line for each container of an instance that has a startup probe, which has succeeded."""
    project, _, _ = segments(revision["name"])
    serving = next(
        (container for container in revision["containers"] if container.get("ports")),
        revision["containers"][0],
    )
    for container in revision["containers"]:
        probe = container.get("startupProbe", {})
        if not probe and container is not serving:
            continue
        title = f"{container.get('name') or 'placeholder'}-1"
        kind = next((kind for key, kind in _PROBES.items() if key in probe), "TCP")
        target = probe.get("httpGet") or probe.get("tcpSocket") or {}
        port = target.get("port") or (container.get("ports") or [{}])[0].get("containerPort", 8080)
        line = f'STARTUP {kind} probe succeeded after 1 attempt for container "{title}" on port {port}.'
        if probe.get("periodSeconds", _GOOGLES_OWN) == _GOOGLES_OWN:
            line = f"Default {line}"
        write_log(cloud, project, _SYSTEM, _resource(revision), line, also={"severity": "INFO"})


def instance_failed(cloud: Cloud, revision: Mapping[str, Json], line: str) -> None:
    """Log a line of Cloud Run's own about an instance that it has shut down."""
    project, _, _ = segments(revision["name"])
    write_log(cloud, project, _SYSTEM, _resource(revision), line, also={"severity": "ERROR"})


def container_left_out(cloud: Cloud, revision: Mapping[str, Json], container: str) -> None:
    """Log a line, the rehearsal's own, about a container that does not run here."""
    project, _, _ = segments(revision["name"])
    line = f'The container "{container}" is not run here: no build of this rehearsal has made its image.'
    write_log(cloud, project, _SYSTEM, _resource(revision), line, also={"severity": "WARNING"})


def log_container_line(
    cloud: Cloud, revision: Mapping[str, Any], line: str, *, container: str
) -> None:  # Any: JSON
    """Log a line of a container's output, with its name where it has one. Both of its outputs are one here."""
    project, _, _ = segments(revision["name"])
    labels = {"container_name": container} if container else {}
    labels |= _of_task(revision) if "execution" in revision else {}
    also = {"labels": labels} if labels else {}
    write_log(cloud, project, "run.googleapis.com/stderr", _resource(revision), line, also=also)


def _resource(revision: Mapping[str, Json]) -> JsonObject:
    _, region, name = segments(revision["name"])
    if "execution" in revision:
        return _job(revision["job"], region)
    service = revision["service"]
    labels = {
        "configuration_name": service,
        "location": region,
        "revision_name": name,
        "service_name": service,
    }
    return {"type": "cloud_run_revision", "labels": labels}


def _job(job: str, region: str) -> JsonObject:
    return {"type": "cloud_run_job", "labels": {"job_name": job, "location": region}}


def _of_task(task: Mapping[str, Json]) -> dict[str, str]:
    return {
        "run.googleapis.com/execution_name": str(task["execution"]),
        "run.googleapis.com/task_attempt": str(task.get("retried", 0)),
        "run.googleapis.com/task_index": str(task.get("index", 0)),
    }


def attempt_ended(
    cloud: Cloud, execution: StoredResource, task: StoredResource, failure: Failure | None
) -> None:
    """Log a line about an attempt of a task."""
    project, region, _ = segments(execution.name)
    line = f"Container called exit({failure.code if failure else 0})."
    labels = _of_task(task.body)
    write_log(
        cloud,
        project,
        _SYSTEM,
        _job(execution.body["job"], region),
        failure.message if failure and not failure.code else line,
        also={"severity": "WARNING" if failure else "INFO", "labels": labels},
    )
