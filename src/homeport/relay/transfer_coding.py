"""What the head of an answer tells of its end."""

from __future__ import annotations

import re

from homeport.relay.messages import Headers

_BETWEEN = re.compile(rb"[^0-9a-z!#$%&'*+.^_`|~-]+")
"""What no name of a coding has in it, RFC 9110 5.6.2."""
_CHUNKED = b"chunked"


def tells_its_end(headers: Headers) -> bool:
    """
    Return True where an answer is not whole before its own end has come; of another the end is that of the connection.

    Raises `ValueError` where chunks are named in another way than as the last of a list: the parser passes that over, and would hand
    on sizes for text. A coding of another name, such as `rechunked`, is none of chunks; its end is that of the connection.
    """
    codings = b",".join(value for name, value in headers if name.lower() == b"transfer-encoding").lower()
    if not codings:
        return any(name.lower() == b"content-length" for name, _ in headers)
    if codings.rstrip(b" ").rpartition(b",")[2].lstrip(b" \t") == _CHUNKED:
        return True
    if _CHUNKED in _BETWEEN.split(codings):
        raise ValueError(
            f"its Transfer-Encoding is {_shown(codings)}, which names chunks, but not as the last of its list"
        )
    return False


def _shown(value: bytes) -> str:
    return repr(value[:80].decode("latin-1"))
