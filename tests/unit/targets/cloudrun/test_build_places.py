"""A project that may not build everywhere, or on every machine, builds where it may: and is told so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport.errors import QuotaExceeded
from homeport.reconcile import apply, make_plan
from homeport.resources.google.build_place import BuildPlace
from homeport.resources.google.traffic import Body, Receipt
from reconciled import Listener
from ways import NAME, Carrying, Way, wanted


async def prove(service: Body, revision: str, url: str) -> Receipt:
    return Receipt(at="2026-11-28T00:00:00", passed=True, counts={"passed": 20})


def up(cloud: Cloud, way: Way, folder: Path, **cloudrun: Any) -> list[str]:  # Any: keys of homeport.toml
    """What was noted."""
    token = {"hub_token": "env:HF_TOKEN"} if way == "vllm" else {}
    wish, heard = wanted(way, folder, cloudrun={"region": "asia-southeast1", **token, **cloudrun}), Listener()

    async def work() -> None:
        async with google_for(cloud) as google:
            await apply(await make_plan(NAME, "cloudrun", wish.target(google, prove).resources()), heard)
            again = await make_plan(NAME, "cloudrun", wish.target(google, prove).resources())
            assert again.pending == ()

    act(work())
    return heard.notes


def builds(cloud: Cloud) -> set[tuple[str, str]]:
    """Region and machine of each build that there was."""
    return {
        (kept.name.split("/")[3], kept.body["options"].get("machineType", "the default"))
        for kept in cloud.store.everything()
        if kept.collection.endswith("builds")
    }


@pytest.mark.parametrize(
    ("way", "limits", "place"),
    [
        ("ollama", {"only_default_machine": True}, {("asia-southeast1", "the default")}),
        ("ollama", {"build_regions": frozenset({"europe-west1"})}, {("europe-west1", "E2_HIGHCPU_8")}),
        ("vllm", {"build_regions": frozenset({"asia-east1"}), "only_default_machine": True}, {("asia-east1", "the default")}),
        ("vllm", {}, {("asia-southeast1", "the default")}),
        ("ollama", {}, {("asia-southeast1", "E2_HIGHCPU_8")}),
    ],
)  # fmt: skip
def test_a_build_runs_where_the_project_may_build(
    tmp_path: Path, way: Way, limits: dict[str, Any], place: set[tuple[str, str]]
) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying(), **limits)
    notes = up(cloud, way, tmp_path)
    assert builds(cloud) == place
    assert any("may not run as asked for" in note for note in notes) is bool(limits)


def test_a_region_that_the_file_names_is_the_only_one(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying(), build_regions=frozenset({"europe-west1"}))
    with pytest.raises(QuotaExceeded) as caught:
        up(cloud, "vllm", tmp_path, build_region="us-east4")
    assert "cloudrun.build_region" in caught.value.hint
    assert builds(cloud) == set()
    up(cloud, "vllm", tmp_path, build_region="europe-west1")
    assert builds(cloud) == {("europe-west1", "the default")}


def test_a_build_that_fits_one_machine_alone_takes_no_other() -> None:
    assert {machine for _, machine in BuildPlace(fixed_machine=True).tried("us-east4", "E2_HIGHCPU_32")} == {"E2_HIGHCPU_32"}  # fmt: skip
    first = list(BuildPlace().tried("europe-west4", "E2_HIGHCPU_8"))[:3]
    assert first == [("europe-west4", "E2_HIGHCPU_8"), ("europe-west4", ""), ("europe-west1", "E2_HIGHCPU_8")]


def test_a_build_shows_its_steps(tmp_path: Path) -> None:
    from gcp_rehearsal.cloud import Delays

    cloud = Cloud(delays=Delays(grants=0, accounts=0, apis=0, operations=1), steps=Carrying())
    notes = up(cloud, "vllm", tmp_path)
    assert any(note.startswith("the build that carries") and "step 1 of 1" in note for note in notes)
