"""
Google's refusals as the neutral errors of `homeport.errors`.

Each class is a neutral error and a `GoogleError` at once: code that must only know that a thing is gone catches
`NotFound`, code that needs Google's own reason catches `GoogleError`. Nobody names the classes here but `google/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from homeport.errors import (
    AlreadyExists,
    Conflict,
    GoogleError,
    InvalidArgument,
    NotFound,
    OperationFailed,
    OutOfCapacity,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
    RemoteError,
)


class GoogleNotFound(NotFound, GoogleError):
    """There is no such thing."""


class GoogleAlreadyExists(AlreadyExists, GoogleError):
    """There is one already."""


class GoogleConflict(Conflict, GoogleError):
    """Another change came first."""


class GooglePermissionDenied(PermissionDenied, GoogleError):
    """The caller may not do this."""


class GoogleQuotaExceeded(QuotaExceeded, GoogleError):
    """It is more than the project may have."""


class GoogleOutOfCapacity(OutOfCapacity, GoogleError):
    """Google has none left there at the moment."""


class GooglePolicyViolated(PolicyViolated, GoogleError):
    """The organisation forbids it."""


class GoogleInvalidArgument(InvalidArgument, GoogleError):
    """Google does not take the request as it is."""


class GoogleOperationFailed(OperationFailed, GoogleError):
    """Google began the work, and it failed."""


_OF_GOOGLE: Final[Mapping[type[RemoteError], type[GoogleError]]] = {
    NotFound: GoogleNotFound,
    AlreadyExists: GoogleAlreadyExists,
    Conflict: GoogleConflict,
    PermissionDenied: GooglePermissionDenied,
    QuotaExceeded: GoogleQuotaExceeded,
    OutOfCapacity: GoogleOutOfCapacity,
    PolicyViolated: GooglePolicyViolated,
    InvalidArgument: GoogleInvalidArgument,
    OperationFailed: GoogleOperationFailed,
}


def of_google(kind: type[RemoteError]) -> type[GoogleError]:
    """Return the class of Google's for a neutral `kind`; `kind` itself where it is one of Google's."""
    return kind if issubclass(kind, GoogleError) else _OF_GOOGLE[kind]
