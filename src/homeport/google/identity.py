"""ID tokens: who calls a Cloud Run service, told to it alone."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from homeport.errors import NoCredentials
from homeport.google.errors import LOGIN, RequestContext, error_of
from homeport.google.exchange import AuthResponse, Exchange
from homeport.google.refusal import read
from homeport.json_types import Json
from homeport.secret import Secret, judged

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
_HOST = "iamcredentials.googleapis.com"
_SIGNED_S = 3600
"""How long what an account signs is good: as long as Google's guide on Identity-Aware Proxy has it."""
_UNKNOWN_S = 600.0
"""How long a token lasts that does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token, and for how many seconds from now it is good."""

    value: Secret
    lasts: float

    def __post_init__(self) -> None:
        # An HTTP library that cannot send it would say so with all of it.
        value = judged(
            self.value.compared(), called="the token that there is", error=NoCredentials, hint=LOGIN
        )
        object.__setattr__(self, "value", value)


def claims(token: Secret) -> Mapping[str, Json]:
    """Return what an ID token says, unverified; {} where it is none. The service that is shown it verifies it."""
    try:
        middle = token.reveal().split(".")[1]
        payload = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    except (IndexError, ValueError):
        return {}
    return payload if isinstance(payload, dict) else {}


def identity(token: Secret) -> Token:
    """Return an ID token with the time that it is good for."""
    ends = claims(token).get("exp")
    return Token(
        value=token, lasts=float(ends) - time.time() if isinstance(ends, int | float) else _UNKNOWN_S
    )


def id_token_of(
    exchange: Exchange, caller: Secret, account: str, audience: str, delegates: Sequence[str] = ()
) -> Token:
    """Return an ID token of the service account `account`, made for `caller`'s access token. Raises `GoogleError`."""
    body = {"audience": audience, "includeEmail": True, "delegates": list(delegates)}
    answer = _send(exchange, caller, f"v1/projects/-/serviceAccounts/{account}:generateIdToken", body)
    return identity(Secret(str(answer.json()["token"])))


def access_token_of(exchange: Exchange, caller: Secret, account: str, *, principal: str = "") -> Token:
    """Return an access token of the service account `account`, made for `caller`'s. Raises `GoogleError`."""
    body = {"scope": [CLOUD_PLATFORM], "lifetime": "3600s"}
    path = f"v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    response = _send(exchange, caller, path, body, principal=principal).json()
    ends = datetime.fromisoformat(str(response["expireTime"]))
    return Token(value=Secret(str(response["accessToken"])), lasts=(ends - datetime.now(UTC)).total_seconds())


def signed_jwt_of(
    exchange: Exchange, caller: Secret, account: str, audience: str, delegates: Sequence[str] = ()
) -> Token:
    """Return a JWT that the service account `account` signs for `audience`, made for `caller`'s access token. Raises `GoogleError`."""
    body = {"payload": json.dumps(own_claims(account, audience)), "delegates": list(delegates)}
    answer = _send(exchange, caller, f"v1/projects/-/serviceAccounts/{account}:signJwt", body)
    return identity(Secret(str(answer.json()["signedJwt"])))


def own_claims(account: str, audience: str) -> dict[str, Json]:
    """Return what a service account says of itself to `audience`, for an hour."""
    now = int(time.time())
    return {"iss": account, "sub": account, "aud": audience, "iat": now, "exp": now + _SIGNED_S}


def no_signed_jwt(why: str) -> NoCredentials:
    """Return the error where these credentials are no service account's, which could sign for itself."""
    return NoCredentials(
        f"nothing can be signed: {why}. Identity-Aware Proxy lets people in by a browser, and programs by what a service account "
        "signs",
        hint="name a service account that you may act as, and that [access] iap lets in: "
        "export HOMEPORT_IMPERSONATE=NAME@PROJECT.iam.gserviceaccount.com",
    )


def no_id_token(audience: str, why: str) -> NoCredentials:
    """Return the error where these credentials make no ID tokens."""
    return NoCredentials(
        f"there is no ID token for {audience}: {why}",
        hint="`gcloud auth login`, or name a service account that you may act as: "
        "export HOMEPORT_IMPERSONATE=NAME@PROJECT.iam.gserviceaccount.com",
    )


def _send(
    exchange: Exchange,
    caller: Secret,
    path: str,
    body: Mapping[str, Json],
    *,
    principal: str = "",
) -> AuthResponse:
    headers = {"authorization": f"Bearer {caller.reveal()}"}
    answer = exchange.send("POST", f"https://{_HOST}/{path}", body, headers=headers)
    if answer.status == 200:
        return answer
    account = path.partition("serviceAccounts/")[2].partition(":")[0]
    project = account.partition("@")[2].partition(".")[0]
    request = RequestContext(verb="POST", host=_HOST, path=path, project=project, principal=principal)
    raise error_of(read(answer.status, answer.data), request)
