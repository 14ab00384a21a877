"""Certificates that servers are judged by: the context of TLS that our clients share."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import SpecError

if TYPE_CHECKING:
    import ssl

_Version = tuple[int, int, int] | None
"""What tells one content of a file from another: its number, its time and its size; None where it cannot be read."""
_last: dict[tuple[str, str], ssl.SSLContext] = {}
"""What was loaded last, by the names of file and folder."""


def certificates() -> ssl.SSLContext:
    """
    Return the context with the certificates that this machine trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    It is loaded once for each value of the two, and anew once the file or the folder has changed: that takes some 40 ms, and a
    verification opens 60 connections. Where a changed one cannot be loaded, such as a file that is half written, what was loaded
    before still counts. Not for clients of HTTP/2: what a context offers is set again for each connection.
    """
    names = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    try:
        _last[names] = _loaded(*((name, _version(name)) for name in names))
    except OSError:
        if names not in _last:
            raise
    return _last[names]


@lru_cache(maxsize=4)
def trusting(pem: str) -> ssl.SSLContext:
    """
    Return a context of its own with the certificates that this machine trusts, and those of `pem` besides.

    Each of these is trusted as it is, whoever signed it: a server often shows one of an authority that no machine knows, and
    without the authority's own. Raises `SpecError` for text that holds none.
    """
    import ssl

    import httpx2

    context = httpx2.create_ssl_context()
    try:
        context.load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError) as error:
        raise SpecError(
            f"the certificate that is to be trusted cannot be read: {error}", hint="give it as PEM, whole"
        ) from error
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


@lru_cache(maxsize=4)
def _loaded(_file: tuple[str, _Version], _folder: tuple[str, _Version]) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()


def _version(name: str) -> _Version:
    try:
        found = Path(name).stat() if name else None
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if found else None
