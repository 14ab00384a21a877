"""A repository of container images."""

from __future__ import annotations

from homeport.google import Google
from homeport.reconcile import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

KEEP_VERSIONS = 5
"""How many images of each name outlive the clean-up: what serves, and some to go back to."""


def repository(google: Google, name: str, repository_id: str, region: str) -> RestResource:
    """Return the Docker repository `repository_id` of the endpoint `name`, which keeps its newest images alone."""
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
        wanted={
            "format": "DOCKER",
            "labels": {LABEL: name},
            "cleanupPolicies": {
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
            },
        },
        rules=Rules(immutable=frozenset(("format",))),
    )
