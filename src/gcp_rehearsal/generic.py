"""What every collection of Google's does alike: create, get, list, patch, delete, policies."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from gcp_rehearsal import fingerprints, operations
from gcp_rehearsal.bodies import patched, read_only, writable
from gcp_rehearsal.context import PLAIN, Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, aborted, exists, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.filters import matches
from gcp_rehearsal.iam import policy_versions
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_OPERATIONS = frozenset(("ApigatewayOperation", "GoogleLongrunningOperation", "Operation"))
_BESIDE_PROJECTS = frozenset(("organizations", "folders", "billingAccounts", "locations"))
"""What names begin with of things that no project has, such as policies of an organisation and its firewall policies."""
_NOT_IDS = frozenset(("requestId", "clientOperationId", "projectId"))


def handler(call: Call) -> Handler:
    """
    Return what answers a method by its action alone. Raises `ApiError` 501 for an action that means something
    of its own, and for what lies beside projects.
    """
    if call.name.partition("/")[0] in _BESIDE_PROJECTS and call.cloud.kind(call) is PLAIN:
        raise unimplemented(f"{call.method.id}: it has projects alone, and nothing above or beside them")
    action = _ACTIONS.get(call.method.action)
    if action is None:
        raise unimplemented(call.method.id)
    return action


def create(call: Call) -> Json:
    """Make one thing."""
    kind, body = call.cloud.kind(call), writable(call)
    name = kind.name(call, body) or f"{call.name}/{_new_id(call, body)}"
    if call.cloud.store.get(call.api, name) is not None:
        raise exists(already(call, name))
    call.cloud.check_reserved(call, name)
    kind.prepare(call, body, None)
    if call.validate_only:
        return _answer(call, _stamped(call, _unkept(call, name, body)), 0)
    resource = _stamped(call, call.cloud.keep(call, name, call.method.collection, body))
    kind.made(call, resource)
    return _answer(call, resource, kind.seconds)


def get(call: Call) -> Json:
    """Return one thing."""
    resource = existing(call)
    return call.cloud.kind(call).show(call, resource)


def list_(call: Call) -> Json:
    """Return the things of a collection, page by page, those that a filter lets through."""
    kind = call.cloud.kind(call)
    shown = [
        kind.show(call, resource)
        for resource in call.cloud.store.under(call.api, call.name)
        if matches(call.query.get("filter", ""), resource.body)
    ]
    return page(call, _items_key(call), shown)


def page(call: Call, key: str, found: list[Json]) -> JsonObject:
    """Return one page of an answer to a list."""
    size = int(call.query.get("pageSize") or call.query.get("maxResults") or 0) or 500
    if size < 0:
        raise invalid(f"Invalid page size: {size}")
    token = call.query.get("pageToken") or "0"
    if not token.isdigit():
        raise invalid(f"Invalid page token: {token}")
    begin = int(token)
    body: JsonObject = {key: found[begin : begin + size]} if found[begin:] else {}
    properties = call.document.schemas[call.method.response or ""].get("properties", {})
    if "default" in properties.get("kind", {}):
        body["kind"] = properties["kind"]["default"]
    if begin + size < len(found):
        body["nextPageToken"] = str(begin + size)
    return body


def patch(call: Call) -> Json:
    """Change the fields that are named, or those that were sent."""
    resource = call.cloud.store.get(call.api, call.name)
    if resource is None:
        if call.query.get("allowMissing"):
            return _create_at(call)
        raise not_found(missing(call, call.name))
    kind, sent = call.cloud.kind(call), writable(call)
    check_version(call, resource)
    body = patched(call, resource, sent, whole=kind.whole)
    kind.prepare(call, body, resource)
    if call.validate_only:
        return _answer(call, _unkept(call, resource.name, body), 0)
    resource.body = body
    _touched(call, resource)
    kind.made(call, resource)
    return _answer(call, resource, kind.seconds)


def update(call: Call) -> Json:
    """Replace all that can be written (PUT)."""
    resource, kind = existing(call), call.cloud.kind(call)
    check_version(call, resource)
    body = {**read_only(call, resource.body), **writable(call)}
    kind.prepare(call, body, resource)
    resource.body = body
    _touched(call, resource)
    kind.made(call, resource)
    return _answer(call, resource, kind.seconds)


def delete(call: Call) -> Json:
    """Unmake one thing, with all that lies under it."""
    resource = call.cloud.store.get(call.api, call.name)
    kind = call.cloud.kind(call)
    if resource is None:
        if call.query.get("allowMissing"):
            return _answer(call, _unkept(call, call.name, {}), 0)
        raise not_found(missing(call, call.name))
    check_version(call, resource)
    kind.remove(call, resource)
    if call.validate_only:
        return _answer(call, resource, 0)
    call.cloud.forget(resource, reserved=kind.reserved)
    if call.method.response in _OPERATIONS:
        return operations.begin(call, resource.name, call.cloud.takes(kind.seconds), dict)
    return {}


def get_policy(call: Call) -> Json:
    """Return the policy of a thing."""
    _has_policy(call)
    return policy_versions.read(call, call.cloud.access.policy(call.api, call.name))


def set_policy(call: Call) -> Json:
    """Replace the policy of a thing."""
    _has_policy(call)
    policy = call.body.get("policy", {})
    if call.api == "compute" and not policy:  # Its older form, which clients still send.
        policy = {key: call.body[key] for key in ("bindings", "etag") if key in call.body}
    return call.cloud.access.set_policy(call.api, call.name, policy)


def test_permissions(call: Call) -> Json:
    """Return those of the permissions asked about that the caller has, on a thing that need not exist."""
    permissions = call.body.get("permissions", [])
    held = call.cloud.access.held(call.caller, permissions, call.api, call.name, call.project)
    granted = [permission for permission in permissions if permission in held]
    return {"permissions": granted} if granted else {}


def existing(call: Call, name: str = "") -> StoredResource:
    """Return the thing that a call names. Raises `ApiError` 404 where there is none."""
    resource = call.cloud.store.get(call.api, name or call.name)
    if resource is None:
        raise not_found(missing(call, name or call.name))
    return resource


def missing(call: Call, name: str) -> str:
    """Return the words in which an API says that there is no such thing."""
    if call.api == "run" and name.count("/") >= 5:
        return missing_in_run(name)
    if call.api == "compute":
        return f"The resource '{name}' was not found"
    if call.api == "dns":
        word = call.method.collection.rpartition(".")[2].removesuffix("s")
        return f"The 'parameters.{word}' resource named '{name.rpartition('/')[2]}' does not exist."
    if call.api in {"artifactregistry", "cloudbuild"}:
        return "Requested entity was not found."
    if call.api in {"cloudkms", "secretmanager"}:
        return f"{_with_its_kind(call, name)} not found."
    return f"Resource '{name}' was not found"


def missing_in_run(name: str) -> str:
    """Return the words in which Cloud Run says that there is no such thing."""
    _, project, _, region, *_, kind, last = name.split("/")
    word = kind.removesuffix("s").upper()
    return f"Resource '{last}' of kind '{word}' in region '{region}' in project '{project}' does not exist."


def already(call: Call, name: str) -> str:
    """Return the words in which an API says that there is one already."""
    if call.api in {"compute", "dns"}:
        return f"The resource '{name}' already exists"
    if call.method.collection == "artifactregistry.projects.locations.repositories":
        return "the repository already exists"
    if call.api in {"cloudkms", "secretmanager"}:
        return f"{_with_its_kind(call, name)} already exists."
    return f"Resource '{name}' already exists"


def _with_its_kind(call: Call, name: str) -> str:
    if call.api == "secretmanager":
        return f"Secret [{call.cloud.by_number(name)}]"
    kind = name.split("/")[-2].removesuffix("s")
    return f"{kind[:1].upper()}{kind[1:]} {name}"


def check_version(call: Call, kept: StoredResource) -> None:
    """Raise `ApiError` where the caller names an etag or a fingerprint that is not the thing's own."""
    etag = call.query.get("etag") or call.body.get("etag")
    if etag and "etag" in kept.body and etag != kept.body["etag"]:
        if call.api == "secretmanager":
            raise precondition(
                f"The etag provided ({etag}) is not the current one of [{call.cloud.by_number(kept.name)}]."
            )
        raise aborted(
            f"Conflict for resource '{kept.id}': version '{etag}' was specified but current version is "
            f"'{kept.body['etag']}'."
        )
    fingerprint = call.body.get("fingerprint")
    if fingerprint and "fingerprint" in kept.body and fingerprint != kept.body["fingerprint"]:
        raise ApiError(412, "Invalid fingerprint.")


def _create_at(call: Call) -> Json:
    kind, body = call.cloud.kind(call), writable(call)
    call.cloud.check_reserved(call, call.name)
    kind.prepare(call, body, None)
    if call.validate_only:
        return _answer(call, _stamped(call, _unkept(call, call.name, body)), 0)
    resource = _stamped(call, call.cloud.keep(call, call.name, call.method.collection, body))
    kind.made(call, resource)
    return _answer(call, resource, kind.seconds)


def _answer(call: Call, resource: StoredResource, seconds: float) -> Json:
    kind = call.cloud.kind(call)
    if call.method.response not in _OPERATIONS:
        return kind.show(call, resource)

    def finish() -> JsonObject | ApiError:
        if call.cloud.store.get(resource.api, resource.name) is not resource:
            return resource.body  # It was only validated, or has been deleted meanwhile.
        return kind.done(call, resource) or kind.show(call, resource)

    return operations.begin(call, resource.name, call.cloud.takes(seconds), finish)


def _unkept(call: Call, name: str, body: JsonObject) -> StoredResource:
    return StoredResource(
        api=call.api, name=name, collection=call.method.collection, project=call.project, body=body
    )


def _new_id(call: Call, body: Mapping[str, Json]) -> str:
    for name, spec in call.method.parameters.items():
        if spec.get("location") == "query" and name.endswith("Id") and name not in _NOT_IDS:
            return str(call.query.get(name) or call.cloud.number())
    key = body.get("name") or body.get("id") or call.cloud.number()
    return str(key).rpartition("/")[2]


def _stamped(call: Call, resource: StoredResource) -> StoredResource:
    """Set the fields that Google sets on whatever is made, and return it."""
    body = resource.body
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    for key in [key for key, value in body.items() if value is None]:
        del body[key]
    if "default" in properties.get("kind", {}):
        body["kind"] = properties["kind"]["default"]
    if "selfLink" in properties:
        base = (
            "https://www.googleapis.com/compute/v1"
            if call.api == "compute"
            else f"https://www.googleapis.com/{call.method.prefix}"
        )
        body["selfLink"] = f"{base}/{resource.name}"
    if "name" in properties:
        body["name"] = resource.id if call.api in {"compute", "dns", "storage"} else resource.name
    if "id" in properties and "id" not in body:
        body["id"] = call.cloud.number()
    for key in ("createTime", "creationTimestamp", "creationTime"):
        if key in properties:
            body[key] = call.cloud.clock.text()
    if "uid" in properties:
        body["uid"] = call.cloud.uuid()
    _touched(call, resource, first=True)
    return resource


def _touched(call: Call, resource: StoredResource, *, first: bool = False) -> None:
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    resource.version += 0 if first else 1
    if "updateTime" in properties:
        resource.body["updateTime"] = call.cloud.clock.text()
    if "generation" in properties and call.api != "storage":
        resource.body["generation"] = str(resource.version)
    if "etag" in properties:
        stamp = f"{call.cloud.clock.now():.6f}-{resource.version}".encode()
        resource.body["etag"] = f'"{base64.b64encode(stamp).decode()}"'
    for key in ("fingerprint", "labelFingerprint"):
        if key in properties and call.api == "compute":
            resource.body.setdefault(key, "")
    fingerprints.refresh(resource.body)


def _items_key(call: Call) -> str:
    properties = call.document.schemas[call.method.response or ""].get("properties", {})
    lists = [key for key, spec in properties.items() if spec.get("type") == "array"]
    named = call.method.collection.rpartition(".")[2]
    return named if named in lists else next((key for key in lists if key != "unreachable"), "items")


def _has_policy(call: Call) -> None:
    if call.name.count("/") > 1:
        existing(call)


_ACTIONS: Mapping[str, Handler] = {
    "create": create,
    "insert": create,
    "get": get,
    "list": list_,
    "listUsable": list_,
    "patch": patch,
    "update": update,
    "delete": delete,
    "getIamPolicy": get_policy,
    "setIamPolicy": set_policy,
    "testIamPermissions": test_permissions,
}

__all__ = ["Kind", "handler", "patched", "writable"]
