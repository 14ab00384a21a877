"""Who may use the port: programs of this machine, and no web page that their browser happens to show."""

from __future__ import annotations

from urllib.parse import urlsplit

from homeport.addresses import is_loopback
from homeport.proxy.messages import Headers

_OWN = frozenset({"same-origin", "none"})
"""What browsers say of a request that a page of this very address made, or the user themselves."""


def objection(headers: Headers) -> str:
    """
    Why a request is not let in; '' where it is.

    A page elsewhere reaches loopback through a browser in two ways: by asking across origins, which the browser
    tells, and under a name of its own that it lets point to 127.0.0.1, which then stands in Host.
    """
    hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not is_loopback(_name(hosts[0])):
        return f"this port is for localhost, not for {', '.join(hosts) or 'a request without a host'}"
    for name, value in headers:
        said = value.decode("latin-1")
        if name == b"origin" and said != f"http://{hosts[0]}":
            return f"web pages may not use this port, and the browser says that {said} asks"
        if name == b"sec-fetch-site" and said not in _OWN:
            return f"web pages may not use this port, and the browser says that one asks ({said})"
    return ""


def _name(host: str) -> str:
    """The host without its port; '' where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
