"""What the head of an answer, or of a request, tells of the end of its body."""

from __future__ import annotations

import re

from homeport.relay.messages import Headers

_BETWEEN = re.compile(rb"[^0-9a-z!#$%&'*+.^_`|~-]+")
"""What no name of a coding has in it, RFC 9110 5.6.2."""
_CHUNKED, _NONE = b"chunked", b"identity"
"""The codings that mean nothing once the parser has read an answer; the second is of RFC 2616."""


def tells_its_end(headers: Headers) -> bool:
    """
    Return True where what has that head is not whole before its own end has come; of another answer the end is that of the connection.

    Raises `ValueError` where chunks are named in another way than once, as the last of a list: the parser passes that over, and would
    hand on sizes for text. And where there is another coding, which is between two neighbours as chunks are: nobody asked for one, and
    the next client would get what is packed for plain.
    """
    codings = b",".join(value for name, value in headers if name.lower() == b"transfer-encoding").lower()
    if not codings:
        return any(name.lower() == b"content-length" for name, _ in headers)
    named = [name for name in _BETWEEN.split(codings) if name]
    is_last = codings.rstrip(b" ").rpartition(b",")[2].lstrip(b" \t") == _CHUNKED
    if named.count(_CHUNKED) != is_last:
        raise ValueError(
            f"its Transfer-Encoding is {_shown(codings)}, which names chunks, but not once as the last of its list"
        )
    if any(name not in {_CHUNKED, _NONE} for name in named):
        raise ValueError(
            f"its Transfer-Encoding is {_shown(codings)}, of which only chunks can be read, and were asked for"
        )
    return is_last


def _shown(value: bytes) -> str:
    return repr(value[:80].decode("latin-1"))
