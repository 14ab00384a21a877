"""Cloud Build: the secrets that a build reads."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.secretmanager.versions import read
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.iam.caller import Caller

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_VERSION = re.compile(r"projects/([^/]+)/secrets/[^/]+/versions/[^/]+")
_ACCESS = "secretmanager.versions.access"
_CODES = {"NOT_FOUND": "NotFound", "FAILED_PRECONDITION": "FailedPrecondition"}


def secret(cloud: Cloud, account: str, version: str) -> str:
    """
    Return what a version of a secret holds. Raises `ApiError`, in the words of the build's log, where it
    cannot be read.
    """
    version = cloud.by_id(version)
    match = _VERSION.fullmatch(version)
    if match is None:
        raise _unread(version, "InvalidArgument", f"Resource ID [{version}] is not in a valid format.")
    if _ACCESS not in cloud.access.held(Caller(account), [_ACCESS], "secretmanager", version, match[1]):
        raise _unread(
            version,
            "PermissionDenied",
            f"Permission '{_ACCESS}' denied for resource '{version}' (or it may not exist).",
        )
    try:
        return read(cloud, version).decode(errors="replace")
    except ApiError as error:
        raise _unread(version, _CODES[error.status], error.message) from error


def _unread(version: str, code: str, why: str) -> ApiError:
    return ApiError(
        400, f"failed to access secret version for secret {version}: rpc error: code = {code} desc = {why}"
    )
