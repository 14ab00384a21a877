"""Cloud Build: the secrets that a build reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from homeport.rehearsal.access import Caller
from homeport.rehearsal.errors import ApiError

if TYPE_CHECKING:
    from homeport.rehearsal.cloud import Cloud

_VERSION = re.compile(r"(projects/([^/]+)/secrets/[^/]+)/versions/([^/]+)")
_ACCESS = "secretmanager.versions.access"


def secret(cloud: Cloud, account: str, version: str) -> str:
    """What a version of a secret holds. Raises `ApiError`, in the words of the build's log, where it cannot be read."""
    version = cloud.by_id(version)
    found = _VERSION.fullmatch(version)
    if found is None:
        raise _unread(version, "InvalidArgument", f"Resource ID [{version}] is not in a valid format.")
    name, project, number = found.groups()
    if _ACCESS not in cloud.access.held(Caller(account), [_ACCESS], "secretmanager", version, project):
        raise _unread(
            version,
            "PermissionDenied",
            f"Permission '{_ACCESS}' denied for resource '{version}' (or it may not exist).",
        )
    versions = list(cloud.store.under("secretmanager", f"{name}/versions"))
    if number == "latest":
        versions.sort(key=lambda kept: int(kept.id))
        versions = versions[-1:]
    else:
        versions = [kept for kept in versions if kept.id == number]
    if not versions:
        raise _unread(version, "NotFound", f"Secret [{name}] not found or has no versions.")
    if versions[0].body.get("state", "ENABLED") != "ENABLED":
        state = versions[0].body["state"]
        raise _unread(
            version, "FailedPrecondition", f"Secret Version [{versions[0].name}] is in {state} state."
        )
    held = versions[0].hidden.get("data", b"")
    return held.decode(errors="replace") if isinstance(held, bytes) else str(held)


def _unread(version: str, code: str, why: str) -> ApiError:
    return ApiError(
        400, f"failed to access secret version for secret {version}: rpc error: code = {code} desc = {why}"
    )
