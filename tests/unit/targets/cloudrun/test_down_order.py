"""`down` is the exact reverse of `up`: nothing is opened before what it kept closed is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from cloud import act, enable, things
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport.errors import PermissionDenied
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, make_plan
from homeport.reconcile.graph import all_needs
from homeport.resources.google.rest import RestResource
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun import managed
from homeport.targets.cloudrun.inventory import Inventory, Thing
from homeport.targets.cloudrun.managed import find_managed
from homeport.targets.cloudrun.teardown import take_down
from ways import NAME, PROJECT, REGION, Carrying, Wanted, Way, wanted


async def prove(service: Body, revision: str, url: str) -> Receipt:
    return Receipt(at="2026-11-28T00:00:00", passed=True, counts={"passed": 20})


def made(cloud: Cloud, wish: Wanted) -> list[Resource]:
    """What `up` makes, in a cloud where it has."""

    async def work() -> list[Resource]:
        async with google_for(cloud) as google:
            every = wish.target(google, prove).resources()
            await apply(await make_plan(NAME, "cloudrun", every), Silent())
            return every

    return act(work())


def backwards(up: list[Resource], down: list[Resource]) -> list[tuple[str, str]]:
    """Pairs of which `up` makes the first after the second, and `down` does not take it away before."""
    made_after, gone_before = all_needs(up), all_needs(down)
    found = {one.id for one in down}
    return [
        (one, need)
        for one in found & made_after.keys()
        for need in made_after[one] & found
        if need not in gone_before[one]
    ]


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("way", ["ollama", "vllm"])
def test_all_that_is_found_goes_in_the_reverse_of_the_order_in_which_it_came(
    tmp_path: Path, way: Way, isolated: bool
) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up = made(cloud, wanted(way, tmp_path, access={"isolated": isolated}))

    async def work() -> list[Resource]:
        async with google_for(cloud) as google:
            return list((await find_managed(google, NAME)).resources)

    down = act(work())
    assert len(down) > 15
    assert backwards(up, down) == []


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=some.data(), isolated=some.booleans(), way=some.sampled_from(("ollama", "vllm")))
def test_the_law_holds_for_whatever_is_left_of_a_deployment(
    tmp_path_factory: pytest.TempPathFactory, data: some.DataObject, isolated: bool, way: Way
) -> None:
    google = google_for(Cloud(delays=AT_ONCE))
    wish = wanted(way, tmp_path_factory.mktemp("w"), access={"isolated": isolated})
    up = wish.target(google, prove).resources()
    every = [one for one in up if isinstance(one, RestResource) and one.kind in managed.MAKE]
    left = data.draw(some.lists(some.sampled_from(every), unique_by=lambda one: one.id))
    found = tuple(
        Thing(
            kind=one.kind,
            name=one.address.path.rpartition("/")[2].partition("@")[0],
            region=REGION if one.kind in {"service", "repository", "subnetwork"} else "",
            body={"labels": {"homeport": NAME}},
        )
        for one in left
    )
    down = managed._resources(
        google, NAME, Inventory(project=PROJECT, things=found, unread=()), budgeted=False
    )
    assert backwards(up, list(down.values())) == []


def test_where_the_service_cannot_be_deleted_it_serves_on_with_all_that_keeps_it_closed(
    tmp_path: Path,
) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(cloud, "run")
    made(cloud, wanted("vllm", tmp_path, access={"isolated": True}))
    before = {kept.name for kept in things(cloud)}
    grants = set(cloud.access.grants())
    cloud.faults.append(Fault(method="run.projects.locations.services.delete", status=403, times=99))

    async def work() -> None:
        async with google_for(cloud) as google:
            await take_down(google, NAME, purge=True, approve=None, progress=Silent())

    with pytest.raises(PermissionDenied):
        act(work())
    assert {kept.name for kept in things(cloud)} == before
    assert set(cloud.access.grants()) == grants
