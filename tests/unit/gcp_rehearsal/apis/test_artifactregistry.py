"""Artifact Registry in the rehearsal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from cloud import Answer, Raw, act, enable
from gcp_rehearsal.apis.artifactregistry.repositories import find_image, push
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays
from gcp_rehearsal.errors import ApiError

L = "artifactregistry.googleapis.com/v1/projects/rehearsal/locations/us-central1"
HOME = f"{L}/repositories/home"
IMAGE = "us-central1-docker.pkg.dev/rehearsal/home/server"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry")
    return cloud


async def repository(raw: Raw, name: str = "home", **more: Any) -> Answer:  # Any: JSON
    return await raw.send("POST", f"{L}/repositories?repositoryId={name}", {"format": "DOCKER", **more})


def test_a_repository_takes_seconds() -> None:
    cloud = Cloud(delays=Delays(grants=0))
    enable(cloud, "artifactregistry")

    async def work() -> None:
        raw = Raw(cloud)
        operation = (await repository(raw, labels={"a": "b"})).body
        assert not operation.get("done")
        await asyncio.sleep(6)
        done = (await raw.send("GET", f"artifactregistry.googleapis.com/v1/{operation['name']}")).body
        assert done["response"]["@type"].endswith("artifactregistry.v1.Repository")
        made = (await raw.send("GET", HOME)).body
        assert (made["mode"], made["labels"]) == ("STANDARD_REPOSITORY", {"a": "b"})
        assert made["registryUri"] == "us-central1-docker.pkg.dev/rehearsal/home"

    act(work())


def test_a_patch_is_answered_at_once(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await repository(raw)
        patched = await raw.send("PATCH", f"{HOME}?updateMask=description", {"description": "mine"})
        assert patched.body["description"] == "mine"
        fixed = await raw.send("PATCH", f"{HOME}?updateMask=format", {"format": "NPM"})
        assert fixed.status == 400

    act(work())


def test_what_is_there_and_what_is_not_is_told_in_google_s_words(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await repository(raw)
        again, gone = await repository(raw), await raw.send("GET", f"{L}/repositories/none")
        assert (again.status, again.error) == (409, "the repository already exists")
        assert (gone.status, gone.error) == (404, "Requested entity was not found.")

    act(work())


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("Home", {}),
        ("home", {"format": None}),
        ("home", {"mode": "REMOTE_REPOSITORY"}),
        ("home", {"remoteRepositoryConfig": {"dockerRepository": {"publicRepository": "DOCKER_HUB"}}}),
        ("home", {"cleanupPolicies": {"old": {"action": "DELETE"}}}),
    ],
)
def test_a_repository_that_cannot_be_is_refused(cloud: Cloud, name: str, more: dict[str, Any]) -> None:
    assert act(repository(Raw(cloud), name, **more)).status == 400


def test_images_appear_when_they_are_pushed(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        with pytest.raises(ApiError, match='name unknown: Repository "home" not found'):
            push(cloud, f"{IMAGE}:one", ONE, 10)
        await repository(raw)
        assert find_image(cloud, f"{IMAGE}:one") is None
        push(cloud, f"{IMAGE}:one", ONE, 10)
        push(cloud, f"{IMAGE}:latest", ONE, 10)
        push(cloud, IMAGE, TWO, 20)
        assert find_image(cloud, f"{IMAGE}:one") == ONE
        assert find_image(cloud, IMAGE) == TWO
        assert find_image(cloud, f"{IMAGE}@{ONE}") == ONE
        assert find_image(cloud, f"{IMAGE}@sha256:{'3' * 64}") is None
        images = (await raw.send("GET", f"{HOME}/dockerImages")).body["dockerImages"]
        assert [(image["uri"], image["tags"]) for image in images] == [
            (f"{IMAGE}@{ONE}", ["one"]),
            (f"{IMAGE}@{TWO}", ["latest"]),
        ]
        one = images[0]["name"].partition("/dockerImages/")[2]
        assert (await raw.send("GET", f"{HOME}/dockerImages/{one}")).body == images[0]
        assert (await raw.send("GET", HOME)).body["sizeBytes"] == "30"

    act(work())


def test_packages_versions_and_tags_can_be_looked_through(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await repository(raw)
        push(cloud, f"{IMAGE}/gpu:one", ONE, 10)
        package = f"{HOME}/packages/server%2Fgpu"
        assert (
            (await raw.send("GET", f"{HOME}/packages")).body["packages"][0]["name"].endswith("server%2Fgpu")
        )
        version = (await raw.send("GET", f"{package}/versions?view=FULL")).body["versions"][0]
        assert version["relatedTags"][0]["name"].endswith("/tags/one")
        moved = {"version": version["name"]}
        assert (await raw.send("POST", f"{package}/tags?tagId=two", moved)).status == 200
        tags = (await raw.send("GET", f"{package}/tags")).body["tags"]
        assert [tag["name"].rpartition("/")[2] for tag in tags] == ["one", "two"]
        assert (await raw.send("DELETE", f"{package}/versions/{ONE}")).status == 400, "it has tags"
        assert (await raw.send("DELETE", f"{package}/tags/two")).status == 200
        assert (await raw.send("DELETE", f"{package}/versions/{ONE}?force=true")).status == 200
        assert find_image(cloud, f"{IMAGE}/gpu:one") is None

    act(work())


def test_a_fixed_tag_stays_where_it_is(cloud: Cloud) -> None:
    async def work() -> None:
        await repository(Raw(cloud), dockerConfig={"immutableTags": True})
        push(cloud, f"{IMAGE}:one", ONE, 10)
        push(cloud, f"{IMAGE}:one", ONE, 10)
        with pytest.raises(ApiError, match="cannot update tag one"):
            push(cloud, f"{IMAGE}:one", TWO, 10)

    act(work())


def test_what_lies_elsewhere_is_taken_to_exist(cloud: Cloud) -> None:
    async def work() -> None:
        mirror = {"dockerRepository": {"publicRepository": "DOCKER_HUB"}}
        await repository(Raw(cloud), "mirror", mode="REMOTE_REPOSITORY", remoteRepositoryConfig=mirror)
        assert find_image(cloud, "us-central1-docker.pkg.dev/rehearsal/mirror/library/redis:8")
        assert find_image(cloud, "us-docker.pkg.dev/cloudrun/container/hello")
        assert find_image(cloud, f"docker.io/library/redis@{ONE}") == ONE

    act(work())


def test_a_repository_goes_with_all_that_it_holds(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await repository(raw)
        push(cloud, f"{IMAGE}:one", ONE, 10)
        reader = {"role": "roles/artifactregistry.reader", "members": ["user:a@example.com"]}
        assert (
            await raw.send("POST", f"{HOME}:setIamPolicy", {"policy": {"bindings": [reader]}})
        ).status == 200
        assert (await raw.send("GET", f"{HOME}:getIamPolicy")).body["bindings"] == [reader]
        operation = (await raw.send("DELETE", HOME)).body
        assert operation["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
        left = [kept for kept in cloud.store.of("artifactregistry") if kept.collection != "operations"]
        assert left == []

    act(work())


def test_places_and_the_organisation_s_word_on_them(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        listed = (
            await raw.send("GET", "artifactregistry.googleapis.com/v1/projects/rehearsal/locations")
        ).body
        assert {"us", "us-central1"} <= {place["locationId"] for place in listed["locations"]}
        cloud.policies.locations = frozenset({"europe-west4"})
        barred = await repository(raw)
        assert barred.body["error"]["details"][0]["reason"] == "LOCATION_POLICY_VIOLATED"

    act(work())
