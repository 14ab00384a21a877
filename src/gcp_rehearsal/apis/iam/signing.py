"""What a service account signs: by a key that it keeps with Google (`signJwt`), or by one that was made for it."""

from __future__ import annotations

import base64
import json
import time
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.iam import keys
from gcp_rehearsal.apis.iam import service_accounts as accounts
from gcp_rehearsal.discovery import api_of
from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_LONGEST_S = 12 * 3600
_DEFAULT_S = 3600
_SKEW_S = 300
_KEPT = "google_key"


def signed_jwt(account: StoredResource, payload: str) -> JsonObject:
    """Return what `signJwt` answers: the claims of `payload` as a JWT, by the account's key with Google. Raises `ApiError` 400."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    now = int(time.time())
    try:
        claims: Json = read_json(payload)
    except ValueError:
        claims = None
    if not isinstance(claims, dict):
        raise invalid("Invalid JWT payload.", ("payload", "a JSON object of claims"))
    ends = claims.setdefault("exp", now + _DEFAULT_S)
    if not isinstance(ends, int) or not now < ends <= now + _LONGEST_S:
        raise invalid(
            "The exp claim must be an integer timestamp that is not in the past and at most 12 hours in the future.",
            ("payload", "exp"),
        )
    private = _private(account)
    assert isinstance(private, rsa.RSAPrivateKey)
    key_id = _key_id(account)
    head = encoded(json.dumps({"alg": "RS256", "kid": key_id, "typ": "JWT"}).encode())
    text = f"{head}.{encoded(json.dumps(claims).encode())}"
    signature = private.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"keyId": key_id, "signedJwt": f"{text}.{encoded(signature)}"}


def claims_of(token: str) -> JsonObject | None:
    """Return what a JWT claims, unverified; None for what is none."""
    try:
        head, claims, _ = token.split(".")
        read: Json = read_json(decoded(claims))
        return read if isinstance(read_json(decoded(head)), dict) and isinstance(read, dict) else None
    except (ValueError, TypeError):
        return None


def asserted(cloud: Cloud, assertion: str) -> JsonObject | None:
    """
    Return what a service account says of itself; None where it is not shown that it is the account.

    In the files that stand for a login, `private_key_id` is a token of the account's: there the signature is not checked.
    """
    try:
        text, _, signature = assertion.rpartition(".")
        head, claims = (read_json(decoded(part)) for part in text.split("."))
        kid, email = str(head["kid"]), str(claims["iss"])
        known = credentials.whose(cloud.secret, kid) == email
        known = known or keys.signed_by(cloud, email, kid, decoded(signature), text.encode())
        known = known or _by_google(cloud, email, kid, decoded(signature), text.encode())
    except (ValueError, KeyError, TypeError):
        return None
    return claims if known else None


def signed_in(cloud: Cloud, token: str, host: str) -> str:
    """
    Return the e-mail of the account that signed this JWT to call the API at `host`; '' for any other text.

    Google's clients show one in the place of an access token, where they have a service account's key: google.aip.dev/auth/4111.
    """
    claims = asserted(cloud, token) if token.count(".") == 2 else None
    if claims is None or claims.get("sub") != claims["iss"] or ("scope" in claims) == ("aud" in claims):
        return ""
    ends, audience = claims.get("exp"), urlsplit(str(claims.get("aud") or "")).hostname or ""
    if not isinstance(ends, int) or not time.time() < ends <= time.time() + _DEFAULT_S + _SKEW_S:
        return ""
    return str(claims["iss"]) if "scope" in claims or api_of(audience) == api_of(host) else ""


def _by_google(cloud: Cloud, email: str, kid: str, signature: bytes, text: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    account = accounts.by_name(cloud, email)
    if account is None or _KEPT not in account.hidden or account.body.get("disabled"):
        return False
    private = _private(account)
    assert isinstance(private, rsa.RSAPrivateKey)
    if kid != _key_id(account):
        return False
    try:
        private.public_key().verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _private(account: StoredResource) -> object:
    """Return the key that Google keeps of an account: made when it is first used."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    if _KEPT not in account.hidden:
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        account.hidden[_KEPT] = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    # It was made here: whether its primes are prime would take longer than all else of a call.
    return load_pem_private_key(account.hidden[_KEPT], None, unsafe_skip_rsa_key_validation=True)


def _key_id(account: StoredResource) -> str:
    return sha256(account.hidden[_KEPT]).hexdigest()[:40]


def encoded(data: bytes) -> str:
    """Return bytes as a JWT has them."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Return the bytes of a part of a JWT."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
