"""
Who may come to the rehearsal: programs of this machine, under its own names, under Google's, or under a service's.

A build of the rehearsal runs commands, so no web page may reach it, neither across origins nor under a name of its
own that it lets point to 127.0.0.1. Any port is taken: the attack is in the name, and forwarded ports are others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from gcp_rehearsal.discovery import NAMES, described
from gcp_rehearsal.errors import ApiError, unimplemented

_AUTHORITY = re.compile(
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)(?::(\d{1,5}))?"
)
"""`uri-host [":" port]` of RFC 9110, of the names that there are: no userinfo, no escapes, no dot at the end."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ANOTHER_API = re.compile(r"(?:[a-z]+-[a-z]+\d+-)?([a-z0-9]+)\.googleapis\.com")
_SERVICE = re.compile(rf"(?:{_LABEL}\.)+run\.app")
_AREA = r"(?:[a-z]+-[a-z]+\d+|us|eu|global)"
_OWN_SITE = frozenset({"same-origin", "none"})
"""What browsers say of a request that a page of this very address made, or the user themselves."""
_ALSO_GOOGLES = frozenset({"www.googleapis.com", "oauth2.googleapis.com"})


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """What a request asks for."""

    host: str
    """In lower case, without a port."""
    path: str
    """Percent-encoded, without the query."""
    balanced: bool = False
    """Whether it is for a load balancer that was made here."""

    @property
    def is_service(self) -> bool:
        """Tell whether it is for a service of Cloud Run; whether there is one of that name, the front end knows."""
        return _SERVICE.fullmatch(self.host) is not None


class Door:
    """Lets in what is meant for this machine, for one of `apis` (`run`, `storage` …), or for a service of Cloud Run."""

    def __init__(self, apis: Iterable[str]) -> None:
        either = "|".join(sorted(map(re.escape, apis)))
        self._google = re.compile(
            rf"(?:{_AREA}-)?(?:{either})\.googleapis\.com|(?:{either})\.{_AREA}\.rep\.googleapis\.com|{_AREA}-docker\.pkg\.dev"
        )
        self._known = lru_cache(maxsize=1024)(self._names)

    def request_target(
        self,
        target: str,
        headers: Iterable[tuple[str, str]],
        *,
        balanced: Callable[[str], bool] = lambda _: False,
    ) -> RequestTarget:
        """
        Return what a request with this target (of a server, or whole, as of a proxy) and headers asks for.

        `balanced` tells whether a load balancer that was made here answers to a host. Raises `ApiError`.
        """
        lowered = [(name.lower(), value) for name, value in headers]
        hosts = [value for name, value in lowered if name == "host"]
        if len(hosts) != 1:
            raise ApiError(400, "a request names one host, in one header")
        host, path = split(hosts[0]), target.partition("?")[0]
        scheme, separator, rest = path.partition("://")
        if separator and scheme.lower() in {"http", "https"}:
            # RFC 9112, 3.2.2: the whole address counts. Where Host is about another one, somebody was misled.
            authority, _, rest = rest.partition("/")
            if split(authority, scheme) is None or split(authority, scheme) != split(hosts[0], scheme):
                raise ApiError(400, f"the request is for {authority}, and its Host for {hosts[0]}")
            path = f"/{rest}"
        elif not target.startswith("/"):
            raise ApiError(400, "a request asks for a path, or for a whole http:// address")
        if not host:
            raise ApiError(400, f"this is no name of a host: {hosts[0]!r}")
        requested = RequestTarget(host[0], path)
        if not self._known(requested.host) and balanced(requested.host):
            return RequestTarget(host[0], path, balanced=True)
        if not self._known(requested.host):
            other = _ANOTHER_API.fullmatch(requested.host)
            if other is not None and other[1] in described():
                raise unimplemented(requested.host)
            raise ApiError(
                403, f"the rehearsal answers to localhost, to Google's hosts that it knows, and to *.run.app, not to {requested.host}"
            )  # fmt: skip
        if not requested.is_service:
            _refuse_pages(lowered, hosts[0])
        return requested

    def _names(self, host: str) -> bool:
        return (
            is_loopback(host)
            or host in _ALSO_GOOGLES
            or self._google.fullmatch(host) is not None
            or _SERVICE.fullmatch(host) is not None
        )


@lru_cache(maxsize=128)  # Whoever asks here asks the same few hosts.
def split(authority: str, scheme: str = "http") -> tuple[str, int] | None:
    """Return the name, in lower case, and port of `host[:port]`; None for anything else."""
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not authority.isascii():
        return None
    port = int(match[2]) if match[2] else 443 if scheme.lower() == "https" else 80
    return (match[1].lower(), port) if 0 < port < 65536 else None


def is_loopback(host: str) -> bool:
    """Return True if a name is `localhost`, or an address of loopback in its usual spelling."""
    if host == "localhost":
        return True
    bare = host[1:-1] if host.startswith("[") else host
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    return address.is_loopback and (address.version == 6) == host.startswith("[")


def _refuse_pages(headers: Iterable[tuple[str, str]], host: str) -> None:
    """
    Raise `ApiError` for what a browser says that a page elsewhere asks.

    A service of Cloud Run decides that itself: Origin is handed on to it, as Google's front end does.
    """
    for name, value in headers:
        if name == "origin" and value != f"http://{host}":
            raise ApiError(
                403, f"web pages may not use the rehearsal, and the browser says that {value} asks"
            )
        if name == "sec-fetch-site" and value not in _OWN_SITE:
            raise ApiError(
                403, f"web pages may not use the rehearsal, and the browser says that one asks ({value})"
            )


DOOR = Door({name.partition(".")[0] for name in NAMES})
"""The door of every rehearsal."""
