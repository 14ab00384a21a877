"""An address at which nobody listens, and nobody will: a port that is found free and let go may be another's by then."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nobody_at() -> Iterator[int]:
    """A port of loopback that refuses connections for as long as this lasts: it is bound, and not listened at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])
