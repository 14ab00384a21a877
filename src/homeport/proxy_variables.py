"""The proxies that the environment names, judged before a client is made that goes by them."""

from __future__ import annotations

import os
from importlib.util import find_spec

from homeport.addresses import MOST_PORT
from homeport.errors import Unsupported

_SCHEMES = ("http", "https", "all")
_OVER_SOCKS = frozenset(("socks5", "socks5h"))


def by_environment(wanted: bool = True) -> bool:
    """
    Return `wanted`, which a client takes as its `trust_env`, once it is sure that each proxy of the environment is one.

    A client takes all of them up when it is made, for whichever address. Raises `Unsupported`, which names the variable and
    shows nothing of a password.
    """
    if wanted:
        from urllib.request import getproxies  # Loads a client, which a plan of this machine does without.

        named = getproxies()
        everywhere = "*" in (part.strip() for part in named.get("no", "").split(","))
        for scheme in () if everywhere else _SCHEMES:
            if named.get(scheme):
                _ensure_possible(named[scheme], scheme)
    return wanted


def variable_of(scheme: str) -> str:
    """Return the variable that names the proxy for `scheme`, as it is spelt in the environment; else as it would be."""
    name = f"{scheme}_proxy"
    spelt = [each for each in os.environ if each.lower() == name and os.environ[each]]
    return name if name in spelt or not spelt else spelt[0]


def _ensure_possible(named: str, scheme: str) -> None:
    import httpx2

    before, separator, _ = named.partition("://")
    try:
        url = httpx2.URL(named if separator else f"http://{named}")
    except httpx2.InvalidURL:
        url = httpx2.URL()
    why = "is no address of a proxy"
    if url.scheme in _OVER_SOCKS and url.host:
        if find_spec("socksio") is not None:
            return
        why = f"names a proxy by {url.scheme}://, and the package socksio, which speaks it, is not installed here"
    elif url.port is not None and not 1 <= url.port <= MOST_PORT:
        why = f"names a proxy at the port {url.port}, none from 1 to {MOST_PORT}"
    elif url.scheme in {"http", "https"} and url.host:
        return
    elif separator and before.isalnum() and before not in {"http", "https"}:
        why = f"begins with {before}://, and is no address of an HTTP proxy"
    variable = variable_of(scheme)
    raise Unsupported(
        f"the variable {variable} of the environment {why}",
        hint=f"set {variable} to http://HOST:PORT, or unset it",
    )
