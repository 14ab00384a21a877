"""Ports that a server can listen on: looked at, or drawn for a server that listens some time afterwards."""

from __future__ import annotations

import errno
import os
import random
import socket
import sys
from collections import deque
from itertools import chain, repeat

from homeport.errors import PortTaken, SpecError

_QUIET_PORTS = range(20_000, 30_000)
"""Below those that systems give to outgoing connections (Linux from 32768, others from 49152) and Kubernetes to nodes:
an engine listens minutes after its port was chosen."""
_TRIES = 20
_RESERVED = deque[int](maxlen=64)
"""Descriptors, of the newest ports: no other process draws one of them before a server listens there. The system closes them."""


def port_is_free(host: str, port: int) -> bool:
    """Return True if a server could listen there now. Raises `SpecError` where this machine has no such address."""
    return _bound(host, port) is not None


def free_port(host: str) -> int:
    """
    Return a port on which nobody listens, and that no outgoing connection takes soon.

    On Linux no other process draws it either, until this one ends or has drawn 64 more.
    """
    for port in chain(random.sample(_QUIET_PORTS, _TRIES), repeat(0, _TRIES)):
        free = _bound(host, port)
        if free is not None and _reserved(free):
            return free
    raise PortTaken(f"no port of {host} is free", hint="end some of the servers on this machine")


def free_port_near(host: str, port: int) -> int:
    """Return one of the next ports after `port` to tell to somebody, who may take it in another process; else any free one."""
    following = range(port + 1, min(port + 50, 65536))
    return next((one for one in following if port_is_free(host, one)), 0) or free_port(host)


def _bound(host: str, port: int) -> int | None:
    """Return the port that a server could listen on; None where another one listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return None
        if error.errno == errno.EACCES:
            raise SpecError(
                f"port {port} is for the system's administrator alone", hint="set local.port to 1024 or more"
            ) from error
        raise SpecError(
            f"this machine cannot listen on local.host {host!r}: {error.strerror or error}",
            hint='set local.host to "127.0.0.1", or to an address that this machine has',
        ) from error


def _reserved(port: int) -> bool:
    """Return True if nobody else has reserved a port, which is reserved from now on. The rehearsal's containers know the name."""
    if sys.platform != "linux":  # Names without a file are Linux's alone.
        return True
    try:
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError:  # Some sandboxes have no such sockets: a port is drawn there all the same.
        return True
    try:
        name.bind(f"\0drawn-port-{port}")
    except OSError as error:
        name.close()
        return error.errno != errno.EADDRINUSE
    if len(_RESERVED) == _RESERVED.maxlen:
        os.close(_RESERVED.popleft())
    _RESERVED.append(name.detach())
    return True
