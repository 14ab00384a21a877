"""Projects as they are told of: what they are, whether they are billed, what their organisation forbids."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject

if TYPE_CHECKING:
    from gcp_rehearsal.settings import Project
    from gcp_rehearsal.state import StoredResource

BILLING_ACCOUNT = "billingAccounts/012345-6789AB-CDEF01"
"""Of every project that has one."""
_CREATED = "2026-01-01T00:00:00.000Z"


def _get(call: Call) -> Json:
    return _project_body(call, _project(call))


def _search(call: Call) -> Json:
    """Return those that the caller may see."""
    permission = "resourcemanager.projects.get"
    visible = [
        _project_body(call, project)
        for project in call.cloud.projects
        if call.cloud.access.held(
            call.caller, [permission], "cloudresourcemanager", f"projects/{project.id}", project.id
        )
    ]
    return generic.page(call, "projects", visible)


def _billing(call: Call) -> Json:
    project = _project(call)
    return {
        "name": f"projects/{project.id}/billingInfo",
        "projectId": project.id,
        "billingAccountName": BILLING_ACCOUNT if project.billing else "",
        "billingEnabled": project.billing,
    }


def _effective(call: Call) -> Json:
    name = call.name.rpartition("/")[2]
    return {"name": f"projects/{call.project}/policies/{name}", "spec": {"rules": [_rule(call, name)]}}


def _policies(call: Call) -> Json:
    names = [
        "gcp.resourceLocations",
        "iam.allowedPolicyMemberDomains",
        "run.allowedIngress",
        "run.allowedVPCEgress",
        *call.cloud.policies.told,
    ]
    rules = {name: _rule(call, name) for name in names}
    policies = [
        {"name": f"projects/{call.project}/policies/{name}", "spec": {"rules": [rule]}}
        for name, rule in rules.items()
        if rule != _ALL
    ]
    return generic.page(call, "policies", policies)


def _policy(call: Call) -> Json:
    name = call.name.rpartition("/")[2]
    rule = _rule(call, name)
    if rule == _ALL:
        raise not_found(f"Requested entity was not found: {call.name}")
    return {"name": f"projects/{call.project}/policies/{name}", "spec": {"rules": [rule]}}


def _rule(call: Call, name: str) -> JsonObject:
    policies = call.cloud.policies
    if name in policies.told:
        return dict(policies.told[name])
    allowed = {
        "gcp.resourceLocations": [f"in:{region}-locations" for region in sorted(policies.locations)],
        "run.allowedIngress": sorted(policies.ingress),
        "run.allowedVPCEgress": sorted(policies.egress),
        "iam.allowedPolicyMemberDomains": ["C0rehearsal"] if policies.restricts_members else [],
    }.get(name)
    return {"values": {"allowedValues": allowed}} if allowed else _ALL


def _read_only(call: Call) -> Json:
    raise unimplemented(f"{call.method.id}: projects are given when the rehearsal is started")


def _ancestry(call: Call) -> Json:
    """Return the project, and the organization that it is in, where it is in one."""
    project = _project(call)
    own = {"resourceId": {"type": "project", "id": project.id}}
    above = {"resourceId": {"type": "organization", "id": project.organization}}
    return {"ancestor": [own, above] if project.organization else [own]}


def _project(call: Call) -> Project:
    project = call.cloud.project(call.project)
    if project is None:
        raise ApiError(403, f"The caller does not have permission: projects/{call.project}")
    return project


def _project_body(call: Call, project: Project) -> JsonObject:
    if call.document.name.endswith(".v1"):
        parent = (
            {"parent": {"type": "organization", "id": project.organization}} if project.organization else {}
        )
        return {"projectNumber": project.number, "projectId": project.id, "lifecycleState": "ACTIVE",
                "name": project.id, "createTime": _CREATED, **parent}  # fmt: skip
    above = {"parent": f"organizations/{project.organization}"} if project.organization else {}
    return {"name": f"projects/{project.number}", **above, "projectId": project.id, "state": "ACTIVE",
            "displayName": project.id, "createTime": _CREATED, "updateTime": _CREATED, "etag": 'W/"0"'}  # fmt: skip


def _binding(call: Call, body: JsonObject) -> str:
    """Return the name of the binding of a tag: what it is bound to, percent-encoded, and the tag's value."""
    return f"tagBindings/{quote(str(body.get('parent', '')), safe='')}/{body.get('tagValue', '')}"


def _check_binding(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    """Refuse one without what it is bound to or the tag's value. Raises `ApiError`."""
    if body.get("tagValueNamespacedName") and not body.get("tagValue"):
        raise unimplemented(
            "tags that are bound by the name of their value: there are no tags' values to find it among"
        )
    for field, begins in (("parent", "//"), ("tagValue", "tagValues/")):
        value = str(body.get(field) or "")
        if not value.startswith(begins) or value == begins:
            raise invalid(
                "Request contains an invalid argument.", (f"tag_binding.{field}", f"must begin with {begins}")
            )


_ALL = {"allowAll": True}
_OF_PROJECTS = "cloudresourcemanager.projects"
_OF_POLICIES = "orgpolicy.projects.policies"
KINDS: Mapping[str, Kind] = {"cloudresourcemanager.tagBindings": Kind(name=_binding, prepare=_check_binding)}
HANDLERS: Mapping[str, Handler] = {
    f"{_OF_PROJECTS}.get": _get,
    f"{_OF_PROJECTS}.list": _search,
    f"{_OF_PROJECTS}.search": _search,
    f"{_OF_PROJECTS}.getAncestry": _ancestry,
    **{
        f"{_OF_PROJECTS}.{verb}": _read_only
        for verb in ("create", "delete", "patch", "update", "undelete", "move")
    },
    "cloudbilling.projects.getBillingInfo": _billing,
    f"{_OF_POLICIES}.getEffectivePolicy": _effective,
    f"{_OF_POLICIES}.get": _policy,
    f"{_OF_POLICIES}.list": _policies,
    **{f"{_OF_POLICIES}.{verb}": _read_only for verb in ("create", "delete", "patch")},
}
