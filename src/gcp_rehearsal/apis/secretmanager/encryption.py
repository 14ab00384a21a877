"""
Keys of Cloud KMS for secrets: by location, asked when a secret is made, when a version is added, and when one is read.

UNCONFIRMED: that the first asks at all (Google's examples grant before they make the secret), and the words, which are
those of Cloud KMS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gcp_rehearsal.apis.cloudkms.usable import location_of, unusable
from gcp_rehearsal.context import Cloud
from gcp_rehearsal.errors import invalid, precondition
from gcp_rehearsal.json_types import Json


def check_place(where: Mapping[str, Json], location: str) -> None:
    """Raise `ApiError` 400 for a key that lies elsewhere than what it encrypts."""
    key = _key_in(where)
    if where.get("customerManagedEncryption") and location_of(key) != location:
        raise invalid(f"The KMS key [{key}] must be a key of the location [{location}].")


def check_usable(cloud: Cloud, project: str, secret: Mapping[str, Json]) -> None:
    """Raise `ApiError` 400 where Secret Manager's own account cannot use a key of a secret."""
    for key in _keys(secret):
        why = unusable(cloud, key, "secretmanager", project)
        if why is not None:
            raise precondition(
                f"Secret Manager's service agent [{why.agent}] cannot use the KMS key [{key}]: {why.text}"
            )


def _keys(secret: Mapping[str, Json]) -> Iterator[str]:
    replication = secret.get("replication") or {}
    places = (
        secret,
        replication.get("automatic") or {},
        *(replication.get("userManaged") or {}).get("replicas", ()),
    )
    yield from filter(None, map(_key_in, places))


def _key_in(where: Mapping[str, Json]) -> str:
    return str((where.get("customerManagedEncryption") or {}).get("kmsKeyName") or "")
