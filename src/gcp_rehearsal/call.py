"""One request: as it came, as it was understood, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gcp_rehearsal.discovery import Document, Method
from gcp_rehearsal.schema import camel

if TYPE_CHECKING:
    from gcp_rehearsal.cloud import Cloud
    from gcp_rehearsal.iam.access import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as it came."""

    verb: str
    host: str
    path: str
    """Percent-encoded, as sent."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case."""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. A `body` that is not bytes is sent as JSON."""

    status: int = 200
    body: Any = None  # Any: JSON, or bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it was understood: which method, on what, by whom."""

    cloud: Cloud
    request: Request
    document: Document
    method: Method
    params: Mapping[str, str]
    """Of the path; a project's number has become its id."""
    query: Mapping[str, Any]  # Any: JSON
    body: dict[str, Any]  # Any: JSON
    """Checked, in the form in which Google answers."""
    media: bytes | None
    """What was uploaded, where the path is one for uploads."""
    caller: Caller
    project: str
    """The id of the project that it is about; '' where it is about none."""

    @property
    def api(self) -> str:
        """Such as `run`, whatever the version."""
        return self.document.name.partition(".")[0]

    @property
    def name(self) -> str:
        """What the path names, without version and custom verb: `projects/p/locations/l/services/s`."""
        path = self.request.path.strip("/")
        for way in ("resumable/", "upload/", "download/"):
            path = path.removeprefix(way)
        path = path.removeprefix(self.method.prefix).strip("/")
        if self.method.custom:
            path = path.removesuffix(f":{self.method.custom}")
        if self.api == "compute":
            path = path.removesuffix(f"/{self.method.action}")
        return self.cloud.by_id(path)

    @property
    def mask(self) -> tuple[str, ...] | None:
        """The fields to be changed, in camel case; None where the caller names none."""
        text = self.query.get("updateMask")
        if not text:
            return None
        return tuple(".".join(camel(part) for part in path.split(".")) for path in text.split(","))

    @property
    def validate_only(self) -> bool:
        """Whether nothing shall be done but the checks."""
        return bool(self.query.get("validateOnly")) or bool(self.body.get("validateOnly"))
