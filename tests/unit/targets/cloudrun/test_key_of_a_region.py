"""Keys of one's own in several regions: each encrypts what lies there, and nothing of another region."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from cloud import act, things
from crypto_keys import ROLE, grant, make_key
from deployment import google_for
from gcp_rehearsal.cloud import OWNER, Cloud
from gcp_rehearsal.faults import parse
from homeport.google.encryption import mending
from homeport.json_types import Json
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightInput, PreflightVerdict
from homeport.targets.cloudrun.preflight.encryption import key_findings
from preflights import ASKED, looked, ready
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


def test_a_plan_says_the_key_of_each_region_and_that_nothing_is_granted_on_it(
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
    found = found_of(ready(), PATH.replace("{region}", place))
    assert (found.verdict, says in found.text) == (verdict, True), found
    assert findings_of(ready(), ASKED) == [], "without a key nothing is said"


def test_what_regions_share_is_asked_for_once(deployer: InTwoRegions) -> None:
    for region in (FIRST, SECOND):
        grant(deployer.cloud, PATH.replace("{region}", region))
    wanted, keyless = deployer.in_both(), deployer.tables.pop("access")
    before = len(deployer.cloud.log)
    deployer.planned(deployer.in_both())
    without = asked_of_projects(deployer.cloud, before)
    deployer.tables["access"] = keyless
    before = len(deployer.cloud.log)
    plan = deployer.planned(wanted)
    assert asked_of_projects(deployer.cloud, before) - without == Counter(
        {("cloudresourcemanager.projects.getIamPolicy", "projects/vault"): 1}
    )
    told = [one.partition(":")[0] for one in plan.warnings if "do not let service-" in one]
    assert told == ["encryption key", f"encryption key in {SECOND}"]


def asked_of_projects(cloud: Cloud, since: int) -> Counter[tuple[str, str]]:
    """What Resource Manager was asked, and how often."""
    return Counter(
        (one.method, one.name.removeprefix("/v3/").partition(":")[0])
        for one in cloud.log[since:]
        if one.method.startswith("cloudresourcemanager.")
    )


KEY = "projects/rehearsal/locations/us-central1/keyRings/r/cryptoKeys/k"
RING, NAMED = KEY.partition("/cryptoKeys/")[0], "--keyring=r --location=us-central1 --project=rehearsal"
USERS = ("artifactregistry", "run", "storage")


def findings_of(cloud: Cloud, *asked: PreflightInput, caller: str = OWNER) -> list[PreflightFinding]:
    google = google_for(cloud, caller=caller)
    return act(key_findings(google, looked(cloud, asked[0], caller=caller), asked))


def found_of(cloud: Cloud, key: str = KEY, *, caller: str = OWNER) -> PreflightFinding:
    (found,) = findings_of(cloud, replace(ASKED, key=key), caller=caller)
    return found


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
    assert found.hint.split("; ") == [
        "gcloud storage service-agent --project=rehearsal",
        f"gcloud kms keys add-iam-policy-binding k {NAMED} --member=serviceAccount:{agent} --role={ROLE}",
    ]


@pytest.mark.parametrize("ring", ["r", "another"])
def test_a_key_that_is_not_there_stands_in_the_way_and_what_is_missing_is_made(ring: str) -> None:
    cloud = ready()
    make_key(cloud, KEY)
    key = f"{KEY.replace('/r/', f'/{ring}/')}-2"
    found = found_of(cloud, key)
    assert (found.verdict, "is not there" in found.text) == (PreflightVerdict.PROBLEM, True), found
    place = "--location=us-central1 --project=rehearsal"
    commands = found.hint.split("; ")
    made = [one for one in commands if " create " in one and " kms " in one]
    rings = [] if ring == "r" else [f"gcloud kms keyrings create another {place}"]
    assert made == [*rings, f"gcloud kms keys create k-2 --keyring={ring} {place} --purpose=encryption"]
    assert "PROJECT_NUMBER" not in found.hint
    assert len([one for one in commands if "serviceAccount:service-481516234200@" in one]) == 3


def test_where_nobody_may_see_the_ring_it_is_made_if_it_is_not_there() -> None:
    cloud = ready()
    make_key(cloud, KEY)
    cloud.faults.append(parse("cloudkms.projects.locations.keyRings.get:403:times=9"))
    found = found_of(cloud, f"{KEY}-2")
    assert found.hint.startswith(
        "gcloud kms keyrings describe r --location=us-central1 --project=rehearsal --format=none || gcloud kms keyrings create r "
    ), found.hint


OF_KEY = f"--key=k {NAMED}"
ANEW = [f"gcloud kms keys versions create --primary {OF_KEY}"]


@pytest.mark.parametrize(
    ("state", "commands"),
    [
        ("DISABLED", [f"gcloud kms keys versions enable 1 {OF_KEY}"]),
        (
            "DESTROY_SCHEDULED",
            [f"gcloud kms keys versions {verb} 1 {OF_KEY}" for verb in ("restore", "enable")],
        ),
        ("DESTROYED", ANEW),
        ("IMPORT_FAILED", ANEW),
        ("GENERATION_FAILED", ANEW),
        ("PENDING_GENERATION", [f"gcloud kms keys describe k {NAMED}"]),
        ("OF_A_LATER_YEAR", [f"gcloud kms keys describe k {NAMED}"]),
    ],
)
def test_a_key_that_encrypts_nothing_stands_in_the_way_with_what_mends_it(
    state: str, commands: list[str]
) -> None:
    cloud = ready()
    make_key(cloud, KEY)
    kept = cloud.store.get("cloudkms", f"{KEY}/cryptoKeyVersions/1")
    assert kept is not None
    kept.body |= {
        "state": state,
        **({"destroyTime": "2999-01-01T00:00:00Z"} if state == "DESTROY_SCHEDULED" else {}),
    }
    found = found_of(cloud)
    assert (found.verdict, f"is {state}," in found.text) == (PreflightVerdict.PROBLEM, True), found
    assert found.hint.split("; ") == commands


def test_a_key_without_a_version_stands_in_the_way_with_the_command_that_makes_one() -> None:
    cloud = ready()
    make_key(cloud, KEY)
    kept = cloud.store.get("cloudkms", KEY)
    assert kept is not None
    del kept.hidden["primary"]
    found = found_of(cloud)
    assert (found.verdict, "has no primary version" in found.text) == (PreflightVerdict.PROBLEM, True)
    assert found.hint.split("; ") == ANEW


@pytest.mark.parametrize(
    ("told", "begins"),
    [
        ({"purpose": "ASYMMETRIC_SIGN"}, "gcloud kms keys create ANOTHER_NAME "),
        ({"importOnly": True}, "gcloud kms keys versions import "),
        ({"versionTemplate": {"protectionLevel": "EXTERNAL"}}, f"{ANEW[0]} --external-key-uri=URI"),
    ],
)
def test_a_key_that_gets_no_version_in_that_way_is_told_another(told: Json, begins: str) -> None:
    (first, *_) = mending(KEY, {"purpose": "ENCRYPT_DECRYPT", **told})
    assert first.startswith(begins)


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
