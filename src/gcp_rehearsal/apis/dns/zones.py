"""Cloud DNS: zones, record sets and changes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gcp_rehearsal import generic
from gcp_rehearsal.apis.compute.references import BASE
from gcp_rehearsal.apis.dns import record_sets as dns_records
from gcp_rehearsal.apis.dns.record_sets import DOMAIN, Records, put, zone_of
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, exists, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json

_ID = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SETTABLE = ("cloudLoggingConfig", "description", "dnssecConfig", "forwardingConfig", "labels", "peeringConfig",
             "privateVisibilityConfig", "reverseLookupConfig", "serviceDirectoryConfig")  # fmt: skip


def create_zone(call: Call) -> Json:
    """Make a zone, with the records that every zone has."""
    body = dict(call.body)
    name, domain = str(body.get("name") or ""), str(body.get("dnsName") or "")
    if not _ID.fullmatch(name):
        raise invalid(f"Invalid value for 'entity.managedZone.name': '{name}'")
    if not DOMAIN.fullmatch(domain):
        raise invalid(f"Invalid value for 'entity.managedZone.dnsName': '{domain}'")
    path = f"{call.name}/{name}"
    if call.cloud.store.get("dns", path) is not None:
        raise exists(f"The resource 'entity.managedZone' named '{name}' already exists")
    private = body.get("visibility", "public") == "private"
    _check_visibility(call, body, private=private)
    letter = "abcde"[sum(name.encode()) % 5]
    servers = (["ns-gcp-private.googledomains.com."] if private
               else [f"ns-cloud-{letter}{number}.googledomains.com." for number in (1, 2, 3, 4)])  # fmt: skip
    fields = {
        "kind": "dns#managedZone",
        "id": call.cloud.number(),
        "name": name,
        "dnsName": domain,
        "description": "",
        "visibility": "private" if private else "public",
        "nameServers": servers,
        "creationTime": call.cloud.clock.text()[:-4] + "Z",
        "cloudLoggingConfig": {"kind": "dns#managedZoneCloudLoggingConfig"},
        "fingerprint": call.cloud.uuid().replace("-", "")[:16],
        **{key: body[key] for key in _SETTABLE if body.get(key) is not None},
    }
    zone = call.cloud.keep(call, path, call.method.collection, fields)
    put(call, zone, {"name": domain, "type": "NS", "ttl": 21600, "rrdatas": servers})
    soa = f"{servers[0]} cloud-dns-hostmaster.google.com. 1 21600 3600 259200 300"
    put(call, zone, {"name": domain, "type": "SOA", "ttl": 21600, "rrdatas": [soa]})
    return zone.body


def get_zone(call: Call) -> Json:
    """Return a zone by its name or number."""
    return zone_of(call).body


def list_zones(call: Call) -> Json:
    """Return a project's zones, those of one domain where it is given."""
    domain = call.query.get("dnsName")
    zones = [
        zone.body
        for zone in call.cloud.store.under("dns", call.name)
        if domain in {None, zone.body["dnsName"]}
    ]
    return {"kind": "dns#managedZonesListResponse"} | generic.page(call, "managedZones", zones)


def patch_zone(call: Call) -> Json:
    """Change what is sent of a zone; the answer is an operation of DNS's own kind."""
    return _change_zone(call, whole=False)


def update_zone(call: Call) -> Json:
    """Replace what can be set of a zone."""
    return _change_zone(call, whole=True)


def delete_zone(call: Call) -> None:
    """Unmake a zone that holds nothing but its own records."""
    zone = zone_of(call)
    if dns_records.holds_more(call, zone):
        raise ApiError(
            400,
            f"The resource named '{zone.id}' cannot be deleted because it contains one or more 'resource records'.",
            reason="containerNotEmpty",
        )
    call.cloud.forget(zone)


def get_operation(call: Call) -> Json:
    """Return one operation on a zone. Raises `ApiError` 404."""
    zone = zone_of(call)
    operation = call.cloud.store.get("dns", f"{zone.name}/operations/{call.params['operation']}")
    if operation is None:
        raise not_found(
            f"The 'parameters.operation' resource named '{call.params['operation']}' does not exist."
        )
    return operation.body


def list_operations(call: Call) -> Json:
    """Return the operations on a zone."""
    operations = [
        operation.body for operation in call.cloud.store.under("dns", f"{zone_of(call).name}/operations")
    ]
    return {"kind": "dns#managedZoneOperationsListResponse"} | generic.page(call, "operations", operations)


def project(call: Call) -> Json:
    """Return what Cloud DNS knows of a project."""
    known = call.cloud.project(call.project)
    return {"kind": "dns#project", "id": call.project, "number": known.number if known else "",
            "quota": {"kind": "dns#quota", "managedZones": 10000, "rrsetsPerManagedZone": 10000,
                      "rrsetAdditionsPerChange": 1000, "rrsetDeletionsPerChange": 1000,
                      "resourceRecordsPerRrset": 100, "networksPerManagedZone": 100}}  # fmt: skip


def _change_zone(call: Call, *, whole: bool) -> Records:
    zone = zone_of(call)
    old = dict(zone.body)
    for key in ("dnsName", "name", "visibility"):
        if call.body.get(key) not in {None, zone.body[key]}:
            raise invalid(
                f"Invalid value for 'entity.managedZone.{key}': '{call.body[key]}'. It cannot be changed."
            )
    new = {key: value for key, value in zone.body.items() if not whole or key not in _SETTABLE}
    for key in _SETTABLE:
        if key in call.body:
            new[key] = _merged(new.get(key), call.body[key])
    new = {key: value for key, value in new.items() if value is not None}
    new.setdefault("description", "")
    _check_visibility(call, new, private=new["visibility"] == "private")
    zone.body = new
    operation = {"kind": "dns#operation", "id": call.cloud.uuid(), "type": "update", "status": "pending",
                 "startTime": call.cloud.clock.text()[:-4] + "Z", "user": call.caller.email,
                 "zoneContext": {"oldValue": old, "newValue": dict(new)}}  # fmt: skip
    done = call.cloud.keep(
        call, f"{zone.name}/operations/{operation['id']}", "dns.managedZoneOperations", operation
    )

    def spread() -> None:
        done.body["status"] = "done"

    call.cloud.clock.after(call.cloud.takes(2), spread)
    return operation


def _check_visibility(call: Call, body: Records, *, private: bool) -> None:
    if body.get("visibility", "public") not in {"public", "private"}:
        raise invalid(f"Invalid value for 'entity.managedZone.visibility': '{body['visibility']}'")
    networks = (body.get("privateVisibilityConfig") or {}).get("networks") or []
    if networks and not private:
        raise invalid("Invalid value for 'entity.managedZone.privateVisibilityConfig': the zone is public.")
    for number, network in enumerate(networks):
        url = str(network.get("networkUrl") or "")
        field = f"entity.managedZone.privateVisibilityConfig.networks[{number}].networkUrl"
        path = call.cloud.by_id("projects/" + url.partition("projects/")[2])
        if "/global/networks/" not in path:
            raise invalid(f"Invalid value for '{field}': '{url}'")
        if call.cloud.store.get("compute", path) is None:
            raise not_found(f"The '{field}' resource named '{url}' does not exist.")
        network.update(kind="dns#managedZonePrivateVisibilityConfigNetwork", networkUrl=f"{BASE}/{path}")
    for key in ("peeringConfig", "forwardingConfig", "serviceDirectoryConfig"):
        if body.get(key):
            raise unimplemented(f"'{key}' of a zone")


def _merged(old: Any, new: Any) -> Any:  # Any: JSON; RFC 7386
    if not isinstance(new, dict):
        return new
    merged = {**old} if isinstance(old, dict) else {}
    merged |= {key: _merged(merged.get(key), value) for key, value in new.items()}
    return {key: value for key, value in merged.items() if value is not None}


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {
    "dns.changes.create": dns_records.create_change,
    "dns.changes.get": dns_records.get_change,
    "dns.changes.list": dns_records.list_changes,
    "dns.managedZoneOperations.get": get_operation,
    "dns.managedZoneOperations.list": list_operations,
    "dns.managedZones.create": create_zone,
    "dns.managedZones.delete": delete_zone,
    "dns.managedZones.get": get_zone,
    "dns.managedZones.list": list_zones,
    "dns.managedZones.patch": patch_zone,
    "dns.managedZones.update": update_zone,
    "dns.projects.get": project,
    "dns.resourceRecordSets.create": dns_records.create_records,
    "dns.resourceRecordSets.delete": dns_records.delete_records,
    "dns.resourceRecordSets.get": dns_records.get_records,
    "dns.resourceRecordSets.list": dns_records.list_records,
    "dns.resourceRecordSets.patch": dns_records.patch_records,
}
