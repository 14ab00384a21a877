"""What services, revisions, jobs and executions of Cloud Run have alike: stamps, conditions, operations, errors."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gcp_rehearsal import operations
from gcp_rehearsal.errors import ApiError, aborted, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.runtime.container_state import Failure
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Call, Cloud

GOOD, BAD, BUSY = "CONDITION_SUCCEEDED", "CONDITION_FAILED", "CONDITION_RECONCILING"


@dataclass(slots=True)
class Wrong:
    """What is wrong with a body: paths in snake case, as Google writes them, and why."""

    found: list[tuple[str, str]] = field(default_factory=list)

    def say(self, path: str, why: str) -> None:
        """Add one thing."""
        self.found.append((path, why))

    def check(self) -> None:
        """Raise `ApiError` 400 with everything at once."""
        if self.found:
            raise invalid("\n".join(f"{path}: {why}" for path, why in self.found), *self.found)


def segments(name: str) -> tuple[str, str, str]:
    """Return project, region and last part of a name."""
    parts = name.split("/")
    return parts[1], parts[3], parts[-1]


def number_of(cloud: Cloud, project: str) -> str:
    """Return the number of a project."""
    known = cloud.project(project)
    return known.number if known else project


def created(call: Call, kept: StoredResource) -> None:
    """Set what Google sets on anything new."""
    now = call.cloud.clock.text()
    kept.body |= {
        "name": kept.name,
        "uid": call.cloud.uuid(),
        "generation": "1",
        "createTime": now,
        "updateTime": now,
        "creator": call.caller.email,
    }
    stamp(call.cloud, kept)


def stamp(cloud: Cloud, kept: StoredResource) -> None:
    """Give a thing a new version: whatever is written, by the user or by Google, changes its etag."""
    version = max(int(cloud.clock.now() * 1e6), kept.hidden.get("version", 0) + 1)
    kept.hidden["version"] = version
    kept.body["etag"] = f'"{_encoded(version, kept.name)}"'


def check_etag(kept: StoredResource, etag: str | None) -> None:
    """Raise `ApiError` 409 where the caller means another version of a thing than there is."""
    if etag and etag != kept.body["etag"]:
        raise conflict(kept, _version_of(etag))


def conflict(kept: StoredResource, version: str) -> ApiError:
    """Return the 409 that says that the thing has changed since that version."""
    now = kept.hidden["version"]
    return aborted(
        f"Conflict for resource '{kept.id}': version '{version}' was specified but current version is '{now}'."
    )


def operation(call: Call, kept: StoredResource, kind: str) -> StoredResource:
    """Return an operation on a thing, whose metadata is that thing as it is now."""
    return operations.pending(call, kept.name, typed(kept.body, kind))


def ended(op: StoredResource, came: Mapping[str, Json] | ApiError, kind: str) -> None:
    """End an operation with the thing as it has become."""
    if isinstance(came, ApiError):
        operations.conclude(op, came)
        return
    op.body["metadata"] = typed(came, kind)
    operations.conclude(op, typed(came, kind))


def typed(body: Mapping[str, Json], kind: str) -> JsonObject:
    """Return a copy of a thing, as it lies in an Any."""
    return {"@type": f"type.googleapis.com/google.cloud.run.v2.{kind}", **deepcopy(dict(body))}


def at_once(call: Call, kept: StoredResource, kind: str) -> JsonObject:
    """Return an operation that is done already: only the checks were asked for."""
    op = operation(call, kept, kind)
    ended(op, kept.body, kind)
    return op.body


def condition(cloud: Cloud, kind: str, state: str, failure: Failure | None = None) -> JsonObject:
    """Return one condition, as of now."""
    fields: dict[str, Any] = {
        "type": kind,
        "state": state,
        "lastTransitionTime": cloud.clock.text(),
    }  # Any: JSON
    if failure is not None:
        fields["message"] = failure.message
        fields |= {"reason": failure.reason} if failure.reason else {}
        fields |= {"revisionReason": failure.revision_reason} if failure.revision_reason else {}
        fields |= {"executionReason": failure.execution_reason} if failure.execution_reason else {}
    return fields


def put_conditions(kept: StoredResource, conditions: Sequence[Mapping[str, Json]]) -> None:
    """Set conditions; those whose state stays as it was keep their time."""
    before = {condition["type"]: condition for condition in kept.body.get("conditions", ())}
    kept.body["conditions"] = [
        _continued(before.get(condition["type"]), condition) for condition in conditions
    ]


def _continued(before: Mapping[str, Json] | None, now: Mapping[str, Json]) -> JsonObject:
    if before is None or {**before, "lastTransitionTime": ""} != {**now, "lastTransitionTime": ""}:
        return dict(now)
    return dict(before)


def _encoded(version: int, name: str) -> str:
    raw = b"\x08" + version.to_bytes(8, "big") + f"/{name}".encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _version_of(etag: str) -> str:
    text = etag.strip('"')
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return etag
    return str(int.from_bytes(raw[1:9], "big")) if raw[:1] == b"\x08" else etag
