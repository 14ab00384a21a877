"""A file that names no region: its endpoint stays where it stands, and its reader is told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cloud import act, enable
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport import spec
from homeport.catalog import cloudrun as catalog
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.regions.unnamed import where_it_stands
from marked_deployments import down, file, up
from on_cloudrun import deployment
from ways import NAME, Carrying, wanted

LIST, GET = "run.projects.locations.services.list", "run.projects.locations.services.get"


def standing(engine: Literal["ollama", "vllm"], folder: Path, *, unread: str = "") -> Cloud:
    """A cloud in which the endpoint stands in us-central1; the services of the region `unread` cannot be listed there."""
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up(cloud, file(engine, folder, NAME, "us-central1"))
    if unread:
        cloud.faults.append(Fault(method=LIST, status=403, nth=catalog.regions().index(unread) + 1))
    return cloud


def test_the_default_has_both_gpus_and_no_mark() -> None:
    from homeport.catalog import cloudrun

    here = spec.CloudRun().region
    assert here == "europe-west4"
    assert all(here in gpu.regions and here not in gpu.disputed for gpu in cloudrun.gpus())


def test_a_file_without_a_region_goes_on_where_its_endpoint_stands_and_says_so(tmp_path: Path) -> None:
    cloud = standing("vllm", tmp_path)
    silent = wanted("vllm", tmp_path).spec
    settled, note = _settled(cloud, silent)
    assert settled.cloudrun is not None
    assert settled.cloudrun.region == "us-central1"
    assert settled.cloudrun.hub_token == "env:HF_TOKEN"
    assert 'stands in us-central1: it stays there. Write region = "us-central1"' in note
    down(cloud)
    settled, note = _settled(cloud, silent)
    assert (settled.cloudrun.region if settled.cloudrun else "", note) == ("europe-west4", "")


def test_a_region_that_is_named_is_taken_whatever_stands_elsewhere(tmp_path: Path) -> None:
    cloud = standing("vllm", tmp_path)
    named = file("vllm", tmp_path, NAME, "europe-west4").spec
    assert _settled(cloud, named) == (named, "")


def test_a_service_of_that_name_that_is_not_ours_settles_nothing(tmp_path: Path) -> None:
    cloud = standing("vllm", tmp_path)
    kept = cloud.store.get("run", f"projects/rehearsal/locations/us-central1/services/{NAME}")
    assert kept is not None
    del kept.body["labels"]["homeport"]
    assert _settled(cloud, wanted("vllm", tmp_path).spec)[1] == ""


def test_where_nobody_may_look_the_plan_says_that_it_is_not_known(tmp_path: Path) -> None:
    cloud = standing("vllm", tmp_path)

    async def work() -> str:
        async with google_for(cloud, caller="stranger@example.com") as google:
            return (await where_it_stands(google, wanted("vllm", tmp_path).spec)).note

    told = act(work())
    assert told.startswith("region: the file names none, so europe-west4 is taken; whether home stands in ")
    known, _, why = told.partition(" is not known: ")
    assert all(region in known for region in catalog.regions())
    assert why.count("services in ") == why.count("lacks") == 1, told


def planned(cloud: Cloud, folder: Path) -> tuple[list[str], Counter[str], tuple[str, ...]]:
    """What a file without a region reads of services before its first plan is whole, and what that plan and a second one warn of elsewhere."""
    wish = wanted("ollama", folder)

    async def work() -> tuple[list[str], Counter[str], tuple[str, ...]]:
        async with google_for(cloud) as google:
            before = len(cloud.log)
            at = await where_it_stands(google, wish.spec)
            target = replace(
                replace(wish, spec=at.spec).target(google, unproven),
                seen=at.seen,
                notes=(at.note,) if at.note else (),
            )
            plan, _ = await plan_of(target)
            asked = Counter(one.method for one in cloud.log[before:] if one.method in {LIST, GET})
            again, _ = await plan_of(replace(target, notes=()))
            return [one for one in plan.warnings if "stands in" in one], asked, again.warnings

    return act(work())


async def unproven(*_: object) -> Receipt:
    raise AssertionError("a plan proves nothing")


def test_the_services_of_other_regions_are_read_once_for_the_region_and_for_what_is_told_of_them(
    tmp_path: Path,
) -> None:
    cloud = standing("ollama", tmp_path)
    addresses = cloud.store.get("compute", f"projects/rehearsal/regions/us-central1/subnetworks/{NAME}")
    assert addresses is not None
    cloud.forget(addresses)
    up(cloud, file("ollama", tmp_path, NAME, "us-east4"))
    (settled, other), asked, again = planned(cloud, tmp_path)
    assert "home stands in us-central1: it stays there" in settled
    assert other.startswith("home also stands in us-east4 (")
    assert asked[LIST] == len(catalog.regions())
    assert any(one.startswith("home also stands in us-east4 (") for one in again), (
        "the next plan looks itself"
    )


def test_a_permission_that_is_missing_for_other_regions_is_told_once(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(cloud, "run", "compute", "artifactregistry")
    cloud.faults.append(Fault(method=LIST, status=403, times=len(catalog.regions())))
    (note,), asked, _ = planned(cloud, tmp_path)
    assert note.startswith("region: the file names none, so europe-west4 is taken; whether home stands in ")
    assert all(region in note for region in catalog.regions())
    assert note.count("services in ") == 1
    assert asked[LIST] == len(catalog.regions())


def test_a_region_that_cannot_be_read_is_told_beside_the_one_in_which_the_endpoint_stands(
    tmp_path: Path,
) -> None:
    cloud = standing("ollama", tmp_path, unread="us-east4")
    (settled, unknown), _, _ = planned(cloud, tmp_path)
    assert "home stands in us-central1: it stays there" in settled
    assert unknown.startswith("whether home also stands in us-east4 is not known: services in us-east4: ")


def test_an_endpoint_is_not_moved_while_it_is_not_known_whether_it_stands_where_it_should(
    tmp_path: Path,
) -> None:
    cloud = standing("vllm", tmp_path, unread="europe-west4")
    cloud.faults.append(Fault(method=GET, status=403))
    wish = wanted("vllm", tmp_path).spec
    settled, note = _settled(cloud, wish)
    assert settled == wish
    assert "so europe-west4 is taken; whether home stands in europe-west4 is not known: services in" in note


def test_who_may_list_services_and_not_read_one_is_told_where_the_endpoint_stands(tmp_path: Path) -> None:
    cloud = standing("vllm", tmp_path)
    cloud.faults.append(Fault(method=GET, status=403, times=99))
    settled, note = _settled(cloud, wanted("vllm", tmp_path).spec)
    assert settled.cloudrun is not None
    assert settled.cloudrun.region == "us-central1"
    assert "it stays there" in note


def test_the_note_is_the_first_warning_of_a_plan() -> None:
    deployer = Deployer("ollama")

    async def work() -> tuple[str, ...]:
        async with google_for(deployer.cloud) as google:
            plan = await deployment(google, deployer.wanted(), notes=("region: it stands elsewhere",)).plan()
            return plan.warnings

    assert act(work())[0] == "region: it stands elsewhere"


def _settled(cloud: Cloud, wish: spec.Spec) -> tuple[spec.Spec, str]:
    async def work() -> tuple[spec.Spec, str]:
        async with google_for(cloud) as google:
            at = await where_it_stands(google, wish)
            return at.spec, at.note

    return act(work())
