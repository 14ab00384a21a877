"""Tokens that a gcloud on the PATH gives."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from google_door import jwt
from google_tokens import LOGIN, USER, id_token, tokens, written
from homeport.errors import NoCredentials
from homeport.google.identity import claims
from homeport.secret import Secret


def gcloud(folder: Path, *, logged_in: bool = True) -> dict[str, str]:
    """A `gcloud` that says what it was asked in a file."""
    folder.mkdir()
    script = folder / "gcloud"
    says = f"""#!/bin/sh
echo "$@" >> {folder}/asked
case "$*" in
  "auth print-access-token --quiet") echo a-token-of-gclouds ;;
  "auth print-identity-token --quiet") echo {jwt(email="you@example.com")} ;;
  "config get account") echo you@example.com ;;
  *) exit 1 ;;
esac
"""
    script.write_text(
        says if logged_in else "#!/bin/sh\necho 'You do not currently have an active account' >&2\nexit 1\n"
    )
    script.chmod(0o755)
    return {"PATH": str(folder), "NO_GCE_CHECK": "true"}


def test_gclouds_own_login_comes_last(tmp_path: Path) -> None:
    env = gcloud(tmp_path / "bin")
    token, credentials = tokens(env)
    assert token == "a-token-of-gclouds"
    assert asyncio.run(credentials.who()) == "you@example.com"
    assert claims(Secret(id_token(env)))["email"] == "you@example.com"
    assert "print-access-token" in (tmp_path / "bin" / "asked").read_text()


def test_a_persons_id_token_comes_from_gcloud(tmp_path: Path) -> None:
    env = written(tmp_path, USER) | gcloud(tmp_path / "bin")
    assert claims(Secret(id_token(env)))["email"] == "you@example.com"


def test_who_is_not_logged_in_is_told_the_one_command(tmp_path: Path) -> None:
    with pytest.raises(NoCredentials) as told:
        tokens(gcloud(tmp_path / "bin", logged_in=False))
    assert told.value.hint == LOGIN
