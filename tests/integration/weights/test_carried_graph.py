"""A real model of the tests', planned and applied from secret to manifest, with a real build in the middle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from building import ACCOUNT, REGION, TOKEN, Place, place
from gcp_rehearsal.apis.storage.objects import content_of, find
from gcp_rehearsal.faults import parse
from homeport.google import Google, IamResource
from homeport.progress import Silent
from homeport.reconcile import Plan, Ref, Resource, apply, destroy, make_plan
from homeport.resources.google.bucket import bucket
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.secret import SecretVersion, secret
from homeport.secret import Secret
from homeport.weights.manifest import Pin, PinnedFile
from places import TAUGHT_FOLDER

BUCKET = "rehearsal-mine-weights"
REPO = "homeport/gemma-4-taught"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("homeport.resources.google.build.FIRST_LOOK_S", 0.05)
    with place(tmp_path) as here:
        here.hub.push(REPO, {path.name: path.read_bytes() for path in TAUGHT_FOLDER.iterdir()}, gated="auto")
        here.hub.tokens[TOKEN] = {REPO}
        yield here


def things(here: Place, google: Google) -> list[Resource]:
    commit = here.hub.repos[REPO].refs["main"]
    files = tuple(
        PinnedFile(
            path=path.name,
            size=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest() if path.suffix == ".safetensors" else None,
        )
        for path in sorted(TAUGHT_FOLDER.iterdir())
    )
    places = {
        f"bucket/{BUCKET}": ("storage", f"storage/v1/b/{BUCKET}", "roles/storage.objectUser"),
        "secret/mine-token": (
            "secretmanager",
            "v1/projects/rehearsal/secrets/mine-token",
            "roles/secretmanager.secretAccessor",
        ),
    }
    grants = [
        Grant(google=google, role=role, member=f"serviceAccount:{ACCOUNT}", on=IamResource(api=api, path=path),
              known_as=known_as, needs=(known_as,))
        for known_as, (api, path, role) in places.items()
    ]  # fmt: skip
    weights = StoredWeights(
        google=google, name="taught", bucket=BUCKET, prefix=f"models/{REPO}/{commit}", region=REGION,
        pin=Pin(source=f"hf:{REPO}", revision=commit, files=files), account=ACCOUNT,
        token=Ref("secret-version/mine-token", "name"), after=tuple(grant.id for grant in grants),
    )  # fmt: skip
    return [
        secret(google, "mine", "mine-token", REGION),
        SecretVersion(google=google, secret_id="mine-token", value=Secret(TOKEN)),
        bucket(google, "mine", BUCKET, REGION),
        *grants,
        weights,
    ]


def up(here: Place) -> tuple[Plan, Any]:  # Any: what is live of the weights
    async def work() -> tuple[Plan, Any]:
        async with here.google() as google:
            wanted = things(here, google)
            await apply(await make_plan("mine", "cloudrun", wanted), Silent())
            return await make_plan("mine", "cloudrun", wanted), await wanted[-1].read()

    return here.act(work())


def test_a_gated_model_is_brought_by_a_plan_and_then_there_is_nothing_to_do(here: Place) -> None:
    again, live = up(here)
    assert not again.pending
    assert len(here.builds()) == 1
    for path in TAUGHT_FOLDER.iterdir():
        kept = find(here.cloud, BUCKET, f"{live['prefix']}/{path.name}")
        assert kept is not None
        assert content_of(kept).read() == path.read_bytes()
    assert TOKEN not in here.told()


@pytest.mark.parametrize(
    "fault",
    [
        "cloudbuild.*.builds.create:500:after",
        "cloudbuild.*.builds.list:503",
        "cloudbuild.*.builds.get:drop:nth=2",
        "storage.objects.list:429",
        "logging.entries.list:500",
    ],
)
def test_what_goes_wrong_on_the_way_is_overcome_in_the_same_run(here: Place, fault: str) -> None:
    here.cloud.faults.append(parse(fault))
    again, live = up(here)
    assert not again.pending
    assert live is not None
    assert len(here.builds()) == 1


def test_down_with_purge_leaves_nothing_of_them(here: Place) -> None:
    up(here)

    async def work() -> None:
        async with here.google() as google:
            await destroy(things(here, google), Silent())

    here.act(work())
    assert [name for name in here.objects() if "taught" in name] == []
    assert here.cloud.store.get("storage", f"b/{BUCKET}") is None
