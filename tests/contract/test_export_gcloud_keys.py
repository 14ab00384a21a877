"""The exported script with a key of one's own: made, granted and used by the real gcloud, which grants nothing by itself."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ways
from crypto_keys import grant
from deployment import google_for
from exporting import There, Wanted, pending, there
from gcloud import NEEDS_GCLOUD
from gcp_rehearsal.cloud import OWNER
from homeport.google import Google
from homeport.google.encryption import showing
from homeport.reconcile import Resource
from homeport.resources.google.traffic import Receipt
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict, preflight
from homeport.targets.cloudrun.preflight.encryption import LOOKS, key_findings
from preflights import ASKED

pytestmark = NEEDS_GCLOUD
RING = f"projects/{ways.PROJECT}/locations/{ways.REGION}/keyRings/ring"
KEY = f"{RING}/cryptoKeys/own"
PLACE = (f"--location={ways.REGION}", f"--project={ways.PROJECT}")
CHANGES = re.compile(r"\.(create|insert|patch|update|delete|replaceService|addVersion|batchEnable|enable)$")


@pytest.fixture
def here(tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    """A rehearsal in which the real gcloud has made a key, which nobody may use yet."""
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    with there(tmp_path, steps=ways.Carrying()) as here:
        here.run("gcloud", "services", "enable", "cloudkms.googleapis.com", PLACE[1])
        here.run("gcloud", "kms", "keyrings", "create", "ring", *PLACE)
        here.run("gcloud", "kms", "keys", "create", "own", "--keyring=ring", "--purpose=encryption", *PLACE)
        yield here


@pytest.fixture
def wanted(tmp_path: Path) -> Wanted:
    wish = ways.wanted("vllm", tmp_path, access={"encryption_key": KEY})

    async def never(*_: object) -> Receipt:
        raise AssertionError

    def resources(google: Google) -> list[Resource]:
        return wish.target(google, never).resources()

    return resources


def bindings(here: There) -> list[object]:
    """Who may do what with the key, by its own policy."""
    return list(here.cloud.access.policy("cloudkms", KEY).get("bindings", ()))


def repository_alone(here: There, wanted: Wanted) -> None:
    """Write of the script what all of it begins with, the API, and the first repository."""
    here.run("gcloud", "services", "enable", "artifactregistry.googleapis.com", PLACE[1])
    files = here.exported("gcloud", wanted)
    begin, *blocks = files["deploy.sh"].split("\n\n# ")
    first = next(place for place, block in enumerate(blocks) if re.match(r"\d+ APIs", block))
    (chosen,) = [block for block in blocks[first:] if block.startswith(f"repository {ways.NAME}\n")]
    text = "\n\n# ".join([begin, *blocks[:first], chosen])
    here.write({**files, "deploy.sh": f"{text}\nfinish\n"})


def test_with_the_commands_of_its_head_the_script_makes_what_up_would_make_and_then_changes_nothing(
    here: There, wanted: Wanted
) -> None:
    files = here.exported("gcloud", wanted)
    here.write(files)
    lines = [
        line.removeprefix("#").strip() for line in files["deploy.sh"].splitlines() if line.startswith("#")
    ]
    head = "\n".join(lines).replace(" \\\n", " ").splitlines()
    number, *granting = [line for line in head if line.startswith(("number=", "gcloud kms keys add-iam"))]
    assert len(granting) == 3
    here.write({"grant.sh": "\n".join(["set -eu", number, *granting])})
    here.run("bash", "grant.sh")
    assert len(bindings(here)) == 1
    here.run("bash", "deploy.sh", HF_TOKEN=ways.TOKEN)
    assert pending(here.plan(wanted)) == ["create release/home: []"], "the proof is not gcloud's"
    service = here.cloud.store.get("run", f"{RING.partition('/keyRings')[0]}/services/{ways.NAME}")
    assert service is not None
    assert service.body["template"]["encryptionKey"] == KEY
    before, grants = len(here.cloud.log), set(here.cloud.access.grants())
    here.run("bash", "deploy.sh")
    assert set(here.cloud.access.grants()) == grants
    assert not [one.method for one in here.cloud.log[before:] if CHANGES.search(one.method)]


def test_where_nobody_lets_the_service_agent_use_the_key_the_script_says_so_and_grants_nothing(
    here: There, wanted: Wanted
) -> None:
    repository_alone(here, wanted)
    said = here.run("bash", "deploy.sh", code=1)
    assert (
        "Permission denied on Cloud KMS key. Please ensure your Artifact Registry service account" in said.err
    )
    assert "error: this failed: keyed artifacts repositories create" in said.err
    assert bindings(here) == []


def test_a_grant_on_the_ring_is_enough_and_none_on_the_key_is_added(here: There, wanted: Wanted) -> None:
    grant(here.cloud, RING, "artifactregistry")
    repository_alone(here, wanted)
    here.run("bash", "deploy.sh")
    (made,) = here.cloud.store.of("artifactregistry", "artifactregistry.projects.locations.repositories")
    assert made.body["kmsKeyName"] == KEY
    assert bindings(here) == []


def test_gcloud_reads_changes_and_grants_on_a_key(here: There) -> None:
    of_key = (*("--keyring=ring",), *PLACE)
    told = here.run("gcloud", "kms", "keys", "describe", "own", *of_key, "--format=json").json
    assert (told["name"], told["primary"]["state"], told["purpose"]) == (KEY, "ENABLED", "ENCRYPT_DECRYPT")
    member = "serviceAccount:service-481516234200@gs-project-accounts.iam.gserviceaccount.com"
    role = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    here.run(
        *shlex.split(f"gcloud kms keys add-iam-policy-binding own --member={member} --role={role}"), *of_key
    )
    assert bindings(here) == [{"role": role, "members": [member]}]
    versions = ("gcloud", "kms", "keys", "versions")
    here.run(*versions, "disable", "1", "--key=own", *of_key)
    listed = here.run(*versions, "list", "--key=own", *of_key, "--format=value(state)").out
    assert listed.split() == ["DISABLED"]
    here.run(*versions, "create", "--key=own", "--primary", *of_key)
    primary = here.run(
        "gcloud", "kms", "keys", "describe", "own", *of_key, "--format=value(primary.name)"
    ).out
    assert primary.strip() == f"{KEY}/cryptoKeyVersions/2"
    here.run(*versions, "destroy", "1", "--key=own", *of_key)
    here.run(*versions, "restore", "1", "--key=own", *of_key)
    here.run(*versions, "enable", "1", "--key=own", *of_key)
    missing = here.run("gcloud", "kms", "keys", "describe", "none", *of_key, code=1)
    assert f"NOT_FOUND: CryptoKey {RING}/cryptoKeys/none not found." in missing.err


def found_of(here: There, key: str, caller: str = OWNER) -> PreflightFinding:
    """What a plan finds of a key."""

    async def work() -> PreflightFinding:
        async with google_for(here.cloud, caller=caller) as google:
            asked = replace(ASKED, project=ways.PROJECT, region=ways.REGION, key=key)
            (found,) = await key_findings(google, await preflight(google, asked), [asked])
            return found

    return asyncio.run(work())


def followed(here: There, hint: str) -> None:
    """Type the commands of a hint as they stand there, in a shell that ends at the first that fails."""
    here.write({"hint.sh": "set -eu\n" + hint.replace("; ", "\n")})
    here.run("bash", "hint.sh")


@pytest.mark.parametrize("ring", ["ring", "another"])
def test_with_the_commands_of_a_plan_a_key_that_was_not_there_is_made_and_may_be_used(
    here: There, ring: str
) -> None:
    key = f"{RING.rpartition('/')[0]}/{ring}/cryptoKeys/new"
    followed(here, found_of(here, key).hint)
    assert found_of(here, key).verdict is PreflightVerdict.OK


@pytest.mark.parametrize("state", ["DISABLED", "DESTROY_SCHEDULED", "DESTROYED", ""])
def test_with_the_commands_of_a_plan_a_key_that_encrypts_nothing_does_again(here: There, state: str) -> None:
    grant(here.cloud, RING, "artifactregistry", "run", "storage")
    key, version = (here.cloud.store.get("cloudkms", name) for name in (KEY, f"{KEY}/cryptoKeyVersions/1"))
    assert key is not None
    assert version is not None
    version.body |= {"state": state, "destroyTime": "2999-01-01T00:00:00Z"}
    if not state:
        del key.hidden["primary"]
    found = found_of(here, KEY)
    assert found.verdict is PreflightVerdict.PROBLEM
    followed(here, found.hint)
    assert found_of(here, KEY).verdict is PreflightVerdict.OK


def test_with_the_commands_for_who_plans_a_key_of_somebody_elses_is_looked_at(here: There) -> None:
    grant(here.cloud, RING, "artifactregistry", "run", "storage")
    friend = "friend@example.com"
    shown = {"role": "roles/browser", "members": [f"user:{friend}"]}
    before = here.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")["bindings"]
    here.cloud.access.set_policy(
        "cloudresourcemanager", "projects/rehearsal", {"bindings": [*before, shown]}, at_once=True
    )
    assert found_of(here, KEY, friend).verdict is PreflightVerdict.NOT_CHECKED
    commands = showing(KEY, member=f"user:{friend}", role_id="homeport.home.keys", permissions=LOOKS)
    followed(here, "; ".join(commands))
    assert found_of(here, KEY, friend).verdict is PreflightVerdict.OK
