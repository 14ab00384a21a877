"""Keys of service accounts: made, shown once, and good for signing in until they are deleted or disabled."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.iam import service_accounts as accounts
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

COLLECTION = f"{accounts.COLLECTION}.keys"
_MOST = 10
_END = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_FOR_EVER = "9999-12-31T23:59:59Z"
_FILE = "TYPE_GOOGLE_CREDENTIALS_FILE"
_ONCE = ("privateKeyData", "privateKeyType")
_BITS = {"KEY_ALG_RSA_1024": 1024, "KEY_ALG_RSA_2048": 2048}


def signed_by(cloud: Cloud, email: str, key: str, signature: bytes, text: bytes) -> bool:
    """Return True if `text` was signed with a key of this account's that is there and enabled."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    account = accounts.by_name(cloud, email)
    stored = cloud.store.get("iam", f"{account.name}/keys/{key}") if account else None
    if account is None or stored is None or stored.body.get("disabled") or account.body.get("disabled"):
        return False
    try:
        stored.hidden["public"].verify(signature, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _create(call: Call) -> Json:
    account = accounts.found(call, call.name.removesuffix("/keys"))
    kind = call.body.get("privateKeyType") or _FILE
    algorithm = call.body.get("keyAlgorithm") or "KEY_ALG_RSA_2048"
    if kind not in {_FILE, "TYPE_UNSPECIFIED"}:
        raise unimplemented("keys of service accounts as PKCS12")
    algorithm = "KEY_ALG_RSA_2048" if algorithm == "KEY_ALG_UNSPECIFIED" else algorithm
    rule = call.cloud.policies.told.get("iam.disableServiceAccountKeyCreation") or {}
    if any(policy_rule.get("enforce") for policy_rule in rule.get("rules", ())):
        raise precondition("Key creation is not allowed on this service account.")
    if len(list(call.cloud.store.under("iam", f"{account.name}/keys"))) >= _MOST:
        raise precondition(f"Precondition check failed: an account has {_MOST} keys at most.")
    key_id = call.cloud.uuid().replace("-", "") + call.cloud.uuid().replace("-", "")[:8]
    since = f"{call.cloud.clock.text()[:19]}Z"
    stored = call.cloud.keep(call, f"{account.name}/keys/{key_id}", COLLECTION, {
        "name": f"{account.name}/keys/{key_id}", "validAfterTime": since, "validBeforeTime": _FOR_EVER,
        "keyAlgorithm": algorithm, "keyOrigin": "GOOGLE_PROVIDED", "keyType": "USER_MANAGED",
    })  # fmt: skip
    stored.hidden, pem = _pair(_BITS[algorithm], str(account.body["uniqueId"]))
    file = _file(call, account, key_id, pem)
    return {
        **stored.body,
        "privateKeyType": _FILE,
        "privateKeyData": base64.b64encode(file.encode()).decode(),
    }


def _pair(bits: int, name: str) -> tuple[dict[str, object], str]:
    """Return the forms of a new pair's public key, which are kept, and its private key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    private_key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    public = private_key.public_key()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder(subject, subject, public, x509.random_serial_number())
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(_END)
        .sign(private_key, hashes.SHA256())
    )
    public_forms: dict[str, object] = {
        "public": public,
        "raw": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "certificate": certificate.public_bytes(Encoding.PEM),
    }
    return public_forms, private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _file(call: Call, account: StoredResource, key_id: str, pem: str) -> str:
    """Return what Google's libraries read as credentials; tokens come from where the caller has reached the rehearsal."""
    headers = call.request.headers
    host = headers.get("host") or ""
    local = host.partition(":")[0] in {"localhost", "127.0.0.1"}
    base = f"http://{host}" if local else "https://oauth2.googleapis.com"
    credentials: JsonObject = {
        "type": "service_account", "project_id": account.project, "private_key_id": key_id, "private_key": pem,
        "client_email": account.id, "client_id": account.body["uniqueId"],
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": f"{base}/token",
        "universe_domain": "googleapis.com",
    }  # fmt: skip
    return json.dumps(credentials, indent=2)


def _existing(call: Call) -> StoredResource:
    name, _, key = call.name.rpartition("/keys/")
    account = accounts.found(call, name)
    stored = call.cloud.store.get("iam", f"{account.name}/keys/{key}")
    if stored is None:
        raise not_found(f"Service account key {key} does not exist.")
    return stored


def _get(call: Call) -> Json:
    stored, kind = _existing(call), call.query.get("publicKeyType")
    if kind not in {"TYPE_RAW_PUBLIC_KEY", "TYPE_X509_PEM_FILE"}:
        return stored.body
    text = stored.hidden["raw" if kind == "TYPE_RAW_PUBLIC_KEY" else "certificate"]
    return {**stored.body, "publicKeyData": base64.b64encode(text).decode()}


def _list(call: Call) -> Json:
    account = accounts.found(call, call.name.removesuffix("/keys"))
    kinds = call.query.get("keyTypes") or ["USER_MANAGED"]
    if not {"USER_MANAGED", "KEY_TYPE_UNSPECIFIED"} & set(kinds):
        return {}  # Google's own keys of an account: the rehearsal has none.
    keys = [key.body for key in call.cloud.store.under("iam", f"{account.name}/keys")]
    return {"keys": keys} if keys else {}


def _delete(call: Call) -> Json:
    call.cloud.forget(_existing(call))
    return {}


def _enable(call: Call) -> Json:
    for key in ("disabled", "disableReason"):
        _existing(call).body.pop(key, None)
    return {}


def _disable(call: Call) -> Json:
    reason = call.body.get("serviceAccountKeyDisableReason") or ""
    named = "SERVICE_ACCOUNT_KEY_DISABLE_REASON_USER_INITIATED"
    if reason not in {"", named, "SERVICE_ACCOUNT_KEY_DISABLE_REASON_UNSPECIFIED"}:
        raise invalid("Request contains an invalid argument.", ("service_account_key_disable_reason", reason))
    _existing(call).body |= {"disabled": True, "disableReason": named}
    return {}


def _upload(call: Call) -> Json:
    raise unimplemented("uploading keys of service accounts")


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    f"{COLLECTION}.create": _create,
    f"{COLLECTION}.get": _get,
    f"{COLLECTION}.list": _list,
    f"{COLLECTION}.delete": _delete,
    f"{COLLECTION}.enable": _enable,
    f"{COLLECTION}.disable": _disable,
    f"{COLLECTION}.upload": _upload,
}
