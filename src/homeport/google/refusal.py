"""What Google said when it refused, whichever of its envelopes it came in."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from homeport.json_types import Json

_HTTP = {
    1: (499, "CANCELLED"), 2: (500, "UNKNOWN"), 3: (400, "INVALID_ARGUMENT"), 4: (504, "DEADLINE_EXCEEDED"),
    5: (404, "NOT_FOUND"), 6: (409, "ALREADY_EXISTS"), 7: (403, "PERMISSION_DENIED"),
    8: (429, "RESOURCE_EXHAUSTED"), 9: (400, "FAILED_PRECONDITION"), 10: (409, "ABORTED"),
    11: (400, "OUT_OF_RANGE"), 12: (501, "UNIMPLEMENTED"), 13: (500, "INTERNAL"), 14: (503, "UNAVAILABLE"),
    15: (500, "DATA_LOSS"), 16: (401, "UNAUTHENTICATED"),
}  # fmt: skip
"""What the codes of google.rpc.Code are over HTTP."""

_TAG = re.compile(r"<(style|script|title)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_XML = re.compile(r"<(Code|Message|Details)>(.*?)</\1>", re.DOTALL)
"""What Cloud Storage says where it answers as its XML API does."""
_SHOWN = 300
"""Characters of a body that is no JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal, whatever its envelope. What Google did not say is ''."""

    code: int
    """The HTTP status, or the one that the code of a failed operation stands for."""
    message: str
    status: str = ""
    """Such as `PERMISSION_DENIED`; the older APIs do not say it."""
    reason: str = ""
    """Such as `SERVICE_DISABLED` or, of the older APIs, `conditionNotMet`."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Of the ErrorInfo: `permission`, `service`, `location` and the like."""
    fields: tuple[tuple[str, str], ...] = ()
    """Paths of fields, and what is wrong with each."""
    violations: tuple[str, ...] = ()
    """What was violated: descriptions of quotas and preconditions."""
    links: tuple[str, ...] = ()
    """Pages that Google points to."""
    delay: float | None = None
    """Seconds after which Google says one may try again."""
    is_json: bool = True
    """Whether it came as an API's answer, and not as a page of some server before it."""

    @property
    def searchable(self) -> str:
        """Return all that was said, to look for words in."""
        return "\n".join((self.reason, self.message, *self.violations))


def read(code: int, body: bytes) -> Refusal:
    """Return the refusal in an HTTP answer."""
    try:
        raw = json.loads(body)
    except ValueError:
        raw = None
    error = raw[0].get("error") if isinstance(raw, list) and raw and isinstance(raw[0], dict) else None
    error = raw.get("error") if isinstance(raw, dict) else error
    if isinstance(error, dict):
        return _of_error(code, error)
    if isinstance(error, str) and isinstance(raw, dict):
        return Refusal(code=code, message=str(raw.get("error_description") or error), reason=error)
    listed = raw.get("errors") if isinstance(raw, dict) else None
    if isinstance(listed, list) and listed and isinstance(listed[0], dict):  # As registries of images answer.
        first = listed[0]
        return Refusal(code=code, message=str(first.get("message", "")), reason=str(first.get("code", "")))
    elements = dict(_XML.findall(body.decode(errors="replace"))) if b"<Error>" in body else {}
    if "Code" in elements:
        message = " ".join(
            html.unescape(elements[part]) for part in ("Message", "Details") if elements.get(part)
        )
        return Refusal(code=code, message=message or elements["Code"], reason=elements["Code"], is_json=False)
    text = " ".join(_TAG.sub(" ", body.decode(errors="replace")).split())
    return Refusal(code=code, message=text[:_SHOWN] or "no explanation", is_json=False)


def of_operation(error: Mapping[str, Json]) -> Refusal:
    """Return the refusal in a failed operation: a google.rpc.Status, or Compute's `errors`."""
    if "errors" in error:
        first = error["errors"][0] if error["errors"] else {}
        return _of_error(0, {**first, "code": 0, "reason": first.get("code", "")})
    code, status = _HTTP.get(int(error.get("code", 2)), (500, "UNKNOWN"))
    return _of_error(code, {**error, "code": code, "status": status})


def _of_error(code: int, error: Mapping[str, Json]) -> Refusal:
    details = [item for item in error.get("details", ()) if isinstance(item, dict)]
    details += [
        inner for item in error.get("errorDetails", ()) for inner in item.values() if isinstance(inner, dict)
    ]
    older = next((item for item in error.get("errors", ()) if isinstance(item, dict)), {})
    info = next((item for item in details if "reason" in item), {})
    raw = info.get("metadata") or info.get("metadatas") or {}
    return Refusal(
        code=int(error.get("code") or code),
        message=str(error.get("message") or older.get("message") or "no explanation"),
        status=str(error.get("status", "")),
        reason=str(info.get("reason") or older.get("reason") or error.get("reason") or ""),
        metadata={key: str(value) for key, value in raw.items()},
        fields=tuple(
            (str(item.get("field", "")), str(item.get("description", "")))
            for detail in details
            for item in detail.get("fieldViolations", ())
        ),
        violations=tuple(
            " ".join(str(item[key]) for key in ("type", "subject", "description") if item.get(key))
            for detail in details
            for item in detail.get("violations", ())
        ),
        links=tuple(
            str(item["url"]) for detail in details for item in detail.get("links", ()) if item.get("url")
        ),
        delay=next((_seconds(detail["retryDelay"]) for detail in details if "retryDelay" in detail), None),
    )


def _seconds(text: object) -> float | None:
    try:
        return float(str(text).removesuffix("s"))
    except ValueError:
        return None
