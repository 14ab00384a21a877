"""
A rehearsal's secret: what its tokens are made of, and the file in which programs of its user find it.

A token is `rehearsal.MARK.EMAIL`. The mark is an HMAC of the e-mail under the secret, so a token is for one caller
only: a container that has its own account's can make none of the owner's.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

GCLOUD = "32555940559.apps.googleusercontent.com"
"""The client that people log in with by gcloud, and the audience of the identity tokens that they have so."""
_PREFIX = "rehearsal."
_FOLDER = "rehearsals"
"""Of the secrets, in the folder of the user who starts rehearsals."""


def new_secret() -> str:
    """Return a secret that nobody can guess."""
    return secrets.token_urlsafe(32)


@lru_cache(maxsize=256)  # Each request shows a token, and few people send them.
def mark(secret: str, text: str) -> str:
    """Return what only somebody who has the secret can say of `text`; it has no dot in it."""
    digest = hmac.digest(secret.encode(), text.encode("utf-8", "surrogateescape"), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def token(secret: str, email: str) -> str:
    """Return the token of a caller."""
    return f"{_PREFIX}{mark(secret, email)}.{email}"


def whose(secret: str, shown: str) -> str:
    """Return the e-mail that a token is for; '' for what is no token of this secret's."""
    shape, _, email = shown.removeprefix(_PREFIX).partition(".")
    if not shown.startswith(_PREFIX) or not email:
        return ""
    good = hmac.compare_digest(shape.encode("utf-8", "surrogateescape"), mark(secret, email).encode())
    return email if good else ""


def keep(folder: Path, port: int, secret: str) -> None:
    """Write the secret of the rehearsal on `port` for its user alone, whatever the umask. Raises `OSError`."""
    _write(_path(folder, port), secret)


def log_in(folder: Path, url: str, secret: str, email: str) -> dict[str, str]:
    """
    Write, for this user alone, the files in which Google's tools find who is logged in; return their variables.

    They are those of a real login: a person's refresh token, or a service account's key; and for gcloud an access
    token. They go with the rehearsal's secret. Raises `OSError`.
    """
    stem = f"{urlsplit(url).port}-{mark(secret, f'login {email}')[:16]}"
    application, access = folder / _FOLDER / f"{stem}.json", folder / _FOLDER / f"{stem}.token"
    _write(application, json.dumps(_login(url, secret, email)))
    _write(access, token(secret, email))
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(application),
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": str(access),
    }


def _login(url: str, secret: str, email: str) -> dict[str, str]:
    if not email.endswith("gserviceaccount.com"):
        return {
            "type": "authorized_user", "account": email, "client_id": GCLOUD, "client_secret": "of-the-rehearsal",
            "refresh_token": token(secret, email), "token_uri": f"{url}/token",
        }  # fmt: skip
    return {
        "type": "service_account", "client_email": email, "client_id": "", "private_key": _private_key(),
        "private_key_id": token(secret, email), "project_id": email.partition("@")[2].partition(".")[0],
        "token_uri": f"{url}/token",
    }  # fmt: skip


def _private_key() -> str:
    """Make any key: what it signs is not checked here, see `apis/iam/tokens.py`."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    with suppress(FileNotFoundError):
        path.unlink()  # Those who can read an older file of that name must not read this one.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


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
    for login in (folder / _FOLDER).glob(f"{port}-*"):
        with suppress(OSError):
            login.unlink()


def _path(folder: Path, port: int) -> Path:
    return folder / _FOLDER / f"{port}.secret"
