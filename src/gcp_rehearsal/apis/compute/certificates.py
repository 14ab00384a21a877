"""Certificates of load balancers: Compute Engine's own, and those of Certificate Manager that a proxy names."""

from __future__ import annotations

import re
from typing import Any

from gcp_rehearsal.apis.compute.references import at, reference
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, invalid, not_found
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

MANAGER = "//certificatemanager.googleapis.com/"
_NAMED = re.compile(r"(?:https?:)?//certificatemanager\.googleapis\.com/(?:v1/)?(.+)")
"""As gcloud names them, too: by their whole addresses."""
_MANAGED_AFTER = 900.0
_MOST = 15
_MOST_OF_MANAGER = 100


def prepare(call: Call, body: JsonObject) -> None:
    """Check a new certificate, and set what Google reads from it. Raises `ApiError`."""
    if body.get("type") == "MANAGED":
        domains = (body.get("managed") or {}).get("domains") or []
        if not domains:
            raise invalid(
                "Invalid value for field 'resource.managed.domains': ''. At least one domain is required."
            )
        if "region" in call.params:
            raise invalid(
                "Invalid value for field 'resource.type': 'MANAGED'. Managed certificates are not supported in regions."
            )
        body["managed"] = {"domains": domains, "status": "PROVISIONING",
                           "domainStatus": dict.fromkeys(domains, "PROVISIONING")}  # fmt: skip
        return
    own = body.get("selfManaged") or {}
    certificate = own.get("certificate") or body.get("certificate") or ""
    key = own.get("privateKey") or body.pop("privateKey", None) or ""
    body |= _read(certificate, key)
    # A private key is written, and never read.
    body |= {"certificate": certificate, "selfManaged": {"certificate": certificate}}


def provision(call: Call, kept: StoredResource) -> None:
    """Make a managed certificate active some time after it was asked for; keep the key of any other where nobody reads it."""
    if kept.collection.rpartition(".")[2] in {"sslCertificates", "regionSslCertificates"}:
        own = call.body.get("selfManaged") or {}
        kept.hidden.setdefault("key", own.get("privateKey") or call.body.get("privateKey") or "")
    managed = kept.body.get("managed") if kept.body.get("type") == "MANAGED" else None
    if not managed or managed["status"] != "PROVISIONING":
        return

    def provisioned() -> None:
        managed.update(status="ACTIVE", domainStatus=dict.fromkeys(managed["domains"], "ACTIVE"))

    call.cloud.clock.after(call.cloud.takes(_MANAGED_AFTER), provisioned)


def of_proxy(call: Call, body: JsonObject) -> None:
    """Resolve what a proxy names as its certificates, of either kind, or as its map of them. Raises `ApiError`."""
    chosen = body.get("certificateMap")
    if chosen:
        body["certificateMap"] = _managed(call, "certificateMap", str(chosen), "certificateMaps")
    named = [str(name) for name in body.get("sslCertificates") or ()]
    managers = [name for name in named if _NAMED.fullmatch(name)]
    if managers and len(managers) < len(named):
        raise invalid(
            "Invalid value for field 'resource.sslCertificates': certificates of Compute Engine and of Certificate "
            "Manager cannot be combined in one target proxy."
        )
    most = _MOST_OF_MANAGER if managers else _MOST
    if not named and not chosen:
        raise invalid(
            "Invalid value for field 'resource.sslCertificates': ''. At least one SSL certificate must be specified."
        )
    if len(named) > most:
        raise invalid(f"Invalid value for field 'resource.sslCertificates': at most {most} are allowed.")
    body["sslCertificates"] = [
        _managed(call, f"sslCertificates[{number}]", name, "certificates")
        if managers
        else _of_compute(call, f"sslCertificates[{number}]", name)
        for number, name in enumerate(named)
    ]
    if not named:
        del body["sslCertificates"]


def _of_compute(call: Call, field: str, named: str) -> str:
    url = reference(call, field, named)
    if at(call.cloud, url) is None or "/sslCertificates/" not in url:
        raise invalid(f"Invalid value for field 'resource.{field}': '{named}'. The URL is malformed.")
    return url


def _managed(call: Call, field: str, named: str, kind: str) -> str:
    match = _NAMED.fullmatch(named)
    path = call.cloud.by_id(match[1]) if match else ""
    parts = path.split("/")
    place = call.params.get("region", "global")
    if len(parts) != 6 or parts[2::2] != ["locations", kind]:
        raise invalid(f"Invalid value for field 'resource.{field}': '{named}'. The URL is malformed.")
    if call.cloud.store.get("certificatemanager", path) is None:
        raise not_found(f"The resource '{path}' was not found")
    if parts[3] != place:
        raise invalid(
            f"Invalid value for field 'resource.{field}': '{named}'. It must be in the location of the target proxy, "
            f"{place}."
        )
    return f"{MANAGER}{path}"


def _read(certificate: str, key: str) -> JsonObject:
    """Return until when a certificate holds and for which names. Raises `ApiError` for what is none, or has another key."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    def public(public_key: Any) -> bytes:  # Any: a key of any algorithm
        encoded: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return encoded

    try:
        parsed = x509.load_pem_x509_certificates(certificate.encode())[0]
    except (ValueError, IndexError) as error:
        raise ApiError(
            400, "The SSL certificate could not be parsed.", reason="sslCertificateCouldNotParseCert"
        ) from error
    try:
        loaded = load_pem_private_key(key.encode(), None)
    except (ValueError, TypeError) as error:
        raise ApiError(
            400, "The SSL key could not be parsed.", reason="sslCertificateCouldNotParseKey"
        ) from error
    if public(loaded.public_key()) != public(parsed.public_key()):
        raise ApiError(400, "The SSL certificate and key do not match.", reason="sslCertificateKeyMismatch")
    names: Json = []
    try:
        extension = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    read: JsonObject = {"expireTime": parsed.not_valid_after_utc.strftime("%Y-%m-%dT%H:%M:%S.000+00:00")}
    return {**read, "subjectAlternativeNames": names} if names else read
