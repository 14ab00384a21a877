"""Remote repositories: what they fetch is told by the protocol of registries, and kept."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import cast

import pytest

from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from homeport.errors import HomeportError, NotFound, PermissionDenied
from homeport.google.call import ApiCall, ApiClient
from homeport.google.registry import TYPES, platform_digest
from homeport.progress import Silent
from homeport.resources.google.repository import remote_repository, repository

HOST, PATH = "europe-west4-docker.pkg.dev", "rehearsal/home-docker-io/vllm/vllm-openai"


def cloud_with_it() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry")
    google = google_for(cloud)
    for one in (
        remote_repository(google, "home", "home-docker-io", "europe-west4", "docker.io"),
        repository(google, "home", "home", "europe-west4"),
    ):
        act(one.create({}, Silent()))
    return cloud


def digest(cloud: Cloud, path: str = PATH, reference: str = "v1", caller: str = "") -> str:
    async def work() -> str:
        async with google_for(cloud, caller=caller or OWNER) as google:
            return await platform_digest(google, HOST, path, reference)

    return act(work())


def test_an_image_is_pinned_to_the_digest_of_what_runs_and_is_kept_under_it() -> None:
    cloud = cloud_with_it()
    found = digest(cloud)

    async def content(reference: str) -> bytes:
        async with google_for(cloud) as google:
            call = ApiCall(verb="GET", api=HOST, path=f"v2/{PATH}/manifests/{reference}", types=TYPES)
            return (await google.send(call)).content

    index = json.loads(act(content("v1")))
    assert [one["digest"] for one in index["manifests"] if one["platform"]["architecture"] == "amd64"] == [
        found
    ]
    kept = {
        kept.id
        for kept in cloud.store.under(
            "artifactregistry",
            "projects/rehearsal/locations/europe-west4/repositories/home-docker-io/packages/-/versions",
        )
    }
    assert {found, f"sha256:{hashlib.sha256(act(content('v1'))).hexdigest()}"} < kept
    assert digest(cloud, reference="v2") != found


def test_what_upstream_has_not_and_whom_the_repository_does_not_know_is_said_in_its_words() -> None:
    cloud = cloud_with_it()
    with pytest.raises(NotFound, match="Failed to fetch"):
        digest(cloud, "rehearsal/home-docker-io/my/missing")
    with pytest.raises(NotFound, match="Repository"):
        digest(cloud, "rehearsal/home-ghcr-io/my/image")
    with pytest.raises(PermissionDenied, match="downloadArtifacts"):
        digest(cloud, caller="stranger@example.com")
    with pytest.raises(HomeportError, match="manifests of remote repositories alone"):
        digest(cloud, "rehearsal/home/serving")


def test_an_image_without_cloud_runs_platform_is_refused() -> None:
    class Door:
        async def send(self, call: ApiCall) -> object:
            assert call.types == TYPES
            manifest = {
                "manifests": [{"digest": "sha256:1", "platform": {"os": "linux", "architecture": "arm64"}}]
            }
            return type("Answer", (), {"content": json.dumps(manifest).encode()})()

    with pytest.raises(HomeportError, match="is there for arm64, and Cloud Run runs linux/amd64"):
        asyncio.run(platform_digest(cast(ApiClient, Door()), "h.pkg.dev", "p/r/i", "t"))


def test_an_image_for_one_platform_has_the_digest_of_its_own_bytes() -> None:
    content = b'{"schemaVersion": 2, "config": {}}'

    class Door:
        async def send(self, call: ApiCall) -> object:
            return type("Answer", (), {"content": content})()

    found = asyncio.run(platform_digest(cast(ApiClient, Door()), "h.pkg.dev", "p/r/i", "t"))
    assert found == f"sha256:{hashlib.sha256(content).hexdigest()}"
