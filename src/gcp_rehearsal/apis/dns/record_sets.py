"""Cloud DNS: record sets, and changes of several of them at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call
from gcp_rehearsal.errors import ApiError, exists, invalid, not_found, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

DOMAIN = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?\.)+|\.")
_TYPES = frozenset(
    ("A", "AAAA", "CAA", "CNAME", "DNSKEY", "DS", "HTTPS", "IPSECKEY", "MX", "NAPTR", "NS", "PTR", "SOA", "SPF",
     "SRV", "SSHFP", "SVCB", "TLSA", "TXT", "ALIAS")
)  # fmt: skip
_OWN = frozenset(("NS", "SOA"))
_SPREADS = 20.0

Records = JsonObject


def create_records(call: Call) -> Json:
    """Make a record set."""
    zone = zone_of(call)
    record = _checked(zone, call.body, "entity.rrset")
    if _find(call, zone, record["name"], record["type"]) is not None:
        raise exists(
            f"The resource 'entity.rrset' named '{record['name']} ({record['type']})' already exists"
        )
    _check_alias(call, zone, record, "entity.rrset", [])
    return put(call, zone, record).body


def get_records(call: Call) -> Json:
    """Return one record set."""
    return _named(call)[1].body


def list_records(call: Call) -> Json:
    """Return a zone's record sets, by name and type."""
    zone, query = zone_of(call), call.query
    if query.get("type") and not query.get("name"):
        raise invalid("Invalid value for 'parameters.type': a name is needed, too.")
    records = [record.body for record in _records(call, zone)
               if query.get("name") in {None, record.body["name"]} and query.get("type") in {None, record.body["type"]}]  # fmt: skip
    records.sort(key=lambda body: (body["name"].split(".")[::-1], body["type"]))
    return {"kind": "dns#resourceRecordSetsListResponse"} | generic.page(call, "rrsets", records)


def patch_records(call: Call) -> Json:
    """Change a record set."""
    zone, existing = _named(call)
    sent = {key: value for key, value in call.body.items() if value is not None}
    new = _checked(zone, {**existing.body, **sent}, "entity.rrset")
    if (new["name"], new["type"]) != (existing.body["name"], existing.body["type"]):
        raise invalid("Invalid value for 'entity.rrset.name': it names another record set than the path.")
    return put(call, zone, new).body


def delete_records(call: Call) -> Json:
    """Unmake a record set."""
    zone, existing = _named(call)
    _check_own(zone, existing.body)
    call.cloud.forget(existing)
    return {}


def create_change(call: Call) -> Json:
    """Delete and add record sets, all or none; it spreads to the servers after a while."""
    zone = zone_of(call)
    additions, deletions = call.body.get("additions") or [], call.body.get("deletions") or []
    if not additions and not deletions:
        raise ApiError(400, "The 'entity.change' parameter is required but was missing.", reason="required")
    gone = []
    for record in deletions:
        key = f"entity.change.deletions[{record.get('name')}][{record.get('type')}]"
        existing = _find(call, zone, str(record.get("name")), str(record.get("type")))
        if existing is None:
            raise not_found(
                f"The '{key}' resource named '{record.get('name')} ({record.get('type')})' does not exist."
            )
        if _essence(existing.body) != _essence(record):
            raise ApiError(412, f"Precondition not met for '{key}'", reason="conditionNotMet")
        gone.append(existing)
    new: list[Records] = []
    for number, record in enumerate(additions):
        checked = _checked(zone, record, f"entity.change.additions[{number}]")
        title = f"{checked['name']} ({checked['type']})"
        here = _find(call, zone, checked["name"], checked["type"])
        if (here is not None and here not in gone) or any(_key(added) == _key(checked) for added in new):
            key = f"entity.change.additions[{checked['name']}][{checked['type']}]"
            raise exists(f"The resource '{key}' named '{title}' already exists")
        _check_alias(call, zone, checked, f"entity.change.additions[{number}]", gone)
        new.append(checked)
    for existing in gone:
        if _key(existing.body) not in [_key(added) for added in new]:
            _check_own(zone, existing.body)
    return _apply(call, zone, gone, new)


def _apply(call: Call, zone: StoredResource, gone: list[StoredResource], new: list[Records]) -> Records:
    deletions = [stored.body for stored in gone]
    for stored in gone:
        call.cloud.forget(stored)
    additions = [put(call, zone, record).body for record in new]
    number = zone.hidden.get("changes", 0) + 1
    zone.hidden["changes"] = number
    body = {"kind": "dns#change", "id": str(number), "startTime": call.cloud.clock.text()[:-4] + "Z",
            "status": "pending", **({"additions": additions} if additions else {}),
            **({"deletions": deletions} if deletions else {})}  # fmt: skip
    stored = call.cloud.keep(call, f"{zone.name}/changes/{number}", "dns.changes", body)

    def spread() -> None:
        stored.body["status"] = "done"

    call.cloud.clock.after(call.cloud.takes(_SPREADS), spread)
    return body


def get_change(call: Call) -> Json:
    """Return one change. Raises `ApiError` 404."""
    zone = zone_of(call)
    change = call.cloud.store.get("dns", f"{zone.name}/changes/{call.params['changeId']}")
    if change is None:
        raise not_found(
            f"The 'parameters.changeId' resource named '{call.params['changeId']}' does not exist."
        )
    return change.body


def list_changes(call: Call) -> Json:
    """Return a zone's changes, the newest first."""
    zone = zone_of(call)
    changes = [change.body for change in call.cloud.store.under("dns", f"{zone.name}/changes")]
    changes.sort(key=lambda body: int(body["id"]), reverse=call.query.get("sortOrder") != "ascending")
    return {"kind": "dns#changesListResponse"} | generic.page(call, "changes", changes)


def zone_of(call: Call) -> StoredResource:
    """Return the zone that a call's path names, by name or number. Raises `ApiError` 404."""
    key = call.params["managedZone"]
    for zone in call.cloud.store.under("dns", f"projects/{call.project}/managedZones"):
        if key in {zone.id, zone.body["id"]}:
            return zone
    raise not_found(f"The 'parameters.managedZone' resource named '{key}' does not exist.")


def _checked(zone: StoredResource, record: Mapping[str, Json], field: str) -> Records:
    name, kind = str(record.get("name") or ""), str(record.get("type") or "")
    domain = zone.body["dnsName"]
    if not DOMAIN.fullmatch(name) or (name != domain and not name.endswith(f".{domain.lstrip('.')}")):
        raise invalid(f"Invalid value for '{field}.name': '{name}'")
    if kind not in _TYPES:
        raise invalid(f"Invalid value for '{field}.type': '{kind}'")
    if record.get("routingPolicy"):
        raise unimplemented("routing policies of record sets")
    data = record.get("rrdatas") or []
    if not data or (kind in {"CNAME", "SOA"} and len(data) > 1):
        raise invalid(f"Invalid value for '{field}.rrdata': '{', '.join(data)}'")
    for number, text in enumerate(data):
        if not _fits(kind, text):
            raise invalid(f"Invalid value for '{field}.rrdata[{number}]': '{text}'")
    ttl = int(record.get("ttl") or 0)
    if ttl < 0:
        raise invalid(f"Invalid value for '{field}.ttl': '{ttl}'")
    return {"name": name, "type": kind, "ttl": ttl, "rrdatas": list(data)}


def _fits(kind: str, data: str) -> bool:
    if kind == "A":
        parts = data.split(".")
        return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)
    if kind == "AAAA":
        return ":" in data
    if kind in {"CNAME", "NS", "PTR"}:
        return bool(DOMAIN.fullmatch(data))
    return bool(data)


def put(call: Call, zone: StoredResource, record: Records) -> StoredResource:
    """Keep a record set as it is given."""
    path = f"{zone.name}/rrsets/{record['name']}/{record['type']}"
    body = {"kind": "dns#resourceRecordSet", **record, "signatureRrdatas": []}
    return call.cloud.keep(call, path, "dns.resourceRecordSets", body)


def holds_more(call: Call, zone: StoredResource) -> bool:
    """Return True if a zone has records beside those that every zone has."""
    return any(
        record.body["type"] not in _OWN or record.body["name"] != zone.body["dnsName"]
        for record in _records(call, zone)
    )


def _records(call: Call, zone: StoredResource) -> Iterator[StoredResource]:
    return call.cloud.store.under("dns", f"{zone.name}/rrsets/-")


def _find(call: Call, zone: StoredResource, name: str, kind: str) -> StoredResource | None:
    return call.cloud.store.get("dns", f"{zone.name}/rrsets/{name}/{kind}")


def _named(call: Call) -> tuple[StoredResource, StoredResource]:
    zone, name, kind = zone_of(call), call.params["name"], call.params["type"]
    existing = _find(call, zone, name, kind)
    if existing is None:
        raise not_found(f"The 'parameters.name' resource named '{name} ({kind})' does not exist.")
    return zone, existing


def _key(record: Records) -> tuple[str, str]:
    return str(record["name"]), str(record["type"])


def _essence(record: Mapping[str, Json]) -> tuple[int, list[str]]:
    return int(record.get("ttl") or 0), sorted(record.get("rrdatas") or [])


def _check_own(zone: StoredResource, record: Records) -> None:
    if record["name"] == zone.body["dnsName"] and record["type"] in _OWN:
        raise ApiError(
            400,
            f"The resource record set 'entity.change.deletions[0]' is invalid because a zone must contain exactly "
            f"one resource record set of type '{record['type']}' at the apex.",
            reason="invalidZoneApex",
        )


def _check_alias(
    call: Call, zone: StoredResource, record: Records, field: str, gone: list[StoredResource]
) -> None:
    """Raise `ApiError` for a CNAME that is not alone at its name, or is at the zone's own."""
    here = [
        other for other in _records(call, zone) if other.body["name"] == record["name"] and other not in gone
    ]
    if record["type"] == "CNAME" and record["name"] == zone.body["dnsName"]:
        text = "because the DNS name is the zone's apex, which may not be a CNAME"
    elif any(
        "CNAME" in {other.body["type"], record["type"]}
        for other in here
        if other.body["type"] != record["type"]
    ):
        text = f"because the DNS name '{record['name']}' may have either one CNAME resource record set or resource record sets of other types, but not both"
    else:
        return
    raise ApiError(
        400, f"The resource record set '{field}' is invalid {text}.", reason="cnameResourceRecordSetConflict"
    )
