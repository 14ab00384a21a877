"""
Identity-Aware Proxy before a Cloud Run service: whom it lets in, and what it hands on of them.

Its answers are in the words that public reports quote. It acts out what Google's guide names for programs, a JWT that a service
account signs for itself with the address as its audience; nobody logs in with a browser here. Of OAuth clients it knows whether
there is one: in a project of no organisation that has none, nothing is answered.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from gcp_rehearsal.apis.iam.signing import asserted, claims_of, encoded
from gcp_rehearsal.apis.iap.own_clients import has_client
from gcp_rehearsal.apis.iap.web import resource_of
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.runtime.request_refused import RequestRefused
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from gcp_rehearsal.context import Cloud

Headers = list[tuple[str, str]]

_ACCESS = "iap.webServiceVersions.accessViaIAP"
_AGENT = "service-{number}@gcp-sa-iap.iam.gserviceaccount.com"
_ASSERTED_S = 600
_AHEAD_S = 60
"""How far another's clock may be ahead; no page says so."""
_LONGEST_S = 3600
"""As long as Google's guide has a token of an account's own: none that lasts longer is taken here."""
_ISSUER = "https://cloud.google.com/iap"
_LOGIN = "https://accounts.google.com/o/oauth2/v2/auth"
_OWN = ("x-goog-iap-", "x-goog-authenticated-user-", "x-serverless-authorization")
"""Headers that only the proxy says to a service: a client's are taken away."""
_SHOWN = ("authorization", "proxy-authorization")
"""Where it looks for a token, in this order."""
_NO_CLIENT = "Empty Google Account OAuth client ID(s)/secret(s)."
_UNSIGNED = "SIGNATURE_REMOVED_BY_GOOGLE"


def through_iap(cloud: Cloud, service: StoredResource, path: str, headers: Headers) -> Headers:
    """
    Return the headers of a request as the proxy hands them on to a service. Raises `RequestRefused` for one that it does not let in,
    and where Cloud Run does not let the proxy itself in.
    """
    if not has_client(cloud, service):
        # Whether that holds for what a service account signs, too, no page says; reports have it so for every request.
        raise RequestRefused(502, "", _NO_CLIENT, own=_told())
    url = f"https://{dict(headers).get('host', '').partition(':')[0]}{path}"
    email = _identified(cloud, url, headers)
    if not cloud.access.held(Caller(email), [_ACCESS], "iap", resource_of(service.name), service.project):
        raise RequestRefused(403, "Forbidden", "You don't have access", own=_told())
    project = cloud.project(service.project)
    assert project is not None
    agent, may = Caller(_AGENT.format(number=project.number)), "run.routes.invoke"
    if not service.body.get("invokerIamDisabled") and not cloud.access.held(
        agent, [may], "run", service.name, service.project
    ):
        raise RequestRefused(
            403, "Forbidden", "Your client does not have permission to get URL from this server."
        )
    kept = [(name, value) for name, value in headers if not name.startswith(_OWN)]
    kept = [(name, value) for name, value in kept if name != "proxy-authorization"]
    number = int.from_bytes(hashlib.sha256(email.encode()).digest()[:8], "big")
    who = {"email": email, "sub": f"accounts.google.com:{number}"}
    audience = "/" + cloud.by_number(service.name)
    return [
        *kept,
        ("x-goog-authenticated-user-email", f"accounts.google.com:{email}"),
        ("x-goog-authenticated-user-id", who["sub"]),
        ("x-goog-iap-jwt-assertion", assertion(cloud, audience, who)),
        ("x-serverless-authorization", f"bearer {_proxy_s(agent.email, audience)}.{_UNSIGNED}"),
    ]


def assertion(cloud: Cloud, audience: str, who: JsonObject) -> str:
    """Return the JWT by which the proxy tells a service who came: ES256, good for ten minutes."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    now = int(time.time())
    claims = {"iss": _ISSUER, "aud": audience, "azp": audience, "iat": now, "exp": now + _ASSERTED_S,
              "identity_source": "GOOGLE", **who}  # fmt: skip
    head = encoded(json.dumps({"alg": "ES256", "typ": "JWT", "kid": "rehearsal"}).encode())
    text = f"{head}.{encoded(json.dumps(claims).encode())}"
    first, second = utils.decode_dss_signature(
        signing_key(cloud).sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    )
    return f"{text}.{encoded(first.to_bytes(32, 'big') + second.to_bytes(32, 'big'))}"


def signing_key(cloud: Cloud) -> EllipticCurvePrivateKey:
    """Return the key by which the proxy signs: one of this cloud's own, made of its secret."""
    from cryptography.hazmat.primitives.asymmetric import ec

    # Of the curve's order, which begins with 32 ones, a number of 248 bits is always less.
    return ec.derive_private_key(
        int.from_bytes(hashlib.sha256(cloud.key).digest()[:31], "big") or 1, ec.SECP256R1()
    )


def _identified(cloud: Cloud, url: str, headers: Headers) -> str:
    """Return who shows a token that the proxy takes for `url`. Raises `RequestRefused`."""
    by_name = dict(headers)
    shown = [by_name.get(name, "").partition(" ") for name in _SHOWN]
    tokens = [token for scheme, _, token in shown if scheme.lower() == "bearer" and token]
    if not tokens:
        login = f"{_LOGIN}?redirect_uri={quote(url, safe='')}"
        raise _invalid(302, "empty token", location=login)
    claims = claims_of(tokens[0])
    if claims is None:
        raise _invalid(401, "Unable to parse JWT")
    if claims.get("iss") == "https://accounts.google.com":
        raise _invalid(401, "Invalid bearer token. Invalid JWT audience.")
    if asserted(cloud, tokens[0]) is None or claims.get("sub") != claims.get("iss"):
        raise _invalid(401, "JWT signature is invalid")
    _ensure_it_is_its_hour(claims)
    if not _is_for(str(claims.get("aud") or ""), url):
        raise _invalid(401, "Invalid bearer token. Invalid JWT audience.")
    return str(claims["iss"])


def _ensure_it_is_its_hour(claims: JsonObject) -> None:
    """Raise `RequestRefused` for a token that ended, does not say from when on it is good, or is good for longer than an hour."""
    now, begins, ends = time.time(), claims.get("iat"), claims.get("exp")
    if not isinstance(ends, int) or ends < now:
        raise _invalid(401, "Invalid bearer token. Expired JWT.")
    if not isinstance(begins, int) or begins > now + _AHEAD_S or ends - begins > _LONGEST_S:
        raise _invalid(401, "Invalid bearer token. Invalid JWT issue time or lifetime.")


def _is_for(audience: str, url: str) -> bool:
    """Tell whether an audience names a URL: that very one, or all below a path of the same scheme and host."""
    if audience == url:
        return True
    try:
        named, asked = urlsplit(audience), urlsplit(url)
    except ValueError:
        return False
    below = named.path.removesuffix("*")
    if (named.scheme, named.netloc) != (asked.scheme, asked.netloc) or "?" in audience or "#" in audience:
        return False
    return named.path.endswith("/*") and "*" not in below and asked.path.startswith(below)


def _invalid(status: int, why: str, *, location: str = "") -> RequestRefused:
    more = ((b"location", location.encode()),) if location else ()
    return RequestRefused(status, "", f"Invalid IAP credentials: {why}", own=(*_told(), *more))


def _told() -> tuple[tuple[bytes, bytes], ...]:
    return ((b"x-goog-iap-generated-response", b"true"),)


def _proxy_s(agent: str, audience: str) -> str:
    """Return what the proxy's own token says to the service, which gets it without its signature."""
    head = encoded(json.dumps({"alg": "RS256", "typ": "JWT"}).encode())
    claims = {"iss": "https://accounts.google.com", "aud": audience, "email": agent, "email_verified": True}
    return f"{head}.{encoded(json.dumps(claims).encode())}"
