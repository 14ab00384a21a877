"""Settings of Identity-Aware Proxy, of which one is acted out: the OAuth client of one's own, without which nobody comes in to a project of no organisation."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.iap.web import resource_of
from gcp_rehearsal.bodies import patched, writable
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found, unimplemented
from gcp_rehearsal.iam.access import denied
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_LEVELS = (
    (re.compile(r"projects/[^/]+"), "projects"),
    (re.compile(r"projects/[^/]+/iap_web"), "web"),
    (re.compile(r"projects/[^/]+/iap_web/cloud_run-[a-z0-9-]+"), "webTypes"),
    (re.compile(r"projects/[^/]+/iap_web/cloud_run-[a-z0-9-]+/services/[^/]+"), "webServices"),
)
"""What has settings, and what its permissions are called; each inherits those of the ones before it."""
_COLLECTION = "iap.settings"
_SECRET, _SUM = "clientSecret", "clientSecretSha256"


def has_client(cloud: Cloud, service: StoredResource) -> bool:
    """
    Return True if somebody can log in before a Cloud Run service: by Google's own client, which every organisation has, or by one of
    one's own in the settings of the service, its region, all that is guarded in the project, or the project.
    """
    project = cloud.project(service.project)
    if project is not None and project.organization:
        return True
    parts = resource_of(service.name).split("/")
    levels = ["/".join(parts[:end]) for end in (2, 3, 4, 6)]
    stored = [cloud.store.get("iap", name) for name in levels]
    return any(_client(one.body) for one in stored if one is not None)


def _client(body: Mapping[str, Json]) -> bool:
    """Tell whether settings have a client with its secret."""
    oauth = (body.get("accessSettings") or {}).get("oauthSettings") or {}
    return bool(oauth.get("clientId") and oauth.get(_SUM))


def _get(call: Call) -> Json:
    _ensure_may(call, "getSettings")
    stored = call.cloud.store.get("iap", call.name)
    return stored.body if stored is not None else {"name": call.cloud.by_number(call.name)}


def _update(call: Call) -> Json:
    _ensure_may(call, "updateSettings")
    kept = call.cloud.store.get("iap", call.name)
    told = {"name": call.cloud.by_number(call.name)}
    body = patched(call, kept or _unset(call, told), writable(call), whole=True)
    oauth = (body.get("accessSettings") or {}).get("oauthSettings") or {}
    if _SECRET in oauth:
        oauth[_SUM] = hashlib.sha256(str(oauth.pop(_SECRET)).encode()).hexdigest()
    if bool(oauth.get("clientId")) is not bool(oauth.get(_SUM)):
        raise invalid(
            "Request contains an invalid argument.", ("iap_settings", "one of client ID and secret")
        )
    body.update(told)
    if kept is None:
        return call.cloud.keep(call, call.name, _COLLECTION, body).body
    kept.body = body
    return body


def _unset(call: Call, body: JsonObject) -> StoredResource:
    return StoredResource(api="iap", name=call.name, collection=_COLLECTION, project=call.project, body=body)


def _ensure_may(call: Call, verb: str) -> None:
    """Raise `ApiError` 501 for settings of anything but Cloud Run's and what is above it, 403 for whoever may not, 404 for no such service."""
    kind = next((kind for pattern, kind in _LEVELS if pattern.fullmatch(call.name)), "")
    if not kind:
        raise unimplemented(
            f"{call.method.id} of anything but Cloud Run services and what is above them in a project"
        )
    needed = f"iap.{kind}.{verb}"
    if not call.cloud.access.held(call.caller, [needed], "iap", call.name, call.project):
        raise denied(call, needed)
    if kind == "webServices":
        _, project, _, region, _, name = call.name.split("/")
        region = region.removeprefix("cloud_run-")
        if call.cloud.store.get("run", f"projects/{project}/locations/{region}/services/{name}") is None:
            raise not_found("Requested entity was not found.")


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {"iap.getIapSettings": _get, "iap.updateIapSettings": _update}
