"""Raw bytes to a port, and what comes back: no client stands between that would mend what is sent."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})")
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")
_QUIET_S = 0.06
"""After a whole answer as long is waited for another one that nobody should send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that a server sent on one connection."""

    data: bytes
    closed: bool
    """Whether the server ended the connection, rather than keep silent."""

    @property
    def statuses(self) -> list[int]:
        """The status of every response; a line within a body that looks like one counts, too."""
        return [int(found) for found in _STATUS.findall(self.data)]

    @property
    def bodies(self) -> bytes:
        """What stands behind the first head."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def text(self) -> str:
        """All of it as text."""
        return self.data.decode("latin-1")


def exchange(
    port: int, data: bytes, *, patience_s: float = 60.0, slow: bool = False, host: str = "127.0.0.1"
) -> Answer:
    """
    Send `data`, all at once or `slow`, in two pieces, and read until the server closes, keeps silent or `patience_s` is over.

    A server that has answered as announced is not waited for any longer.
    """
    received, closed = bytearray(), False
    with socket.create_connection((host, port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError):  # It may have had enough; what it said is read all the same.
            if slow:
                connection.sendall(data[: len(data) // 2])
                time.sleep(0.005)
                data = data[len(data) // 2 :]
            connection.settimeout(patience_s)
            connection.sendall(data)
        ends = time.monotonic() + patience_s
        while (left := ends - time.monotonic()) > 0:
            connection.settimeout(min(left, _QUIET_S) if _is_whole(received) else left)
            try:
                piece = connection.recv(1 << 16)
            except TimeoutError:
                break
            except OSError:
                closed = True
                break
            if not piece:
                closed = True
                break
            received += piece
    return Answer(data=bytes(received), closed=closed)


def _is_whole(received: bytearray) -> bool:
    head, found, body = bytes(received).rpartition(b"HTTP/1.")[2].partition(b"\r\n\r\n")
    if not found:
        return False
    length = _LENGTH.search(head)
    if length is not None:
        return len(body) >= int(length[1])
    if b"transfer-encoding: chunked" in head.lower():
        return body.endswith(b"0\r\n\r\n")
    return head.split(b" ")[1:2] in ([b"204"], [b"304"])
