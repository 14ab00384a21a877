"""Keys of one's own in several regions: each encrypts what lies there, and nothing of another region."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cloud import things
from crypto_keys import disable, grant, make_key
from gcp_rehearsal.cloud import Cloud
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict
from preflights import ASKED, about, looked, ready
from regions import FIRST, SECOND, InTwoRegions

PATH = "projects/vault/locations/{region}/keyRings/r-{region}/cryptoKeys/k"


@pytest.fixture
def deployer(tmp_path: Path) -> InTwoRegions:
    deployer = InTwoRegions("vllm", tmp_path)
    deployer.tables["access"] = {"encryption_key": PATH}
    for region in (FIRST, SECOND):
        make_key(deployer.cloud, PATH.replace("{region}", region))
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
    assert "must be let use each before: nothing is granted on a key here" in facts["encryption_key"]


@pytest.mark.parametrize(
    ("place", "verdict", "says"),
    [
        (ASKED.region, PreflightVerdict.NOT_CHECKED, "may use it: you may not see it"),
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


KEY = "projects/rehearsal/locations/us-central1/keyRings/r/cryptoKeys/k"
RING, NAMED = KEY.partition("/cryptoKeys/")[0], "--keyring=r --location=us-central1 --project=rehearsal"
USERS = ("artifactregistry", "run", "storage")


def found_of(cloud: Cloud, key: str = KEY, *, caller: str = "") -> PreflightFinding:
    asked = replace(ASKED, key=key)
    return about(looked(cloud, asked, caller=caller) if caller else looked(cloud, asked), "encryption key")


@pytest.mark.parametrize(
    ("thing", "api"), [(KEY, "cloudkms"), (RING, "cloudkms"), ("projects/rehearsal", "cloudresourcemanager")]
)
def test_a_key_that_google_s_own_accounts_may_use_is_well_wherever_that_is_granted(
    thing: str, api: str
) -> None:
    cloud = ready()
    make_key(cloud, KEY, users=())
    grant(cloud, thing, *USERS, api=api)
    found = found_of(cloud)
    assert (found.verdict, found.text) == (
        PreflightVerdict.OK, f"{KEY} is there and enabled, and Google's own accounts may use it"
    )  # fmt: skip


def test_whom_nobody_lets_use_the_key_is_named_with_the_command() -> None:
    cloud = ready()
    make_key(cloud, KEY, users=USERS[:2])
    found = found_of(cloud)
    agent = "service-481516234200@gs-project-accounts.iam.gserviceaccount.com"
    assert (found.verdict, f"do not let {agent} use it" in found.text) == (PreflightVerdict.WARNING, True), (
        found
    )
    assert found.hint == (
        f"gcloud kms keys add-iam-policy-binding k {NAMED} --member=serviceAccount:{agent} "
        "--role=roles/cloudkms.cryptoKeyEncrypterDecrypter"
    )


def test_a_key_that_is_not_there_stands_in_the_way_and_how_it_is_made_is_said() -> None:
    cloud = ready()
    make_key(cloud, KEY)
    found = found_of(cloud, f"{KEY}-2")
    assert (found.verdict, "is not there" in found.text) == (PreflightVerdict.PROBLEM, True), found
    assert f"gcloud kms keys create k-2 {NAMED} --purpose=encryption" in found.hint


@pytest.mark.parametrize(("destroyed", "verb"), [(False, "enable"), (True, "restore")])
def test_a_key_that_encrypts_nothing_stands_in_the_way(destroyed: bool, verb: str) -> None:
    cloud = ready()
    make_key(cloud, KEY)
    disable(cloud, KEY, destroy=destroyed)
    found = found_of(cloud)
    state = "DESTROY_SCHEDULED" if destroyed else "DISABLED"
    assert (found.verdict, f"is {state}" in found.text) == (PreflightVerdict.PROBLEM, True), found
    assert found.hint == f"gcloud kms keys versions {verb} 1 --key=k {NAMED}"


def test_a_key_without_a_version_stands_in_the_way() -> None:
    cloud = ready()
    make_key(cloud, KEY)
    kept = cloud.store.get("cloudkms", KEY)
    assert kept is not None
    del kept.hidden["primary"]
    assert (found_of(cloud).verdict, "has no primary version" in found_of(cloud).text) == (
        PreflightVerdict.PROBLEM,
        True,
    )


def test_what_of_the_key_may_not_be_seen_is_told_as_not_looked_at() -> None:
    cloud, friend = ready(), "friend@example.com"
    make_key(cloud, KEY)
    may = {"role": "roles/cloudkms.viewer", "members": [f"user:{friend}"]}
    found = found_of(cloud, caller=friend)
    assert (found.verdict, "you may not see it" in found.text) == (PreflightVerdict.NOT_CHECKED, True), found
    bindings = [*cloud.access.policy("cloudkms", KEY)["bindings"], may]
    cloud.access.set_policy("cloudkms", KEY, {"bindings": bindings}, at_once=True)
    shown = {"role": "roles/browser", "members": [f"user:{friend}"]}
    before = cloud.access.policy("cloudresourcemanager", "projects/rehearsal")["bindings"]
    cloud.access.set_policy(
        "cloudresourcemanager", "projects/rehearsal", {"bindings": [*before, shown]}, at_once=True
    )
    found = found_of(cloud, caller=friend)
    assert (found.verdict, "you may not see it" in found.text) == (PreflightVerdict.NOT_CHECKED, True), (
        "a viewer of the key sees no policy of it"
    )
    assert "gs-project-accounts" in found.hint
