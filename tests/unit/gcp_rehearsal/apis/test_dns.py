"""Cloud DNS in the rehearsal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays

D = "dns.googleapis.com/dns/v1/projects/rehearsal/managedZones"
A = {"name": "a.home.internal.", "type": "A", "ttl": 300, "rrdatas": ["10.0.0.1"]}


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "dns", "compute")
    return cloud


async def zone(raw: Raw, **more: Any) -> Answer:  # Any: JSON
    return await raw.send("POST", D, {"name": "z", "dnsName": "home.internal.", "description": "", **more})


def test_a_zone_comes_with_its_own_records(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = (await zone(raw)).body
        assert len(made["nameServers"]) == 4
        records = (await raw.send("GET", f"{D}/z/rrsets")).body["rrsets"]
        assert [record["type"] for record in records] == ["NS", "SOA"]
        assert (await raw.send("GET", f"{D}/{made['id']}")).body == made, "by number, too"
        again = await zone(raw)
        assert (again.status, again.error) == (
            409,
            "The resource 'entity.managedZone' named 'z' already exists",
        )
        none = await raw.send("GET", f"{D}/none")
        assert (none.status, none.error) == (
            404,
            "The 'parameters.managedZone' resource named 'none' does not exist.",
        )
        assert (await raw.send("GET", f"{D}?dnsName=other.")).body.get("managedZones") is None

    act(work())


@pytest.mark.parametrize(
    "more", [{"name": "Z"}, {"dnsName": "home.internal"}, {"visibility": "hidden"}, {"dnsName": ""}]
)
def test_a_zone_that_cannot_be_is_refused(cloud: Cloud, more: dict[str, Any]) -> None:
    assert act(zone(Raw(cloud), **more)).status == 400


def test_a_private_zone_belongs_to_networks_that_exist(cloud: Cloud) -> None:
    url = "https://www.googleapis.com/compute/v1/projects/rehearsal/global/networks/home"
    private = {"visibility": "private", "privateVisibilityConfig": {"networks": [{"networkUrl": url}]}}

    async def work() -> None:
        raw = Raw(cloud)
        assert (await zone(raw, **private)).status == 404
        compute = "compute.googleapis.com/compute/v1/projects/rehearsal/global/networks"
        await raw.send("POST", compute, {"name": "home", "autoCreateSubnetworks": False})
        made = (await zone(raw, **private)).body
        assert made["nameServers"] == ["ns-gcp-private.googledomains.com."]
        assert made["privateVisibilityConfig"]["networks"][0]["networkUrl"] == url

    act(work())


def test_a_zone_with_records_stays(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        assert (await raw.send("POST", f"{D}/z/rrsets", A)).body["kind"] == "dns#resourceRecordSet"
        full = await raw.send("DELETE", f"{D}/z")
        assert full.error == (
            "The resource named 'z' cannot be deleted because it contains one or more 'resource records'."
        )
        assert full.body["error"]["errors"][0]["reason"] == "containerNotEmpty"
        assert (await raw.send("DELETE", f"{D}/z/rrsets/a.home.internal./A")).status == 200
        assert (await raw.send("DELETE", f"{D}/z")).status == 200
        assert list(cloud.store.of("dns")) == []

    act(work())


def test_record_sets_are_made_changed_and_read(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        await raw.send("POST", f"{D}/z/rrsets", A)
        twice = await raw.send("POST", f"{D}/z/rrsets", A)
        assert (twice.status, twice.error) == (
            409,
            "The resource 'entity.rrset' named 'a.home.internal. (A)' already exists",
        )
        path = f"{D}/z/rrsets/a.home.internal./A"
        patched = (
            await raw.send("PATCH", path, {"name": A["name"], "type": "A", "rrdatas": ["10.0.0.2"]})
        ).body
        assert (patched["rrdatas"], patched["ttl"]) == (["10.0.0.2"], 300)
        assert (await raw.send("GET", path)).body == patched
        assert (await raw.send("GET", f"{D}/z/rrsets/b.home.internal./A")).status == 404

    act(work())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a.elsewhere."}, "entity.rrset.name"),
        ({"type": "B"}, "entity.rrset.type"),
        ({"rrdatas": ["ten"]}, "entity.rrset.rrdata[0]"),
        ({"rrdatas": []}, "entity.rrset.rrdata"),
    ],
)
def test_a_record_that_is_none_is_refused(cloud: Cloud, change: dict[str, Any], field: str) -> None:
    async def work() -> Answer:
        await zone(Raw(cloud))
        return await Raw(cloud).send("POST", f"{D}/z/rrsets", {**A, **change})

    answer = act(work())
    assert answer.status == 400
    assert field in answer.error


def test_a_change_is_all_or_nothing_and_spreads_after_a_while() -> None:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "dns")
    new = {**A, "rrdatas": ["10.0.0.9"]}

    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        made = (await raw.send("POST", f"{D}/z/changes", {"additions": [A]})).body
        assert (made["kind"], made["status"], made["id"]) == ("dns#change", "pending", "1")
        await asyncio.sleep(60)
        assert (await raw.send("GET", f"{D}/z/changes/1")).body["status"] == "done"
        twice = await raw.send("POST", f"{D}/z/changes", {"additions": [A]})
        assert twice.error == (
            "The resource 'entity.change.additions[a.home.internal.][A]' named 'a.home.internal. (A)' already exists"
        )
        wrong = await raw.send("POST", f"{D}/z/changes", {"deletions": [new], "additions": [new]})
        assert (wrong.status, wrong.error) == (
            412,
            "Precondition not met for 'entity.change.deletions[a.home.internal.][A]'",
        )
        lost = {**A, "name": "b.home.internal."}
        assert (await raw.send("POST", f"{D}/z/changes", {"deletions": [lost]})).status == 404
        assert (
            await raw.send("POST", f"{D}/z/changes", {"deletions": [A], "additions": [new]})
        ).status == 200
        assert (await raw.send("GET", f"{D}/z/rrsets/a.home.internal./A")).body["rrdatas"] == ["10.0.0.9"]
        assert [one["id"] for one in (await raw.send("GET", f"{D}/z/changes")).body["changes"]] == ["2", "1"]

    act(work())


def test_an_alias_is_alone_at_its_name(cloud: Cloud) -> None:
    alias = {"type": "CNAME", "ttl": 300, "rrdatas": ["b.home.internal."]}

    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        await raw.send("POST", f"{D}/z/rrsets", A)
        beside = await raw.send("POST", f"{D}/z/rrsets", {**alias, "name": A["name"]})
        apex = await raw.send("POST", f"{D}/z/rrsets", {**alias, "name": "home.internal."})
        assert (beside.status, apex.status) == (400, 400)

    act(work())


def test_a_zone_s_own_records_cannot_be_deleted(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        assert (await raw.send("DELETE", f"{D}/z/rrsets/home.internal./SOA")).status == 400

    act(work())


def test_a_patch_of_a_zone_is_an_operation_of_dns_s_own(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await zone(raw)
        operation = (await raw.send("PATCH", f"{D}/z", {"description": "mine", "labels": {"a": "b"}})).body
        assert operation["kind"] == "dns#operation"
        assert (await raw.send("GET", f"{D}/z/operations/{operation['id']}")).body["status"] == "done"
        now = (await raw.send("GET", f"{D}/z")).body
        assert (now["description"], now["labels"]) == ("mine", {"a": "b"})
        assert (await raw.send("PATCH", f"{D}/z", {"dnsName": "other."})).status == 400

    act(work())
