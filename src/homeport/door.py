"""
Who may reach a server that homeport opens on this machine: by which name, from which page, with which key.

Programs of this machine are let in, web pages are not. A page elsewhere reaches loopback through a browser in two
ways: by asking across origins, which the browser tells, and under a name of its own that it lets point to 127.0.0.1,
which then stands in Host. Other programs and other users of the machine are kept out by the key.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from homeport.secret import Secret

Headers = Sequence[tuple[bytes, bytes]]
"""By names in lower case, as ASGI has them."""

_AUTHORITY = re.compile(rb"([A-Za-z0-9.-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::(\d{1,5}))?")
"""`uri-host [":" port]` of RFC 9110, of the names that this machine has: no userinfo, no path, no escapes."""
_OWN_SITE = frozenset({b"same-origin", b"none"})
"""What browsers say of a request that a page of this very address made, or the user themselves."""
_KEYS = (b"authorization", b"x-api-key")
"""Where clients of OpenAI's and of Anthropic's API have a key."""
SECRET_HEADERS = frozenset({*_KEYS, b"api-key"})
"""Headers that hold what is between a client and this server, and goes no further."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a request is not let in, and the HTTP status that says so."""

    status: int
    why: str


def objection(headers: Headers) -> Objection | None:
    """Return why a request is refused for its Host or origin; None where it is not."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not is_own_name(hosts[0]):
        named = ", ".join(host.decode("latin-1") for host in hosts) or "a request without a host"
        return Objection(403 if len(hosts) == 1 else 400, f"this port is for localhost, not for {named}")
    for name, value in headers:
        named = value.decode("latin-1")
        if name == b"origin" and value != b"http://" + hosts[0]:
            return Objection(403, f"web pages may not use this port, and the browser says that {named} asks")
        if name == b"sec-fetch-site" and value not in _OWN_SITE:
            return Objection(
                403, f"web pages may not use this port, and the browser says that one asks ({named})"
            )
    return None


def is_own_name(host: bytes) -> bool:
    """
    Return whether Host names this machine: `localhost` or an address of loopback in its usual spelling, with any port.

    Any port, since one may be forwarded; browsers cannot be made to lie about the name.
    """
    matched = _AUTHORITY.fullmatch(host)
    if matched is None or (matched[2] is not None and not 0 < int(matched[2]) < 65536):
        return False
    name = matched[1].decode("ascii").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name[1:-1] if name.startswith("[") else name).is_loopback
    except ValueError:
        return False


def new_key() -> Secret:
    """Return a key that nobody can guess."""
    return Secret(f"hp-{secrets.token_urlsafe(32)}")


def has_key(headers: Headers, key: Secret) -> bool:
    """Return whether a request shows the key, as a bearer token or `x-api-key`; how long it takes tells nothing."""
    expected = key.reveal().encode()
    shown = [value for name, value in headers if name in _KEYS]
    return expected != b"" and any(hmac.compare_digest(_bare(value), expected) for value in shown)


def _bare(value: bytes) -> bytes:
    scheme, _, credentials = value.partition(b" ")
    return credentials.strip() if scheme.lower() == b"bearer" else value.strip()
