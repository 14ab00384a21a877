"""Repositories of container images: our own, and those that fetch from another registry and keep what they fetched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

_PASSWORD = "remoteRepositoryConfig.upstreamCredentials.usernamePasswordCredentials.passwordSecretVersion"  # noqa: S105
KEEP_VERSIONS = 5
"""How many images of each name outlive the clean-up: what serves, and some to go back to."""


DOCKER_HUB = "docker.io"
_CLEANUP = {
    "keep-newest": {
        "id": "keep-newest",
        "action": "KEEP",
        "mostRecentVersions": {"keepCount": KEEP_VERSIONS},
    },
    "delete-older": {
        "id": "delete-older",
        "action": "DELETE",
        "condition": {"olderThan": "2592000s"},
    },
}


def repository(google: Google, name: str, repository_id: str, region: str) -> RestResource:
    """Return the Docker repository `repository_id` of the endpoint `name`, which keeps its newest images alone."""
    body = {"format": "DOCKER", "labels": {LABEL: name}, "cleanupPolicies": _CLEANUP}
    return _repository(google, name, (region, repository_id), body)


def remote_repository(
    google: Google,
    name: str,
    repository_id: str,
    region: str,
    host: str,
    login: tuple[str, str] | None = None,
) -> RestResource:
    """
    Return the repository of the endpoint `name` that fetches images from the registry `host` when they are first asked for.

    It asks upstream once, as Google does or with a `login`, an account and the version of the secret (`SECRET/VERSION`) that
    holds its token: the limits of anonymous callers are met by what it keeps.
    """
    upstream: dict[str, Any] = (  # Any: JSON
        {"publicRepository": "DOCKER_HUB"}
        if host == DOCKER_HUB
        else {"customRepository": {"uri": f"https://{host}"}}
    )
    config: dict[str, Any] = {  # Any: JSON
        "description": f"what {host} has, fetched once",
        "dockerRepository": upstream,
    }
    if login is not None:
        secret, _, version = login[1].partition("/")
        config["upstreamCredentials"] = {
            "usernamePasswordCredentials": {
                "username": login[0],
                "passwordSecretVersion": f"projects/{google.project}/secrets/{secret}/versions/{version}",
            }
        }
    body = {
        "format": "DOCKER",
        "mode": "REMOTE_REPOSITORY",
        "remoteRepositoryConfig": config,
        "labels": {LABEL: name},
        "cleanupPolicies": _CLEANUP,
    }
    return _repository(google, name, (region, repository_id), body)


def _repository(google: Google, name: str, place: tuple[str, str], body: Mapping[str, Json]) -> RestResource:
    region, repository_id = place
    parent = f"v1/projects/{google.project}/locations/{region}/repositories"
    return RestResource(
        google=google,
        name=name,
        id=f"repository/{repository_id}",
        kind="repository",
        address=Address(
            api="artifactregistry",
            path=f"{parent}/{repository_id}",
            made_at=parent,
            query={"repositoryId": repository_id},
        ),
        wanted=body,
        rules=Rules(
            immutable=frozenset(
                (
                    "format",
                    "mode",
                    "remoteRepositoryConfig.description",
                    "remoteRepositoryConfig.dockerRepository",
                )
            ),
            references=frozenset((_PASSWORD,)),
        ),
    )
