"""
Who asks: credentials as Google's own tools find them, kept fresh, never shown.

Looked for in this order: a token in `CLOUDSDK_AUTH_ACCESS_TOKEN`; Application Default Credentials (a file, or
the metadata server); the account that is logged in to `gcloud`. With `HOMEPORT_IMPERSONATE` they act as that
service account.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from homeport.addresses import ensure_address
from homeport.errors import NoCredentials
from homeport.google.errors import LOGIN
from homeport.google.identity import (
    Token,
    access_token_of,
    claims,
    id_token_of,
    no_id_token,
    no_signed_jwt,
    signed_jwt_of,
)
from homeport.secret import Secret, judged

if TYPE_CHECKING:
    from homeport.google.exchange import Exchange

_AHEAD_S = 300.0
"""How long before its end a token is renewed."""
_FOREVER = float("inf")


class TokenSource(Protocol):
    """Where tokens come from. Its methods block; each raises `NoCredentials` where no token can be made."""

    @property
    def principal(self) -> str:
        """Return the e-mail of the caller, as far as it is known."""

    @property
    def quota_project(self) -> str:
        """Return the project whose quota is used; '' for Google's choice."""

    def who(self) -> str:
        """Return the e-mail, found out if need be; '' where it cannot be."""

    def token(self) -> Token:
        """Return a new access token."""

    def id_token(self, audience: str) -> Token:
        """Return a new ID token for `audience`. Raises `NoCredentials` where there is none for it."""

    def signed_jwt(self, audience: str) -> Token:
        """Return a JWT that the caller's own service account signs for `audience`. Raises `NoCredentials` where there is none."""


@dataclass(frozen=True, slots=True)
class FixedToken:
    """An access token that was given, and cannot be renewed."""

    value: Secret
    principal: str = ""
    quota_project: str = ""

    def who(self) -> str:
        """Return whose it is, where that was given, too."""
        return self.principal

    def token(self) -> Token:
        """Return the token."""
        return Token(value=self.value, lasts=_FOREVER)

    def id_token(self, audience: str) -> Token:
        """Return a new ID token for `audience`. Raises `NoCredentials` where there is none for it."""
        raise no_id_token(audience, "an access token alone makes none")

    def signed_jwt(self, audience: str) -> Token:
        """Raise `NoCredentials`: an access token does not tell whether it is a service account's."""
        raise no_signed_jwt("an access token alone signs nothing")


@dataclass(frozen=True, slots=True)
class Impersonated:
    """A service account, acted as by the account of `source`."""

    source: TokenSource
    principal: str
    exchange: Exchange
    quota_project: str = ""

    def who(self) -> str:
        """Return the service account's e-mail."""
        return self.principal

    def token(self) -> Token:
        """Return a new access token. Raises `PermissionDenied` where the source may not act as the account."""
        caller = self.source.token().value
        return access_token_of(self.exchange, caller, self.principal, principal=self.source.principal)

    def id_token(self, audience: str) -> Token:
        """Return a new ID token for `audience`."""
        return id_token_of(self.exchange, self.source.token().value, self.principal, audience)

    def signed_jwt(self, audience: str) -> Token:
        """Return a JWT that the service account signs for `audience`."""
        return signed_jwt_of(self.exchange, self.source.token().value, self.principal, audience)


@dataclass(slots=True)
class _CachedToken:
    """A token, renewed by one at a time, whichever threads and event loops ask for it."""

    token: Secret | None = field(default=None, repr=False)
    until: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    """Taken in a worker's thread, where it keeps no event loop waiting; asyncio's own belongs to one loop."""

    async def fresh(self, make: Callable[[], Token], *, stale: Secret | None = None) -> Secret:
        clock = asyncio.get_running_loop().time
        good = self._good(clock(), stale)
        return good if good is not None else await asyncio.to_thread(self._renewed, make, stale, clock)

    def _good(self, now: float, stale: Secret | None) -> Secret | None:
        token = self.token
        return token if token is not None and now < self.until and token is not stale else None

    def _renewed(self, make: Callable[[], Token], stale: Secret | None, clock: Callable[[], float]) -> Secret:
        with self.lock:
            good = self._good(clock(), stale)
            if good is not None:
                return good
            token_now = make()
            # A token that is short-lived anyway is used for half its life.
            self.until = clock() + token_now.lasts - min(_AHEAD_S, token_now.lasts / 2)
            self.token = token_now.value
            return token_now.value


class Credentials:
    """Tokens of one source, renewed some minutes before they end, by one at a time; for any number of event loops."""

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._access = _CachedToken()
        self._ids: dict[str, _CachedToken] = {}
        self._signed: dict[str, _CachedToken] = {}

    def __repr__(self) -> str:
        return f"Credentials({self.principal or type(self._source).__name__})"

    @property
    def principal(self) -> str:
        """Return the e-mail of the caller, as far as it is known."""
        return self._source.principal

    @property
    def quota_project(self) -> str:
        """Return the project whose quota is used; '' for Google's choice."""
        return self._source.quota_project

    async def who(self) -> str:
        """Return the e-mail of the caller, found out if need be; '' where that cannot be."""
        return self.principal or await asyncio.to_thread(self._source.who)

    async def token(self) -> Secret:
        """Return an access token that is good for some minutes at least. Raises `NoCredentials`."""
        return await self._access.fresh(self._source.token)

    async def renewed(self, stale: Secret) -> Secret:
        """Return another access token than `stale`, which was not taken."""
        return await self._access.fresh(self._source.token, stale=stale)

    async def id_token(self, audience: str) -> Secret:
        """Return an ID token for `audience`, such as a Cloud Run service's URL. Raises `NoCredentials`."""
        return await self._id(audience)

    async def renewed_id_token(self, audience: str, stale: Secret) -> Secret:
        """Return another ID token for `audience` than `stale`, which was not taken."""
        return await self._id(audience, stale)

    async def signed_jwt(self, audience: str, stale: Secret | None = None) -> Secret:
        """Return a JWT that the caller's service account signs for `audience`, another one than `stale`. Raises `NoCredentials`."""
        cached = self._signed.setdefault(audience, _CachedToken())
        return await cached.fresh(lambda: self._source.signed_jwt(audience), stale=stale)

    async def _id(self, audience: str, stale: Secret | None = None) -> Secret:
        cached = self._ids.setdefault(audience, _CachedToken())
        return await cached.fresh(lambda: self._source.id_token(audience), stale=stale)


class GoogleIdentity:
    """The owner of `credentials`, as the caller of the service that `audience` names: a `homeport.identity.Identity`."""

    def __init__(self, credentials: Credentials, audience: str) -> None:
        self._credentials, self._audience = credentials, audience

    def __repr__(self) -> str:
        return f"Caller({self._credentials!r}, {self._audience!r})"

    async def token(self) -> Secret:
        """Return an ID token that is good for some minutes at least. Raises `NoCredentials`."""
        return await self._credentials.id_token(self._audience)

    async def renewed(self, stale: Secret) -> Secret:
        """Return another ID token than `stale`, which was not taken."""
        return await self._credentials.renewed_id_token(self._audience, stale)

    async def who(self) -> str:
        """
        Return the e-mail that the token itself names, since that is whom the service sees; else the
        credentials' own.
        """
        return str(claims(await self.token()).get("email", "")) or await self._credentials.who()


class SignedIdentity:
    """The service account of `credentials`, as the caller of what Identity-Aware Proxy guards at `url`: a `homeport.identity.Identity`."""

    through_iap = True

    def __init__(self, credentials: Credentials, url: str) -> None:
        self._credentials, self._audience = credentials, f"{url}/*"

    def __repr__(self) -> str:
        return f"Signer({self._credentials!r}, {self._audience!r})"

    async def token(self) -> Secret:
        """Return a JWT that is good for some minutes at least. Raises `NoCredentials`."""
        return await self._credentials.signed_jwt(self._audience)

    async def renewed(self, stale: Secret) -> Secret:
        """Return another JWT than `stale`, which was not taken."""
        return await self._credentials.signed_jwt(self._audience, stale)

    async def who(self) -> str:
        """Return the e-mail of the account that signs."""
        return str(claims(await self.token()).get("iss", ""))


def from_access_token(token: str, principal: str = "") -> Credentials:
    """Return credentials of one access token."""
    return Credentials(FixedToken(Secret(token), principal))


async def find(env: Mapping[str, str], *, impersonate: str = "", base_url: str = "") -> Credentials:
    """
    Return the credentials of the user who runs this, told by the environment `env`.

    With `impersonate` (or `HOMEPORT_IMPERSONATE`) they act as that service account. Raises `NoCredentials`,
    which says the one command to run, where there are none; whether they are good shows when they are used.
    """
    from homeport.google.exchange import Exchange

    stand_in = base_url or env.get("HOMEPORT_GOOGLE_URL", "")
    if stand_in:
        ensure_address(stand_in, called="HOMEPORT_GOOGLE_URL")
    exchange = Exchange(base_url=stand_in)
    source = await asyncio.to_thread(_source, env, exchange)
    account = impersonate or env.get("HOMEPORT_IMPERSONATE", "")
    if account:
        return Credentials(Impersonated(source, account, exchange, _quota_project(env)))
    return Credentials(source)


def _source(env: Mapping[str, str], exchange: Exchange) -> TokenSource:
    from homeport.google import adc, gcloud

    quota_project = _quota_project(env)
    if env.get("CLOUDSDK_AUTH_ACCESS_TOKEN"):
        return FixedToken(
            judged(
                env["CLOUDSDK_AUTH_ACCESS_TOKEN"],
                called="the variable CLOUDSDK_AUTH_ACCESS_TOKEN",
                error=NoCredentials,
                hint=f"`unset CLOUDSDK_AUTH_ACCESS_TOKEN` and `{LOGIN}`",
            ),
            env.get("CLOUDSDK_CORE_ACCOUNT", ""),
            quota_project,
        )
    source = adc.find(env, exchange, quota_project=quota_project)
    if source is not None:
        return source
    command = gcloud.find(env, quota_project=quota_project)
    if command is not None:
        return command
    raise NoCredentials("nobody is logged in to Google Cloud", hint=LOGIN)


def _quota_project(env: Mapping[str, str]) -> str:
    return env.get("GOOGLE_CLOUD_QUOTA_PROJECT") or env.get("CLOUDSDK_BILLING_QUOTA_PROJECT", "")
