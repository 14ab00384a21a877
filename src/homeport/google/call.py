"""One request, before it is sent."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from homeport.json_types import Json

if TYPE_CHECKING:
    from homeport.google.credentials import Credentials
    from homeport.google.wire import WireAnswer

_WITHOUT_ID = frozenset(
    ("addRule", "getHealth", "patchRule", "preview", "removeRule", "setIamPolicy", "setLabels", "testIamPermissions",
     "validate", "wait")
)  # fmt: skip
"""Methods of Compute that take no `requestId`, though they are no GET."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiCall:
    """What is asked of which API."""

    verb: str
    api: str
    """The first word of a host, such as `run`, or `modelarmor.us-central1.rep`; of a registry the whole host."""
    path: str
    """What follows the host, percent-encoded, without the query."""
    body: Json = None
    query: Mapping[str, Any] = field(default_factory=dict)  # Any: texts, numbers, booleans, or lists of them
    repeatable: bool = True
    """Whether to do it twice is to do it once."""
    content: bytes | None = None
    """Sent as it is, instead of `body`."""
    content_type: str = "application/octet-stream"
    content_range: str = ""
    """Which bytes `content` is of what is uploaded in pieces, such as `bytes 0-262143/*`."""
    byte_range: str = ""
    """Which bytes of an object are asked for, such as `bytes=0-1023`."""
    accepts: tuple[int, ...] = ()
    """Answers beyond 2xx that are none of a refusal."""
    waits: float = 0.0
    """Seconds that it may take beyond what others may."""
    types: tuple[str, ...] = ()
    """The types of content that may come back, where an API has more than one."""

    @property
    def host(self) -> str:
        """Return the API's host, such as `run.googleapis.com`; a registry of images has one of its own."""
        return self.api if self.is_registry else f"{self.api}.googleapis.com"

    @property
    def is_registry(self) -> bool:
        """Tell whether it goes to a registry of images, whose protocol is not Google's."""
        return self.api.endswith((".pkg.dev", "gcr.io"))

    @property
    def headers(self) -> dict[str, str]:
        """Return what its headers say of it."""
        said = {
            "accept": ", ".join(self.types),
            "content-type": self.content_type if self.content is not None else "",
            "range": self.byte_range,
            "content-range": self.content_range,
        }
        return {"host": self.host, **{name: value for name, value in said.items() if value}}

    @property
    def text(self) -> str:
        """Describe the request, such as `POST run.googleapis.com/v2/…`."""
        return f"{self.verb} {self.host}/{self.path}"

    @property
    def texts(self) -> tuple[tuple[str, str], ...]:
        """Return the query as it is sent; what is None is left out."""
        return tuple(
            (name, str(element).lower() if isinstance(element, bool) else str(element))
            for name, value in self.query.items()
            for element in (value if isinstance(value, list | tuple) else (value,))
            if element is not None
        )


def self_link(path: str) -> str:
    """Return the address by which resources of Compute name one another."""
    return f"https://www.googleapis.com/{path}"


def address_of(api: str, path: str) -> str:
    """Return the address of a thing or method, for what calls it instead of homeport."""
    return f"https://{api}.googleapis.com/{path}"


class ApiClient(Protocol):
    """What operations and uploads need of the client, which is made of them: they do not import it."""

    @property
    def credentials(self) -> Credentials:
        """Return the credentials of the caller."""

    @property
    def project(self) -> str:
        """Return the id of the project that is worked on."""

    async def send(self, call: ApiCall) -> WireAnswer:
        """Send one call, with all its tries."""

    async def get(self, api: str, path: str, **query: Any) -> Any:  # Any: JSON; see ApiCall.query
        """Return what is there."""

    async def post(
        self, api: str, path: str, body: Any = None, *, repeatable: bool = False, **query: Any
    ) -> Any:  # Any: JSON; see ApiCall.query
        """Return what came of it."""


def with_request_id(call: ApiCall) -> ApiCall:
    """
    Return the call, repeatable where a `requestId` makes it so.

    Whatever changes something in Compute is given one: it knows a second request by it.
    """
    if "requestId" in call.query:
        return replace(call, repeatable=True)
    parent, _, last = call.path.rpartition("/")
    if call.api != "compute" or call.verb == "GET" or last in _WITHOUT_ID or last.startswith("list"):
        return call
    if parent.endswith("/operations"):
        return call
    return replace(call, query={**call.query, "requestId": str(uuid.uuid4())}, repeatable=True)
