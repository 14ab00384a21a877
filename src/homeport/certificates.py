"""Certificates that servers are judged by: the context of TLS that our clients share."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl


def certificates() -> ssl.SSLContext:
    """
    Return the context with the certificates that this machine trusts, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    It is loaded once for each value of the two: that takes some 40 ms, and a verification opens 60 connections.
    Not for clients of HTTP/2: what a context offers is set again for each connection.
    """
    return _loaded(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@cache
def _loaded(_file: str, _folder: str) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context()
