"""Bodies of things: which of their fields a caller writes, and what becomes of them by a PATCH."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource


def writable(call: Call) -> JsonObject:
    """Return what was sent, without what only Google writes."""
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    return {
        key: value
        for key, value in call.body.items()
        if not _is_output(properties.get(key, {})) and key not in {"etag", "fingerprint"}
    }


def read_only(call: Call, body: Mapping[str, Json]) -> JsonObject:
    """Return what of a thing only Google writes."""
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    ours = {
        "name",
        "id",
        "selfLink",
        "kind",
        "creationTimestamp",
        "etag",
        "fingerprint",
        "labelFingerprint",
        "region",
    }
    return {
        key: value
        for key, value in body.items()
        if key in ours or key not in properties or _is_output(properties[key])
    }


def _is_output(field: Mapping[str, Json]) -> bool:
    """Tell whether only Google writes a field. Compute Engine's document says so of many in words alone."""
    return bool(field.get("readOnly")) or str(field.get("description", "")).startswith("[Output Only]")


def patched(call: Call, kept: StoredResource, sent: JsonObject, *, whole: bool) -> JsonObject:
    """
    Return the body that a thing has after a PATCH, by the caller's mask; without one `whole` says whether all
    is replaced.
    """
    mask = call.mask
    if mask is None or mask == ("*",):
        if whole or mask:
            return {**read_only(call, kept.body), **sent}
        if call.api in {"compute", "storage", "dns"}:
            merged: JsonObject = _merged(kept.body, sent)
            return merged
        return {**kept.body, **sent}
    body: JsonObject = _copied(kept.body)
    for path in mask:
        _copy_field(call, path.split("."), sent, body)
    return body


def _copy_field(call: Call, path: list[str], sent: JsonObject, body: JsonObject) -> None:
    properties = call.document.schemas[call.method.request or ""].get("properties", {})
    if path[0] not in properties:
        raise invalid(f"Invalid field mask: unknown field '{path[0]}'", ("update_mask", path[0]))
    for key in path[:-1]:
        sent = sent.get(key, {})
        body = body.setdefault(key, {})
    if path[-1] in sent:
        body[path[-1]] = sent[path[-1]]
    else:
        body.pop(path[-1], None)


def _merged(old: Any, new: Any) -> Any:  # Any: JSON; RFC 7386
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    remaining = {key: value for key, value in old.items() if not (key in new and new[key] is None)}
    return remaining | {
        key: _merged(remaining.get(key), value) for key, value in new.items() if value is not None
    }


def _copied(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
