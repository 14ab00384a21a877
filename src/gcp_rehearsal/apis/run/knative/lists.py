"""How Knative's API finds and lists things: by namespace and region, by labels, page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.run.knative.status import regions_of, selected
from gcp_rehearsal.errors import invalid, not_found
from gcp_rehearsal.generic import missing_in_run
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call

Made = JsonObject

_PATHS = {
    "services": "services", "configurations": "services", "routes": "services", "revisions": "services/-/revisions",
    "jobs": "jobs", "executions": "jobs/-/executions", "tasks": "jobs/-/executions/-/tasks",
}  # fmt: skip
"""Where the store keeps what a collection of Knative's shows."""


def parent(call: Call) -> str:
    """Return project and region of a request, as the store has them: `projects/p/locations/r`."""
    return f"projects/{call.project}/locations/{regions_of(call)}"


def name_of(call: Call, collection: str, short: str) -> str:
    """Return the name in the store of a service or job. Raises `ApiError` 400 where the request tells no region."""
    if regions_of(call) == "-":
        raise invalid("Only list calls are supported at the global endpoint: use that of a region.")
    return f"{parent(call)}/{collection}/{short}"


def found(call: Call, collection: str) -> StoredResource:
    """Return the thing that a request names. Raises `ApiError` 404 where there is none."""
    short = call.name.rpartition("/")[2]
    for resource in _under(call, collection):
        if resource.id == short:
            return resource
    raise not_found(missing_in_run(name_of(call, collection, short)))


def listed(call: Call, collection: str, kind: str, show: Callable[[Call, StoredResource], Made]) -> Made:
    """Return one page of a list, of the things that the selector lets through, the newest first."""
    selector = call.query.get("labelSelector") or ""
    shown = [
        show(call, resource)
        for resource in sorted(_under(call, collection), key=lambda resource: -resource.created)
    ]
    items = [manifest for manifest in shown if selected(selector, manifest["metadata"].get("labels", {}))]
    begin, size = call.query.get("continue") or "0", call.query.get("limit") or 500
    if not begin.isdigit() or size < 0:
        raise invalid("Invalid continue token or limit.")
    end = int(begin) + size
    version = "apis" if collection in {"jobs", "executions", "tasks"} else "serving"
    group = "run.googleapis.com/v1" if version == "apis" else "serving.knative.dev/v1"
    body: Made = {"kind": f"{kind}List", "apiVersion": group, "metadata": {}}
    if items[int(begin) : end]:
        body["items"] = items[int(begin) : end]
    if end < len(items):
        body["metadata"]["continue"] = str(end)
    return body


def success(kept: StoredResource, group: str, kind: str) -> Made:
    """Return what a delete answers."""
    return {
        "status": "Success",
        "details": {"name": kept.id, "group": group, "kind": kind, "uid": kept.body["uid"]},
    }


def _under(call: Call, collection: str) -> list[StoredResource]:
    return list(call.cloud.store.under("run", f"{parent(call)}/{_PATHS[collection]}"))


def is_dry(call: Call) -> bool:
    """Return True if only the checks are asked for. Raises `ApiError` 400 for a wish that is not known."""
    wish = call.query.get("dryRun") or ""
    if wish not in {"", "all"}:
        raise invalid(f"Invalid value for dryRun: '{wish}'. Valid values are: all")
    return bool(wish)


def check_kind(body: Mapping[str, Json], group: str, kind: str) -> None:
    """Raise `ApiError` 400 for an object of another kind."""
    for key, want in (("apiVersion", f"{group}/v1"), ("kind", kind)):
        if body.get(key, want) != want:
            raise invalid(
                f"{key}: Invalid value '{body[key]}': must be '{want}'.", (key, f"must be '{want}'")
            )
