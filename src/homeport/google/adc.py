"""
Application Default Credentials: the file that is named or well known, or the metadata server.

google-auth reads each kind of file. `google.auth.default` itself is not used: it starts gcloud at every run to
ask for a project, calls an API to the same end for workload identity, and needs `requests` for the metadata
server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeport.errors import HomeportError, NetworkError, NoCredentials
from homeport.google import gcloud
from homeport.google.errors import LOGIN, RequestContext, error_of
from homeport.google.exchange import Exchange, module
from homeport.google.identity import (
    CLOUD_PLATFORM,
    Token,
    claims,
    id_token_of,
    identity,
    no_id_token,
    no_signed_jwt,
    own_claims,
    signed_jwt_of,
)
from homeport.google.refusal import read
from homeport.json_types import JsonObject
from homeport.redaction import remember
from homeport.secret import Secret

_NAMED = "GOOGLE_APPLICATION_CREDENTIALS"
_SECRETS = ("private_key", "refresh_token", "client_secret")
"""What of a file of credentials is secret."""
_FLAVOUR = {"metadata-flavor": "Google"}
_PING_S = 2.0
_GCLOUD = "32555940559.apps.googleusercontent.com"
"""The client by which people log in to gcloud; Cloud Run takes the ID tokens that it has for them."""


def find(
    env: Mapping[str, str], exchange: Exchange, *, quota_project: str = ""
) -> CredentialsFile | Metadata | None:
    """
    Return the credentials that an application is meant to use here; None where there are none.

    Raises `NoCredentials` for a file that cannot be used.
    """
    path = _path(env)
    if path is not None:
        return CredentialsFile(path, env, exchange, quota_project=quota_project)
    metadata = Metadata(env, exchange, quota_project=quota_project)
    return metadata if env.get("NO_GCE_CHECK", "").lower() != "true" and metadata.exists() else None


def _path(env: Mapping[str, str]) -> Path | None:
    if env.get(_NAMED):
        return Path(env[_NAMED])
    folder = env.get("CLOUDSDK_CONFIG") or (f"{env['HOME']}/.config/gcloud" if env.get("HOME") else "")
    known = Path(folder) / "application_default_credentials.json"
    return known if folder and known.is_file() else None


class CredentialsFile:
    """Credentials of a file, by google-auth. Nothing of them is in its repr."""

    def __init__(
        self, path: Path, env: Mapping[str, str], exchange: Exchange, *, quota_project: str = ""
    ) -> None:
        self._path, self._env, self._exchange = path, env, exchange
        self._info = _read(path)
        self._kind = str(self._info.get("type", ""))
        self._credentials = self._loaded(self._info)
        self.quota_project = quota_project or str(getattr(self._credentials, "quota_project_id", None) or "")
        self.principal = str(
            getattr(self._credentials, "service_account_email", "") or self._info.get("account") or ""
        )

    def who(self) -> str:
        """Return whose they are. A user's file does not say it, but the answer to a refresh does."""
        token = getattr(self._credentials, "id_token", None)
        return self.principal or (
            str(claims(Secret(token)).get("email", "")) if isinstance(token, str) else ""
        )

    def token(self) -> Token:
        """Return a new access token. Raises `NoCredentials` where they have ended or were taken back."""
        self._refresh(self._credentials)
        return _token(self._credentials)

    def id_token(self, audience: str) -> Token:
        """Return a new ID token for `audience`; a user's comes from gcloud, which knows no audience for people."""
        if self._kind == "service_account":
            credentials = module(
                "google.oauth2.service_account"
            ).IDTokenCredentials.from_service_account_info(self._info, target_audience=audience)
            self._refresh(credentials)
            return identity(Secret(str(credentials.token)))
        if (source := self._acting()) is not None:
            return id_token_of(
                self._exchange, _token(source).value, self.principal, audience, self._delegates
            )
        if self._kind == "authorized_user":
            if self._info.get("client_id") == _GCLOUD:
                # What gcloud itself would answer: a refresh by its client has an ID token of its audience.
                self._refresh(self._credentials)
                return identity(Secret(str(self._credentials.id_token)))
            command = gcloud.find(self._env)
            if command is not None:
                return command.id_token(audience)
            raise no_id_token(audience, "a user's own credentials make none, and there is no gcloud")
        raise no_id_token(audience, f"credentials of the type {self._kind} make none")

    def signed_jwt(self, audience: str) -> Token:
        """Return a JWT that the file's service account signs for `audience`: by its key, or where it is acted as, by Google."""
        if self._kind == "service_account":
            said = own_claims(self.principal, audience)
            signed = module("google.auth.jwt").encode(self._credentials.signer, said)
            return identity(Secret(signed.decode()))
        source = self._acting()
        if source is None:
            raise no_signed_jwt(f"credentials of the type {self._kind} are no service account's")
        return signed_jwt_of(self._exchange, _token(source).value, self.principal, audience, self._delegates)

    def _acting(self) -> Any | None:  # Any: google-auth's
        """Return the fresh credentials of who acts as the file's service account; None where nobody does."""
        if self._kind == "impersonated_service_account":
            source = self._loaded(self._info["source_credentials"])
        elif self._kind == "external_account" and self.principal:
            items = self._info.items()
            source = self._loaded(
                {key: value for key, value in items if not key.startswith("service_account_imp")}
            )
        else:
            return None
        self._refresh(source)
        return source

    @property
    def _delegates(self) -> list[str]:
        names = self._info.get("delegates") or ()
        return [f"projects/-/serviceAccounts/{name}" if "/" not in name else name for name in names]

    def _loaded(self, info: Mapping[str, Any]) -> Any:  # Any: JSON; google-auth's credentials
        try:
            return _of_info(dict(info))
        except HomeportError:
            raise
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            module("google.auth.exceptions").GoogleAuthError,
        ) as error:
            raise NoCredentials(
                f"{self._path} holds no credentials that can be used: {type(error).__name__}", hint=LOGIN
            ) from error

    def _refresh(self, credentials: Any) -> None:  # Any: google-auth's
        exceptions = module("google.auth.exceptions")
        try:
            credentials.refresh(self._exchange)
        except exceptions.TransportError as error:
            raise NetworkError(str(error), hint="check the network, or the proxy's settings") from error
        except (exceptions.GoogleAuthError, ValueError, OSError) as error:
            # Its arguments may hold what a token endpoint answered: nothing that a traceback should show.
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> HomeportError:
        parts = [str(part) for part in error.args]
        if len(parts) > 1 and '"error"' in parts[1] and "impersonated" in parts[0]:
            path = f"v1/projects/-/serviceAccounts/{self.principal}:generateAccessToken"
            request = RequestContext(verb="POST", host="iamcredentials.googleapis.com", path=path,
                          project=self.principal.partition("@")[2].partition(".")[0])  # fmt: skip
            return error_of(read(403, parts[1].encode()), request)
        whose = f" of {self.principal}" if self.principal else ""
        message = f"the credentials{whose} in {self._path} are not taken any more: {parts[0] if parts else type(error).__name__}"
        if self._kind in {"service_account", "external_account"}:
            return NoCredentials(message, hint=f"make new ones, or `unset {_NAMED}` and `{LOGIN}`")
        return NoCredentials(message, hint=LOGIN)


class Metadata:
    """The credentials of the machine, job or service that this runs on, by its metadata server."""

    def __init__(self, env: Mapping[str, str], exchange: Exchange, *, quota_project: str = "") -> None:
        host = env.get("GCE_METADATA_HOST") or env.get("GCE_METADATA_ROOT") or "metadata.google.internal"
        self._root = f"http://{host}/computeMetadata/v1/instance/service-accounts/default"
        # By address: on some networks it takes half a minute until a name is known to be unknown.
        self._ping = (
            f"http://{env.get('GCE_METADATA_IP') or env.get('GCE_METADATA_HOST') or '169.254.169.254'}/"
        )
        self._exchange = exchange
        self.quota_project = quota_project
        self.principal = ""

    def exists(self) -> bool:
        """Return True if this machine has one."""
        try:
            answer = self._exchange.send("GET", self._ping, headers=_FLAVOUR, timeout=_PING_S)
        except NetworkError:
            return False
        return answer.headers.get("metadata-flavor") == "Google"

    def who(self) -> str:
        """Return the service account's e-mail."""
        self.principal = self.principal or self._get("email").decode()
        return self.principal

    def token(self) -> Token:
        """Return a new access token, for at least some minutes."""
        response = json.loads(self._get("token"))
        return Token(value=Secret(str(response["access_token"])), lasts=float(response["expires_in"]))

    def id_token(self, audience: str) -> Token:
        """Return a new ID token for `audience`."""
        from urllib.parse import quote

        return identity(
            Secret(self._get(f"identity?audience={quote(audience, safe='')}&format=full").decode())
        )

    def signed_jwt(self, audience: str) -> Token:
        """Return a JWT that this machine's account signs for `audience`: for that it must be allowed to act as itself."""
        return signed_jwt_of(self._exchange, self.token().value, self.who(), audience)

    def _get(self, what: str) -> bytes:
        answer = self._exchange.send("GET", f"{self._root}/{what}", headers=_FLAVOUR)
        if answer.status != 200:
            raise NoCredentials(
                f"the metadata server of this machine gives no {what.partition('?')[0]}: {answer.status}",
                hint="does it have a service account?",
            )
        return answer.data


def _of_info(info: dict[str, Any]) -> Any:  # Any: JSON; google-auth's credentials
    kind, scopes = info.get("type"), [CLOUD_PLATFORM]
    if kind == "authorized_user":
        return module("google.oauth2.credentials").Credentials.from_authorized_user_info(info)
    if kind == "service_account":
        return module("google.oauth2.service_account").Credentials.from_service_account_info(
            info, scopes=scopes
        )
    if kind == "external_account":
        return _external(info).from_info(info, scopes=scopes)
    if kind == "external_account_authorized_user":
        return module("google.auth.external_account_authorized_user").Credentials.from_info(info)
    if kind == "impersonated_service_account":
        credentials = module("google.auth.impersonated_credentials").Credentials
        return credentials.from_impersonated_service_account_info(info, scopes=scopes)
    raise ValueError(kind)


def _external(info: Mapping[str, Any]) -> Any:  # Any: JSON; a class of google-auth's
    if info.get("subject_token_type") == "urn:ietf:params:aws:token-type:aws4_request":
        return module("google.auth.aws").Credentials
    if "executable" in (info.get("credential_source") or {}):
        return module("google.auth.pluggable").Credentials
    return module("google.auth.identity_pool").Credentials


def _token(credentials: Any) -> Token:  # Any: google-auth's
    ends = credentials.expiry.replace(tzinfo=UTC) if credentials.expiry else None
    lasts = (ends - datetime.now(UTC)).total_seconds() if ends else 600.0
    return Token(value=Secret(str(credentials.token)), lasts=lasts)


def _read(path: Path) -> JsonObject:
    try:
        info = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NoCredentials(
            f"the credentials in {path} cannot be read: {error if isinstance(error, OSError) else 'it is no JSON'}",
            hint=f"`unset {_NAMED}` if it is set, and `{LOGIN}`",
        ) from error
    if not isinstance(info, dict):
        return {}
    for name in _SECRETS:
        if isinstance(info.get(name), str):
            remember(info[name])  # google-auth sends them, which wraps nothing in a `Secret`.
    return info
