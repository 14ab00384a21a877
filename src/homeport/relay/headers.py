"""Which headers go on to the next server, and which are between two neighbours."""

from __future__ import annotations

from homeport.relay.messages import Headers

_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
     b"trailer", b"transfer-encoding", b"upgrade"}
)  # fmt: skip
"""Headers that are between two neighbours, and not for the next one."""


_FRAMING = frozenset({b"content-length"})
"""What tells the end of a body is not dropped because a client names it in Connection: the body goes on."""


def as_text(value: bytes) -> str:
    """Return what stands in a head as text that is the same bytes again, those of no UTF-8 too, as `surrogateescape` has them."""
    return value.decode(errors="surrogateescape")


def answered(status: int, headers: Headers) -> list[tuple[bytes, bytes]]:
    """
    Return the headers of an answer that go on, in lower case.

    Without a length where there is no body whatever it tells: of 204 none may be told, of 304 it is that of what was not sent, and
    the server that answers here would miss as many bytes, and close.
    """
    dropped = _FRAMING if status in {204, 304} else frozenset()
    return onward([(name.lower(), value) for name, value in headers], dropped)


def onward(headers: Headers, but: frozenset[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """Return the headers that go on: all except those of this connection, and `but`."""
    dropped = _HOP | but
    hop_by_name = {
        part.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for part in value.split(b",")
    }
    if hop_by_name:
        dropped |= hop_by_name - _FRAMING
    return [(name, value) for name, value in headers if name.lower() not in dropped]
