"""
Tokens: impersonation, workload identity federation, and identity tokens for Cloud Run.

An access token is `rehearsal.MARK.EMAIL`, see `credentials`; so is a refresh token. An identity token has the shape of Google's, a JWT with the same claims, but is
signed by a key of this cloud's own (HMAC): only this cloud can check it. Their times are the machine's own, whatever
the speed of the cloud's clock, since clients compare them with that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.iam import service_accounts as accounts
from gcp_rehearsal.apis.iam.signing import asserted, decoded, encoded, signed_jwt
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, info, invalid, unimplemented
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

ISSUER = "https://accounts.google.com"
_LASTS_S = 3600
_LONGEST_S = 3600
_POOL = "//iam.googleapis.com/"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


_INVALID_GRANT = Reply(status=400, body={"error": "invalid_grant", "error_description": "Bad Request"})


def id_token(cloud: Cloud, email: str, audience: str) -> str:
    """Return an identity token of `email` for `audience`, good for an hour."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": audience,
        "azp": email,
        "sub": str(int.from_bytes(hashlib.sha256(email.encode()).digest()[:8], "big")),
        "email": email,
        "email_verified": True,
        "iat": now,
        "exp": now + _LASTS_S,
    }
    head = encoded(json.dumps({"alg": "HS256", "typ": "JWT", "kid": "rehearsal"}).encode())
    body = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{body}.{_signature(cloud, body)}"


def verify_id_token(cloud: Cloud, token: str, audience: str = "") -> JsonObject:
    """
    Return the claims of an identity token that this cloud made, that has not ended, and that is for
    `audience`, if one is named.

    Raises `ApiError` 401.
    """
    body, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(cloud, body).encode()):
        raise ApiError(401, "The access token could not be verified")
    claims: JsonObject = json.loads(decoded(body.partition(".")[2]))
    if claims["exp"] < time.time():
        raise ApiError(401, "The access token has expired")
    if audience and claims["aud"] != audience:
        raise ApiError(401, f"The access token is for {claims['aud']}, not for {audience}")
    return claims


def _generate_access(call: Call) -> Json:
    email = _may(call, "iam.serviceAccounts.getAccessToken")
    text = str(call.body.get("lifetime") or f"{_LASTS_S}s")
    seconds = float(text.removesuffix("s") or "0")
    if not 0 < seconds <= _LONGEST_S:
        raise invalid(
            f"Requested lifetime {text} is longer than the maximum of {_LONGEST_S}s.", ("lifetime", text)
        )
    if not call.body.get("scope"):
        raise invalid("Scope required.", ("scope", "at least one scope"))
    ends = datetime.fromtimestamp(time.time() + seconds, UTC)
    return {
        "accessToken": call.cloud.token(email),
        "expireTime": ends.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _generate_id(call: Call) -> Json:
    email = _may(call, "iam.serviceAccounts.getOpenIdToken")
    audience = str(call.body.get("audience") or "")
    if not audience:
        raise invalid("Audience required.", ("audience", "whom the token is for"))
    return {"token": id_token(call.cloud, email, audience)}


def _may(call: Call, permission: str) -> str:
    """Return the account's e-mail, if the caller may have tokens of it. Raises `ApiError`."""
    account = accounts.by_name(call.cloud, call.name)
    email = account.id if account else call.name.rpartition("/")[2]
    project = account.project if account else accounts.project_of(call.cloud, email)
    name = f"projects/{project}/serviceAccounts/{email}"
    held = project and call.cloud.access.held(call.caller, [permission], "iam", name, project)
    if account is None or not held or not call.cloud.account_is_visible(email):
        raise ApiError(
            403,
            f"Permission '{permission}' denied on resource (or it may not exist).",
            details=[info("IAM_PERMISSION_DENIED", "iam.googleapis.com", permission=permission)],
        )
    return email


def _sign_jwt(call: Call) -> Json:
    email = _may(call, "iam.serviceAccounts.signJwt")
    account = accounts.by_name(call.cloud, email)
    assert account is not None
    return signed_jwt(account, str(call.body.get("payload") or ""))


def _no_signing(call: Call) -> Json:
    raise unimplemented("signing what is no JWT in the name of an account")


def _exchange(call: Call) -> Json:
    """Exchange the token of somebody outside, who is in a pool, for one of Google's."""
    body = call.body
    if body.get("grantType") != _EXCHANGE:
        raise _oauth("unsupported_grant_type", f"grant_type must be {_EXCHANGE}")
    audience = str(body.get("audience") or "")
    name = call.cloud.by_id(audience.removeprefix(_POOL))
    provider = call.cloud.store.get("iam", name)
    if not audience.startswith(_POOL) or provider is None:
        raise _oauth(
            "invalid_target",
            f'The target service indicated by the "audience" parameters is invalid: {audience}',
        )
    subject = _subject(str(body.get("subjectToken") or ""))
    pool = name.partition("/providers/")[0]
    principal = f"principal://iam.googleapis.com/{call.cloud.by_number(pool)}/subject/{subject}"
    return {
        "access_token": call.cloud.token(principal),
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": _LASTS_S,
    }


def _subject(token: str) -> str:
    """Return whom a JWT is about. Its signature is not checked: the rehearsal knows nobody outside."""
    try:
        return str(read_json(decoded(token.split(".")[1]))["sub"])
    except (IndexError, KeyError, ValueError) as error:
        raise _oauth(
            "invalid_grant", "Error parsing credentials: the subject token is not a JWT with a sub"
        ) from error


def _token(cloud: Cloud, request: Request) -> Reply:
    """Answer as Google's token endpoint: for a refresh token, and for a service account's assertion.

    An assertion is signed with a key of the account's that was made here. In the files that stand for a login,
    `private_key_id` is a token of the account's: there the signature is not checked.
    """
    form = {key: values[-1] for key, values in parse_qs(request.body.decode(errors="replace")).items()}
    if form.get("grant_type") == "refresh_token":
        email = credentials.whose(cloud.secret, form.get("refresh_token", ""))
        if not email:
            return _INVALID_GRANT
        granted = _granted(cloud, email)
        return Reply(body=granted | {"id_token": id_token(cloud, email, form.get("client_id", ""))})
    if form.get("grant_type") == _JWT:
        claims = asserted(cloud, form.get("assertion", ""))
        if claims is None:
            return _INVALID_GRANT
        if claims.get("target_audience"):
            return Reply(body={"id_token": id_token(cloud, claims["iss"], claims["target_audience"])})
        return Reply(body=_granted(cloud, claims["iss"]))
    return Reply(status=400, body={"error": "unsupported_grant_type"})


def _about(cloud: Cloud, request: Request) -> Reply:
    """Return whose an access token is."""
    from_query = parse_qs(request.query).get("access_token", [""])[0]
    token = from_query or request.headers.get("authorization", "").partition(" ")[2]
    email = credentials.whose(cloud.secret, token)
    if not email:
        return Reply(status=400, body={"error": "invalid_token"})
    return Reply(body={"email": email, "email_verified": "true", "expires_in": str(_LASTS_S)})


def _granted(cloud: Cloud, email: str) -> JsonObject:
    return {"access_token": cloud.token(email), "expires_in": _LASTS_S, "token_type": "Bearer"}


def _oauth(error: str, text: str) -> ApiError:
    return ApiError(400, f"{error}: {text}")


def _signature(cloud: Cloud, text: str) -> str:
    return encoded(hmac.new(cloud.key, text.encode(), "sha256").digest())


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "iamcredentials.projects.serviceAccounts.generateAccessToken": _generate_access,
    "iamcredentials.projects.serviceAccounts.generateIdToken": _generate_id,
    "iamcredentials.projects.serviceAccounts.signBlob": _no_signing,
    "iamcredentials.projects.serviceAccounts.signJwt": _sign_jwt,
    "sts.token": _exchange,
}
PATHS: Mapping[str, Callable[[Cloud, Request], Reply]] = {
    "/token": _token,
    "/tokeninfo": _about,
}
