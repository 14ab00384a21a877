"""Roles: the predefined ones, and those that a project makes itself."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, aborted, exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.iam.permissions import is_known, permissions_of, roles
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

COLLECTION = "iam.projects.roles"
_ID = re.compile(r"[a-zA-Z0-9_.]{3,64}")
_KEPT_S = 7 * 86400.0
"""How long a deleted role can be taken back: https://cloud.google.com/iam/docs/creating-custom-roles"""
_WRITTEN = ("title", "description", "includedPermissions", "stage")


def _create(call: Call) -> Json:
    key = str(call.body.get("roleId") or "")
    if not _ID.fullmatch(key):
        raise invalid(
            f"The role name must be in the form projects/{{PROJECT_ID}}/roles/{{ROLE_NAME}}, and is {key!r}."
        )
    name = f"projects/{call.project}/roles/{key}"
    role = call.cloud.store.get("iam", name)
    if role is not None and role.body.get("deleted"):
        raise precondition(
            f"You can't create a role with role_id ({key}) where there is an existing role with that role_id in a deleted "
            "state."
        )
    if role is not None:
        raise exists(f"A role named {key} in {call.project} already exists.")
    body = {"name": name, **_written(call.body.get("role", {})), "etag": "BwAA0001"}
    return call.cloud.keep(call, name, COLLECTION, body).body


def _written(role: Mapping[str, Json]) -> JsonObject:
    wrong = [permission for permission in role.get("includedPermissions", ()) if not is_known(permission)]
    if wrong:
        raise unimplemented(f"permission {wrong[0]}, which none of the roles that it knows has")
    return {key: role[key] for key in _WRITTEN if key in role}


def _get(call: Call) -> Json:
    return _own(call).body


def _list(call: Call) -> Json:
    return generic.page(
        call,
        "roles",
        [
            role.body
            for role in call.cloud.store.of("iam", COLLECTION)
            if role.project == call.project
            and (call.query.get("showDeleted") or not role.body.get("deleted"))
        ],
    )


def _patch(call: Call) -> Json:
    role = _alive(call)
    sent = _written(call.body)
    fields = call.mask or list(sent)
    role.version += 1
    role.body |= {key: sent[key] for key in fields if key in sent} | {"etag": f"BwAA{role.version + 1:04d}"}
    return role.body


def _delete(call: Call) -> Json:
    role = _alive(call)
    role.version += 1
    role.body |= {"deleted": True, "etag": f"BwAA{role.version + 1:04d}"}

    def gone() -> None:
        if role.body.get("deleted") and call.cloud.store.get("iam", role.name) is role:
            call.cloud.forget(role)

    call.cloud.clock.after(_KEPT_S, gone)
    return role.body


def _undelete(call: Call) -> Json:
    role = _own(call)
    if not role.body.get("deleted"):
        raise precondition(f"The role {role.id} is not deleted.")
    if call.body.get("etag") not in {None, "", role.body["etag"]}:
        raise aborted("There were concurrent changes of the role. Please retry the whole read-modify-write.")
    role.version += 1
    role.body = {key: value for key, value in role.body.items() if key != "deleted"}
    role.body["etag"] = f"BwAA{role.version + 1:04d}"
    return role.body


def _alive(call: Call) -> StoredResource:
    role = _own(call)
    if role.body.get("deleted"):
        raise precondition(f"You can't change the role {role.id}, which is deleted.")
    return role


def _own(call: Call) -> StoredResource:
    role = call.cloud.store.get("iam", call.name)
    if role is None:
        raise not_found(f"The role named {call.name} was not found.")
    return role


def _role(call: Call) -> Json:
    if permissions_of(call.name) is None:
        raise unimplemented(f"the role {call.name}, which Google may have")
    return _as_role(call.name, full=True)


def _roles(call: Call) -> Json:
    full = call.query.get("view") == "FULL"
    return generic.page(call, "roles", [_as_role(name, full=full) for name in roles()])


def _as_role(name: str, *, full: bool) -> JsonObject:
    role = {"name": name, "title": name.removeprefix("roles/"), "stage": "GA", "etag": "AA=="}
    return {**role, "includedPermissions": sorted(permissions_of(name) or ())} if full else role


def _not_rehearsed(call: Call) -> Json:
    raise ApiError(
        501, "the rehearsal knows predefined roles and those of projects: docs/rehearsal.md has the table"
    )


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.get": _get,
    f"{COLLECTION}.list": _list,
    f"{COLLECTION}.patch": _patch,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.undelete": _undelete,
    "iam.roles.get": _role,
    "iam.roles.list": _roles,
    **{
        f"iam.organizations.roles.{verb}": _not_rehearsed
        for verb in ("create", "get", "list", "patch", "delete", "undelete")
    },
}
