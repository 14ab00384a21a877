"""What the `gcloud` of this machine knows about who is logged in."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from homeport.child_environment import without_secrets
from homeport.errors import NoCredentials
from homeport.google.errors import LOGIN
from homeport.google.identity import Token, identity, no_id_token, no_signed_jwt
from homeport.secret import Secret

_PATIENCE_S = 30.0
_LASTS_S = 600.0
"""gcloud renews a token that is about to end before it prints it; how long it lasts it does not say."""


@dataclass(frozen=True, slots=True)
class Gcloud:
    """`gcloud`, where it is on the PATH. Its answers are kept out of every message."""

    command: str
    env: Mapping[str, str]
    quota_project: str = ""

    @property
    def principal(self) -> str:
        """Return '': it is not known before gcloud is asked."""
        return ""

    def who(self) -> str:
        """Return the account that is logged in; '' where gcloud does not say."""
        return self._ask("config", "get", "account")

    def project(self) -> str:
        """Return the project that is set; '' where none is, or gcloud does not say."""
        return self._ask("config", "get", "project")

    def token(self) -> Token:
        """Return an access token. Raises `NoCredentials` where nobody is logged in."""
        text = self._ask("auth", "print-access-token", "--quiet")
        if not text:
            raise NoCredentials("nobody is logged in to Google Cloud", hint=LOGIN)
        return Token(value=Secret(text), lasts=_LASTS_S)

    def id_token(self, audience: str) -> Token:
        """
        Return an ID token of the account that is logged in. A user's has gcloud's own audience, which Cloud
        Run takes.
        """
        text = self._ask("auth", "print-identity-token", "--quiet")
        if not text:
            raise no_id_token(audience, "nobody is logged in to gcloud")
        return identity(Secret(text))

    def signed_jwt(self, audience: str) -> Token:
        """Raise `NoCredentials`: whoever is logged in to gcloud, a service account too, signs by nothing that is here."""
        raise no_signed_jwt(f"gcloud is logged in as {self.who() or 'nobody'}, and gives no signature")

    def _ask(self, *arguments: str) -> str:
        try:
            ran = subprocess.run(
                [self.command, *arguments],
                env=without_secrets(self.env, own=("CLOUDSDK_*", "GOOGLE_*")),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise NoCredentials(
                f"`gcloud {' '.join(arguments)}` did not answer in {_PATIENCE_S:.0f} s",
                hint=LOGIN,
            ) from error
        except OSError:
            return ""
        return ran.stdout.strip() if ran.returncode == 0 else ""


def find(env: Mapping[str, str], *, quota_project: str = "") -> Gcloud | None:
    """Find `gcloud` on the PATH of `env`; None where there is none."""
    command = shutil.which("gcloud", path=env.get("PATH", ""))
    return Gcloud(command, env, quota_project) if command else None
