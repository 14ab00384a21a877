"""Addresses: which of them only this machine can reach, and listening there."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from homeport.errors import PortTaken

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Return True if only this machine can reach `host`, a name or an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


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
