"""
A rehearsal's secret: what its tokens are made of, and the file in which programs of its user find it.

A token is `rehearsal.MARK.EMAIL`. The mark is an HMAC of the e-mail under the secret, so a token is for one caller
only: a container that has its own account's can make none of the owner's.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

_PREFIX = "rehearsal."
_FOLDER = "rehearsals"
"""Of the secrets, in the folder of whoever starts rehearsals."""


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_urlsafe(32)


def mark(secret: str, text: str) -> str:
    """Return what only somebody who has the secret can say of `text`; it has no dot in it."""
    made = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def token(secret: str, email: str) -> str:
    """Return the token of a caller."""
    return f"{_PREFIX}{mark(secret, email)}.{email}"


def whose(secret: str, shown: str) -> str:
    """Return the e-mail of whoever a token is for; '' for what is no token of this secret's."""
    shape, _, email = shown.removeprefix(_PREFIX).partition(".")
    if not shown.startswith(_PREFIX) or not email:
        return ""
    good = hmac.compare_digest(shape.encode("utf-8", "surrogateescape"), mark(secret, email).encode())
    return email if good else ""


def keep(folder: Path, port: int, secret: str) -> None:
    """Write the secret of the rehearsal on `port` for its user alone, whatever the umask. Raises `OSError`."""
    path = _path(folder, port)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    with suppress(FileNotFoundError):
        path.unlink()  # Whoever can read an older file of that name shall not read this one.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)


def read(folder: Path, port: int) -> str:
    """Return the secret of the rehearsal on `port`; '' where none of this user's is known there."""
    try:
        return _path(folder, port).read_text().strip()
    except (OSError, ValueError):
        return ""


def forget(folder: Path, port: int, secret: str) -> None:
    """Take the file away, unless another rehearsal has put its own there."""
    if read(folder, port) == secret:
        with suppress(OSError):
            _path(folder, port).unlink()


def _path(folder: Path, port: int) -> Path:
    return folder / _FOLDER / f"{port}.secret"
