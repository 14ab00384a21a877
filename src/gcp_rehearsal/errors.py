"""Refusals, in Google's words and envelopes; and what goes wrong with a rehearsal itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

from gcp_rehearsal.json_types import Json, JsonObject

_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ALREADY_EXISTS", 412: "FAILED_PRECONDITION", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED", 500: "INTERNAL", 501: "UNIMPLEMENTED", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
_REASON = {
    400: "invalid", 401: "authError", 403: "forbidden", 404: "notFound", 409: "alreadyExists",
    412: "conditionNotMet", 429: "rateLimitExceeded", 500: "internalError", 501: "notImplemented",
    503: "backendError",
}  # fmt: skip
_CODE = {
    "CANCELLED": 1, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5, "ALREADY_EXISTS": 6,
    "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
    "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "UNAUTHENTICATED": 16,
}  # fmt: skip
_OLDER = ("compute", "storage", "dns")
"""APIs whose errors have the older form."""


class RehearsalError(Exception):
    """Something is wrong with the rehearsal itself, or with how it was started: what, and what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class FaultError(RehearsalError):
    """A text that describes no fault."""


class PortError(RehearsalError):
    """A port that cannot be had, and a `free` one to take instead."""

    def __init__(self, message: str, *, free: int) -> None:
        super().__init__(message, hint=f"port {free} is free, and 0 takes any")
        self.free = free


class ApiError(Exception):
    """A refusal: HTTP status, Google's status and reason, and the message that people read."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str = "",
        reason: str = "",
        details: Sequence[Mapping[str, Json]] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or _STATUS.get(code, "UNKNOWN")
        self.reason = reason or _REASON.get(code, "unknown")
        self.details = list(details)

    def envelope(self, api: str) -> JsonObject:
        """Return the body in which `api` sends it."""
        error: JsonObject = {"code": self.code, "message": self.message}
        if api in _OLDER:
            error["errors"] = [{"message": self.message, "domain": "global", "reason": self.reason}]
            return {"error": error}
        error["status"] = self.status
        if self.details:
            error["details"] = self.details
        return {"error": error}

    def as_status(self) -> JsonObject:
        """Return the error as a failed operation holds it."""
        status = {"code": _CODE.get(self.status, 2), "message": self.message}
        return {**status, "details": self.details} if self.details else status


def invalid(message: str, *fields: tuple[str, str]) -> ApiError:
    """Return the 400 for a request that cannot be taken as it is; `fields` are paths and what is wrong there."""
    violations = [{"field": field, "description": text} for field, text in fields]
    details = [{"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}]
    return ApiError(400, message, details=details if fields else ())


def not_found(message: str) -> ApiError:
    """Return the 404 for a thing that is not there."""
    return ApiError(404, message)


def exists(message: str) -> ApiError:
    """Return the 409 for a thing that is there already."""
    return ApiError(409, message)


def aborted(message: str) -> ApiError:
    """Return the 409 for a change that came after another."""
    return ApiError(409, message, status="ABORTED", reason="conflict")


def precondition(message: str, *, reason: str = "") -> ApiError:
    """Return the 400 for what is not possible in this state of things."""
    return ApiError(400, message, status="FAILED_PRECONDITION", reason=reason)


def unimplemented(what: str) -> ApiError:
    """Return the 501 that says plainly what the rehearsal does not act out."""
    return ApiError(501, f"the rehearsal does not act out {what}: docs/rehearsal.md has the table")


def info(reason: str, domain: str, **metadata: str) -> JsonObject:
    """Return the detail by which programs tell one refusal from another."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": domain,
        "metadata": metadata,
    }


def of_status(code: int) -> ApiError:
    """Return the error of an HTTP status alone, for faults."""
    texts = {429: "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute'."}
    try:
        phrase = HTTPStatus(code).phrase
    except ValueError:
        phrase = "Error"
    return ApiError(code, texts.get(code, f"{phrase} (a fault of the rehearsal's)"))
