"""
Keys of Cloud KMS for buckets, and for the objects in them.

Sources: the 403 as quoted in https://github.com/googleapis/nodejs-storage/issues/1254 (an object) and
https://github.com/GoogleCloudPlatform/magic-modules/pull/3747 (a bucket); the 400 of another place in
https://github.com/googleapis/google-cloud-go/issues/1787 (an object). UNCONFIRMED: that a bucket is refused in the words of the
latter, that one takes a key that is there and disabled, and in which words its objects are not written or read then.
"""

from __future__ import annotations

from gcp_rehearsal.apis.cloudkms.keys import primary_of, version_state
from gcp_rehearsal.apis.cloudkms.usable import Hindrance, location_of, unusable
from gcp_rehearsal.context import Cloud
from gcp_rehearsal.errors import ApiError, invalid
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_DENIED = (
    "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account has been authorized to use "
    "this key."
)
_ELSEWHERE = {"eu": "europe"}
"""What Cloud KMS calls a place of Cloud Storage, where that is another name."""


def check_default(cloud: Cloud, project: str, body: JsonObject) -> None:
    """Raise `ApiError` for a default key that a bucket cannot have: of another place, or not to be used."""
    key = _default(body)
    if not key:
        return
    place, location = location_of(key), str(body["location"]).lower()
    if not place:
        raise invalid(f"Invalid Cloud KMS key name: '{key}'")
    if place != _ELSEWHERE.get(location, location):
        raise invalid(
            f"Cloud KMS region '{place}' not available for use with GCS region '{location.upper()}'."
        )
    why = unusable(cloud, key, "storage", project)
    if why is not None and why.bar is not Hindrance.DISABLED:
        raise ApiError(403, _DENIED)


def of_new_object(cloud: Cloud, bucket: StoredResource) -> JsonObject:
    """Return what an object of a bucket tells of its key. Raises `ApiError` where it cannot be encrypted."""
    key = _default(bucket.body)
    if not key:
        return {}
    why = unusable(cloud, key, "storage", bucket.project)
    if why is not None:
        raise ApiError(403, _DENIED) if why.bar is not Hindrance.DISABLED else _refused(why.text)
    kept = cloud.store.get("cloudkms", cloud.by_id(key))
    version = primary_of(cloud, kept) if kept else None
    return {"kmsKeyName": version.name} if version else {}


def check_readable(cloud: Cloud, kept: StoredResource) -> None:
    """Raise `ApiError` for an object whose bytes cannot be decrypted any more."""
    name = str(kept.body.get("kmsKeyName") or "")
    if not name:
        return
    why = unusable(cloud, name.partition("/cryptoKeyVersions/")[0], "storage", kept.project)
    if why is not None and why.bar is not Hindrance.DISABLED:
        raise ApiError(403, _DENIED)
    version = cloud.store.get("cloudkms", name)
    state = version_state(cloud, version) if version else "DESTROYED"
    if state != "ENABLED":
        raise _refused(f"{name} is not enabled, current state is: {state}.")


def _default(body: JsonObject) -> str:
    encryption: Json = body.get("encryption") or {}
    return str(encryption.get("defaultKmsKeyName") or "")


def _refused(text: str) -> ApiError:
    return invalid(f"Cloud KMS error: {text}")
