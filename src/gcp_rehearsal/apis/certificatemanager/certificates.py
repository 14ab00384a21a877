"""Certificates that come by themselves: for a domain whose DNS record is there, or that nobody here answers for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, not_found, precondition
from gcp_rehearsal.json_types import JsonObject
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_API = "certificatemanager"
_BASE = f"{_API}.projects.locations"
_LOOKS_AFTER = 120.0
_IN_MAP = 4


def _prepare_authorization(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    domain = str(body.get("domain") or "")
    if before is not None:
        if domain != before.body["domain"]:
            raise invalid(
                "domain of a DNS authorization cannot be changed.", ("dns_authorization.domain", "is fixed")
            )
        return
    if not domain or domain.startswith("*.") or domain.endswith("."):
        raise invalid(
            f"Invalid domain: '{domain}'", ("dns_authorization.domain", "a name without wildcard or end dot")
        )
    body.setdefault(
        "type", "FIXED_RECORD" if "/locations/global/" in f"{call.name}/" else "PER_PROJECT_RECORD"
    )
    mark = call.cloud.uuid()
    label = (
        "_acme-challenge"
        if body["type"] == "FIXED_RECORD"
        else f"_acme-challenge_{mark[:16].replace('-', '')}"
    )
    body["dnsResourceRecord"] = {"name": f"{label}.{domain}.", "type": "CNAME",
                                 "data": f"{mark}.{sum(domain.encode()) % 20}.authorize.certificatemanager.goog."}  # fmt: skip


def _prepare_certificate(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    body.setdefault("scope", "DEFAULT")
    managed = body.get("managed")
    if (managed is None) == (body.get("selfManaged") is None):
        raise invalid(
            "Exactly one of managed and self_managed must be set.", ("certificate", "its type is not set")
        )
    if managed is None:
        body["selfManaged"].pop("pemPrivateKey", None)  # It is written, and never read.
        return
    if before is not None:
        return
    if not managed.get("domains"):
        raise invalid("managed.domains is required.", ("certificate.managed.domains", "is required"))
    names = [call.cloud.by_id(name) for name in managed.get("dnsAuthorizations") or ()]
    for name in names:
        if call.cloud.store.get(_API, name) is None:
            raise not_found(f"Resource '{name}' was not found")
    proven = names or managed.get("issuanceConfig")
    if any(domain.startswith("*.") for domain in managed["domains"]) and not proven:
        raise invalid(
            "A wildcard needs a DNS authorization.", ("certificate.managed.dns_authorizations", "is required")
        )
    body["sanDnsnames"] = list(managed["domains"])
    managed["state"] = "PROVISIONING"


def _made_certificate(call: Call, certificate: StoredResource) -> None:
    if (certificate.body.get("managed") or {}).get("state") == "PROVISIONING" and not certificate.hidden.get(
        "awaited"
    ):
        certificate.hidden["awaited"] = True
        _await(call.cloud, certificate)


def _await(cloud: Cloud, certificate: StoredResource) -> None:
    """Look again and again whether the records of a certificate's domains are there; then it comes."""

    def look() -> None:
        if cloud.store.get(_API, certificate.name) is not certificate:
            return
        managed = certificate.body["managed"]
        lacking = [domain for domain in managed["domains"] if not _is_proven(cloud, certificate, domain)]
        managed["authorizationAttemptInfo"] = [
            {"domain": domain, "attemptTime": cloud.clock.text(),
             **({"state": "FAILED", "failureReason": "CONFIG"} if domain in lacking else {"state": "AUTHORIZED"})}
            for domain in managed["domains"]
        ]  # fmt: skip
        if lacking:
            managed["provisioningIssue"] = {"reason": "AUTHORIZATION_ISSUE"}
            cloud.clock.after(max(cloud.takes(_LOOKS_AFTER), 1.0), look)
            return
        managed.pop("provisioningIssue", None)
        managed["state"] = "ACTIVE"
        certificate.body["expireTime"] = cloud.clock.text(cloud.clock.now() + 90 * 86400)

    cloud.clock.after(cloud.takes(_LOOKS_AFTER), look)
    cloud.clock.settle()


def _is_proven(cloud: Cloud, certificate: StoredResource, domain: str) -> bool:
    """Return False only where a zone of this cloud answers for the domain, and lacks the record."""
    zones = [zone for zone in cloud.store.of("dns", "dns.managedZones") if zone.body["visibility"] == "public"
             and f".{domain}.".endswith(f".{zone.body['dnsName']}")]  # fmt: skip
    records = [authorization.body["dnsResourceRecord"] for authorization in _authorizations(cloud, certificate)
               if authorization.body["domain"] == domain.removeprefix("*.")]  # fmt: skip
    if not zones or not records:
        return True
    return any(
        record.body.get("name") == want["name"] and want["data"] in record.body.get("rrdatas", ())
        for zone in zones
        for record in cloud.store.of("dns")
        if record.name.startswith(f"{zone.name}/")
        for want in records
    )


def _authorizations(cloud: Cloud, certificate: StoredResource) -> list[StoredResource]:
    names = [cloud.by_id(name) for name in certificate.body["managed"].get("dnsAuthorizations") or ()]
    authorizations = [cloud.store.get(_API, name) for name in names]
    return [authorization for authorization in authorizations if authorization is not None]


def _prepare_entry(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None and bool(body.get("hostname")) == bool(body.get("matcher")):
        raise invalid(
            "Exactly one of hostname and matcher must be set.", ("certificate_map_entry", "matches nothing")
        )
    named = body.get("certificates") or []
    if not 0 < len(named) <= _IN_MAP:
        raise invalid(
            f"certificates must hold 1 to {_IN_MAP}.", ("certificate_map_entry.certificates", "1 to 4")
        )
    for name in named:
        if call.cloud.store.get(_API, call.cloud.by_id(name)) is None:
            raise not_found(f"Resource '{name}' was not found")
    body["state"] = "ACTIVE"


def _refuse_if_used(call: Call, certificate: StoredResource) -> None:
    """Raise `ApiError` where a certificate, a map's entry or a target proxy names what is to go."""
    cloud = call.cloud
    number = cloud.by_number(certificate.name)
    names = {certificate.name, number, f"//{_API}.googleapis.com/{certificate.name}"}
    for user in (*cloud.store.of(_API), *cloud.store.of("compute")):
        own = user.name == certificate.name or user.name.startswith(f"{certificate.name}/")
        if not own and _names(user.body, names):
            raise precondition(f"can't delete {certificate.name}: it is in use by {user.name}")


def _names(body: JsonObject, names: set[str]) -> bool:
    managed = body.get("managed") if isinstance(body.get("managed"), dict) else {}
    listed = [*(body.get("certificates") or ()), *(body.get("sslCertificates") or ()),
              *((managed or {}).get("dnsAuthorizations") or ()), body.get("certificateMap")]  # fmt: skip
    return any(isinstance(name, str) and name in names for name in listed)


KINDS: Mapping[str, Kind] = {
    f"{_BASE}.dnsAuthorizations": Kind(prepare=_prepare_authorization, remove=_refuse_if_used, seconds=3),
    f"{_BASE}.certificates": Kind(
        prepare=_prepare_certificate, made=_made_certificate, remove=_refuse_if_used, seconds=5
    ),
    f"{_BASE}.certificateMaps": Kind(remove=_refuse_if_used, seconds=3),
    f"{_BASE}.certificateMaps.certificateMapEntries": Kind(prepare=_prepare_entry, seconds=3),
}
HANDLERS: Mapping[str, Handler] = {}
