"""Who may come to a Cloud Run service through Identity-Aware Proxy: a policy beside the service's own, which outlasts it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import not_found, unimplemented
from gcp_rehearsal.iam import policy_versions
from gcp_rehearsal.json_types import Json

_SERVICE = re.compile(r"projects/([^/]+)/iap_web/cloud_run-([a-z0-9-]+)/services/([^/]+)")


def resource_of(service: str) -> str:
    """Return what Identity-Aware Proxy calls the Cloud Run service of that full name."""
    _, project, _, region, _, name = service.split("/")
    return f"projects/{project}/iap_web/cloud_run-{region}/services/{name}"


def _checked(call: Call) -> str:
    """Return the resource that a call names. Raises `ApiError` 501 for what is no Cloud Run service, 404 for one that there is not."""
    found = _SERVICE.fullmatch(call.name)
    if found is None:
        raise unimplemented(f"{call.method.id} of anything but a Cloud Run service")
    project, region, name = found.groups()
    if call.cloud.store.get("run", f"projects/{project}/locations/{region}/services/{name}") is None:
        raise not_found("Requested entity was not found.")
    return call.name


def _get(call: Call) -> Json:
    return policy_versions.read(call, call.cloud.access.policy("iap", _checked(call)))


def _set(call: Call) -> Json:
    return call.cloud.access.set_policy("iap", _checked(call), call.body.get("policy", {}))


def _test(call: Call) -> Json:
    permissions = call.body.get("permissions", [])
    held = call.cloud.access.held(call.caller, permissions, "iap", _checked(call), call.project)
    granted = [permission for permission in permissions if permission in held]
    return {"permissions": granted} if granted else {}


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "iap.getIamPolicy": _get,
    "iap.setIamPolicy": _set,
    "iap.testIamPermissions": _test,
}
