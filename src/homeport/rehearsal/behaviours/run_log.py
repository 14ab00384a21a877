"""What Cloud Run itself writes to the logs of services and jobs. What their containers say is not known here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.rehearsal.behaviours.logs import write_log
from homeport.rehearsal.behaviours.run_state import segments
from homeport.rehearsal.containers import Failure
from homeport.rehearsal.store import Kept

if TYPE_CHECKING:
    from homeport.rehearsal.cloud import Cloud

_SYSTEM = "run.googleapis.com/varlog/system"
_PROBES = {"httpGet": "HTTP", "grpc": "GRPC"}
_GOOGLES_OWN = 240
"""The period, in seconds, of the probe that Google sets where nobody sets one."""


def revision_settled(cloud: Cloud, revision: Kept, failure: Failure | None) -> None:
    """One line about a revision that has started, or could not."""
    project, region, name = segments(revision.name)
    service = revision.body["service"]
    labels = {
        "configuration_name": service,
        "location": region,
        "revision_name": name,
        "service_name": service,
    }
    container = next(
        (one for one in revision.body["containers"] if one.get("ports")), revision.body["containers"][0]
    )
    port = (container.get("ports") or [{}])[0].get("containerPort", 8080)
    title = f"{container.get('name') or 'placeholder'}-1"
    probe = container.get("startupProbe", {})
    kind = next((kind for key, kind in _PROBES.items() if key in probe), "TCP")
    line = f'STARTUP {kind} probe succeeded after 1 attempt for container "{title}" on port {port}.'
    if probe.get("periodSeconds", _GOOGLES_OWN) == _GOOGLES_OWN:
        line = f"Default {line}"
    write_log(
        cloud,
        project,
        _SYSTEM,
        {"type": "cloud_run_revision", "labels": labels},
        failure.message if failure else line,
        also={"severity": "ERROR" if failure else "INFO"},
    )


def attempt_ended(cloud: Cloud, execution: Kept, task: Kept, failure: Failure | None) -> None:
    """One line about an attempt of a task."""
    project, region, _ = segments(execution.name)
    line = f"Container called exit({failure.code if failure else 0})."
    labels = {
        "run.googleapis.com/execution_name": execution.id,
        "run.googleapis.com/task_attempt": str(task.body.get("retried", 0)),
        "run.googleapis.com/task_index": str(task.body.get("index", 0)),
    }
    write_log(
        cloud,
        project,
        _SYSTEM,
        {"type": "cloud_run_job", "labels": {"job_name": execution.body["job"], "location": region}},
        failure.message if failure and not failure.code else line,
        also={"severity": "WARNING" if failure else "INFO", "labels": labels},
    )
