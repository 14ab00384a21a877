"""A file that names no region: its endpoint stays where it stands, and its reader is told."""

from __future__ import annotations

from pathlib import Path

from cloud import act
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport import spec
from homeport.targets.cloudrun.regions.unnamed import where_it_stands
from marked_deployments import down, file, up
from on_cloudrun import deployment
from ways import NAME, Carrying, wanted


def test_the_default_has_both_gpus_and_no_mark() -> None:
    from homeport.catalog import cloudrun

    here = spec.CloudRun().region
    assert here == "europe-west4"
    assert all(here in gpu.regions and here not in gpu.disputed for gpu in cloudrun.gpus())


def test_a_file_without_a_region_goes_on_where_its_endpoint_stands_and_says_so(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))
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
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))
    named = file("vllm", tmp_path, NAME, "europe-west4").spec
    assert _settled(cloud, named) == (named, "")


def test_a_service_of_that_name_that_is_not_ours_settles_nothing(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))
    kept = cloud.store.get("run", f"projects/rehearsal/locations/us-central1/services/{NAME}")
    assert kept is not None
    del kept.body["labels"]["homeport"]
    assert _settled(cloud, wanted("vllm", tmp_path).spec)[1] == ""


def test_where_nobody_may_look_the_plan_says_that_it_is_not_known(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    up(cloud, file("vllm", tmp_path, NAME, "us-central1"))

    async def work() -> str:
        async with google_for(cloud, caller="stranger@example.com") as google:
            return (await where_it_stands(google, wanted("vllm", tmp_path).spec))[1]

    assert "whether the endpoint stands in another could not be read of europe-west4 (" in act(work())


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
            return await where_it_stands(google, wish)

    return act(work())
