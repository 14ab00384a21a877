"""Keys of one's own in several regions: each encrypts what lies there, and nothing of another region."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud import things
from homeport.targets.cloudrun.preflight import PreflightVerdict
from preflights import ASKED, about, looked, ready
from regions import FIRST, SECOND, InTwoRegions

PATH = "projects/vault/locations/{region}/keyRings/r-{region}/cryptoKeys/k"


@pytest.fixture
def deployer(tmp_path: Path) -> InTwoRegions:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.tables["access"] = {"encryption_key": PATH}
    return deployer


@pytest.mark.parametrize("region", [FIRST, SECOND])
def test_all_that_is_kept_in_a_region_is_encrypted_with_the_key_of_that_region(
    deployer: InTwoRegions, region: str
) -> None:
    deployer.deployed(deployer.in_both())
    own = PATH.replace("{region}", region)
    assert deployer.service_in(region)["template"]["encryptionKey"] == own
    kept = list(things(deployer.cloud))
    buckets = [
        one.body for one in kept if one.api == "storage" and one.body.get("location") == region.upper()
    ]
    registries = [
        one.body
        for one in kept
        if one.name.endswith(tuple(f"/{region}/repositories/{name}" for name in ("home", "home-docker-io")))
    ]
    assert [one["encryption"]["defaultKmsKeyName"] for one in buckets] == [own]
    assert [one["kmsKeyName"] for one in registries] == [own, own]


def test_revisions_with_the_keys_of_two_regions_are_told_to_be_alike(deployer: InTwoRegions) -> None:
    _, after = deployer.up(deployer.in_both())
    assert after.pending == (), after.pending
    assert deployer.sum_in(FIRST) == deployer.sum_in(SECOND) != ""


def test_a_plan_says_the_key_of_each_region_and_that_nobody_looked_whether_it_may_be_used(
    deployer: InTwoRegions,
) -> None:
    facts = {fact.key: fact.text for fact in deployer.planned(deployer.in_both()).facts}
    for region in (FIRST, SECOND):
        assert f"{region}: {PATH.replace('{region}', region)}; " in facts["encryption_key"]
    assert "must be let use each before, which is not looked at" in facts["encryption_key"]


@pytest.mark.parametrize(
    ("place", "verdict", "says"),
    [
        (ASKED.region, PreflightVerdict.NOT_CHECKED, "was not looked at"),
        ("asia-east1", PreflightVerdict.PROBLEM, "is a key of asia-east1"),
        ("global", PreflightVerdict.PROBLEM, "is a key of global"),
    ],
)
def test_a_key_of_another_place_stands_in_the_way_and_one_of_the_region_is_told_as_not_looked_at(
    place: str, verdict: PreflightVerdict, says: str
) -> None:
    asked = replace(ASKED, key=PATH.replace("{region}", place))
    found = about(looked(ready(), asked), "encryption key")
    assert (found.verdict, says in found.text) == (verdict, True), found
    assert not [one for one in looked(ready(), ASKED).all if one.subject == "encryption key"], (
        "without a key nothing is said"
    )
