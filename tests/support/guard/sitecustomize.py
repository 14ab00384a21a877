"""Refuses every address but loopback, in the tests' own process and in all Python processes that they start."""

import ipaddress
import os
import socket

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


class LeftTheMachine(OSError):
    """A test tried to talk to something that is not this machine."""


def _note(host):  # noqa: ANN001, ANN202
    """Write it down where the test looks: many a client says nothing of what it could not reach."""
    if "GUARD_NOTES" in os.environ:
        with open(os.environ["GUARD_NOTES"], "a", encoding="utf-8") as file:  # noqa: PTH123 - as little as can be is imported
            file.write(f"{host}\n")


def _check(address):  # noqa: ANN001, ANN202 - runs before anything else, also in other tools' processes
    if not isinstance(address, tuple):
        return  # A path: a Unix socket.
    host = address[0]
    if host in {"localhost", ""}:
        return
    try:
        inside = ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        _note(host)
        raise LeftTheMachine(f"tests talk to loopback only, not to {address!r}")


def _guarded_connect(self, address):  # noqa: ANN001, ANN202
    _check(address)
    return _connect(self, address)


def _guarded_connect_ex(self, address):  # noqa: ANN001, ANN202
    _check(address)
    return _connect_ex(self, address)


def _guarded_getaddrinfo(host, *args, **kwargs):  # noqa: ANN001, ANN002, ANN003, ANN202
    if host is not None:
        _check((host.decode() if isinstance(host, bytes) else host,))
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect = _guarded_connect
socket.socket.connect_ex = _guarded_connect_ex
socket.getaddrinfo = _guarded_getaddrinfo
