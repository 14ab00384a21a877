"""Virtual repositories: an image comes from the first repository behind one that has it."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.apis.artifactregistry.repositories import find_image, push
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.errors import ApiError

REPOSITORIES = "projects/rehearsal/locations/us-central1/repositories"
L = f"artifactregistry.googleapis.com/v1/{REPOSITORIES}"
HOST = "us-central1-docker.pkg.dev/rehearsal"
ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "artifactregistry")
    for name in ("first", "second"):
        assert act(Raw(cloud).send("POST", f"{L}?repositoryId={name}", {"format": "DOCKER"})).status == 200
    return cloud


def policy(name: str, priority: int, **more: Any) -> dict[str, Any]:  # Any: JSON
    return {"id": name, "repository": f"{REPOSITORIES}/{name}", "priority": priority, **more}


def all_of(*policies: dict[str, Any], **more: Any) -> dict[str, Any]:  # Any: JSON
    virtual = {"virtualRepositoryConfig": {"upstreamPolicies": list(policies)}}
    return {"format": "DOCKER", "mode": "VIRTUAL_REPOSITORY", **virtual, **more}


def test_an_image_comes_from_the_first_that_has_it(cloud: Cloud) -> None:
    body = all_of(policy("first", 10), policy("second", 20))
    assert act(Raw(cloud).send("POST", f"{L}?repositoryId=all", body)).status == 200
    push(cloud, f"{HOST}/first/server:v1", ONE, 1)
    assert find_image(cloud, f"{HOST}/all/server:v1") == ONE
    push(cloud, f"{HOST}/second/server:v1", TWO, 1)
    assert find_image(cloud, f"{HOST}/all/server:v1") == TWO
    assert find_image(cloud, f"{HOST}/all/server@{ONE}") == ONE
    assert find_image(cloud, f"{HOST}/all/server:v2") is None
    with pytest.raises(ApiError, match="virtual repository"):
        push(cloud, f"{HOST}/all/server:v2", ONE, 1)


@pytest.mark.parametrize(
    ("policies", "status"),
    [
        ([policy("first", 1), policy("first", 2)], 400),
        ([policy("", 1)], 400),
        ([policy("absent", 1)], 404),
        ([policy("first", 1, repository="first")], 400),
        ([policy("first", 1, repository=f"{REPOSITORIES}/first".replace("us-central1", "us-east4"))], 400),
    ],
)
def test_policies_that_cannot_be_are_refused(cloud: Cloud, policies: list[Any], status: int) -> None:
    assert act(Raw(cloud).send("POST", f"{L}?repositoryId=all", all_of(*policies))).status == status


def test_what_is_of_another_format_or_virtual_itself_is_refused(cloud: Cloud) -> None:
    raw = Raw(cloud)
    assert act(raw.send("POST", f"{L}?repositoryId=all", all_of(policy("first", 1)))).status == 200
    assert act(raw.send("POST", f"{L}?repositoryId=more", all_of(policy("all", 1)))).status == 400
    python = all_of(policy("first", 1), format="PYTHON")
    assert act(raw.send("POST", f"{L}?repositoryId=python", python)).status == 400
