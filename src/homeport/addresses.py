"""Addresses: which of them only this machine can reach, and listening there."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from homeport.errors import PortTaken, SpecError

LOOPBACK = "127.0.0.1"
MOST_PORT = 65535
_WITH_WHO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)?.*@", re.DOTALL)
_MORE = re.compile(r"([?#]).*", re.DOTALL)
_LABEL = 63
"""Letters between two dots of a host, at most."""


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_of_web(text: str) -> bool:
    """Return whether `text` means an http(s) address, be it one that can be asked or not: a scheme has no case (RFC 3986, 3.1)."""
    return text.strip().partition("://")[0].lower() in {"http", "https"}


def shown(url: str) -> str:
    """Return an address as a message may show it: without name and password, query and fragment, whose places are marked by `…`."""
    return _MORE.sub(r"\1…", _WITH_WHO.sub(r"\1…@", url))


def ensure_address(url: str, *, called: str) -> None:
    """
    Raise `SpecError` where no request could be sent to `url`: where it is no http(s) address, or has no host or an impossible port.

    The error names it as it is `called`, and shows nothing else of it: there may be a secret in it, which `shown` leaves out.
    """
    why = _flaw(url)
    if why:
        raise SpecError(
            f"{called} is no address that can be asked: {why}",
            hint="write it as http://HOST:PORT or https://HOST, with a port from 1 to 65535 or none",
        )


def _flaw(url: str) -> str:
    """Return why no request can be sent to an address, in words; '' where one can."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return "white space or control characters are in it"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return "its host's brackets do not fit"
    if parts.scheme not in {"http", "https"}:
        return "it does not begin with http:// or https://"
    if not host or any(not 1 <= len(label) <= _LABEL for label in host.removesuffix(".").split(".")):
        return "it has no host, or one with an empty or overlong part"
    try:
        port = parts.port
    except ValueError:
        return f"its port is no number from 1 to {MOST_PORT}"
    return f"its port is no number from 1 to {MOST_PORT}" if port == 0 else ""


def listen(port: int, hint: Callable[[int], str]) -> socket.socket:
    """
    Open a socket on loopback; port 0 takes a free one. Raises `PortTaken`, with a free port and what `hint`
    says of it.
    """
    # By its protocol asyncio knows that it is TCP, and sends small pieces at once; else each waits 40 ms for the last.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # A client that is told the address may connect at once, and waits a moment.
    except OSError as error:
        listening.close()
        with socket.create_server((LOOPBACK, 0)) as other:
            free = int(other.getsockname()[1])
        raise PortTaken(f"port {port} cannot be had: {error.strerror}", hint=hint(free), port=free) from error
    return listening
