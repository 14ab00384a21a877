"""Fingerprints: what a caller must name to change a thing, so that nobody overwrites what they have not seen."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from hashlib import sha256

from gcp_rehearsal.json_types import Json, JsonObject

_NO_LABELS = "42WmSpB8rSM="
"""That of a thing without labels, the same for all of them at Google."""
_NOT_CONTENT = frozenset(
    ("fingerprint", "labelFingerprint", "labels", "status", "updateTime", "usedBy", "users")
)


def refresh(body: JsonObject) -> None:
    """Set the ones that a thing has to those of its content: one changes when what it guards does, and at no other time."""
    if "fingerprint" in body:
        body["fingerprint"] = of_content(body)
    if "labelFingerprint" in body:
        body["labelFingerprint"] = of_labels(body.get("labels"))


def of_content(body: Mapping[str, Json]) -> str:
    """Return the fingerprint of all that a caller can change of a thing, except for its labels."""
    return _digest({key: value for key, value in body.items() if key not in _NOT_CONTENT})


def of_labels(labels: Mapping[str, str] | None) -> str:
    """Return the fingerprint of a thing's labels."""
    return _digest(labels) if labels else _NO_LABELS


def _digest(value: Json) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return base64.b64encode(sha256(text.encode()).digest()[:8]).decode()
