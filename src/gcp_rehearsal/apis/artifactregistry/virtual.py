"""What repositories lead to: a virtual one to others of this cloud, a remote one elsewhere, perhaps with a login."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.artifactregistry.images import ImageName
from gcp_rehearsal.errors import invalid, not_found
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

VIRTUAL = "VIRTUAL_REPOSITORY"
_SECRET = re.compile(r"projects/[^/]+/secrets/[^/]+/versions/[0-9]+")
_NAME = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/repositories/(?P<id>[^/]+)")


def upstreams(cloud: Cloud, repository: StoredResource, image: ImageName) -> Iterator[str]:
    """Yield the names by which an image goes in the repositories behind a virtual one, in the order of its policies."""
    policies = repository.body["virtualRepositoryConfig"].get("upstreamPolicies", ())
    end = f"@{image.digest}" if image.digest else f":{image.tag}"
    for policy in sorted(policies, key=lambda policy: -policy.get("priority", 0)):
        match = _NAME.fullmatch(policy["repository"])
        if match is not None:
            host = f"{match['location']}-docker.pkg.dev"
            yield f"{host}/{match['project']}/{match['id']}/{image.name}{end}"


def check_upstreams(cloud: Cloud, name: str, body: Mapping[str, Json]) -> None:
    """Raise `ApiError` for policies of a virtual repository that cannot be; the words are the rehearsal's."""
    used: set[str] = set()
    location = name.split("/")[3]
    policies = (body.get("virtualRepositoryConfig") or {}).get("upstreamPolicies", ())
    for place, policy in enumerate(policies):
        field = f"repository.virtual_repository_config.upstream_policies[{place}]"
        _check_id(policy.get("id", ""), used, field)
        match = _NAME.fullmatch(policy.get("repository", ""))
        if match is None:
            text = "must be projects/PROJECT/locations/LOCATION/repositories/REPOSITORY"
            raise invalid("Request contains an invalid argument.", (f"{field}.repository", text))
        if match["location"] != location:
            raise invalid(
                "Request contains an invalid argument.", (f"{field}.repository", f"must be in {location}")
            )
        if cloud.project(match["project"]) is None:
            continue  # Another's: nobody here knows what it has.
        behind = cloud.store.get("artifactregistry", cloud.by_id(policy["repository"]))
        if behind is None:
            raise not_found("Requested entity was not found.")
        if behind.body["format"] != body.get("format") or behind.body["mode"] == VIRTUAL:
            text = f"must be a standard or remote repository of the format {body.get('format')}"
            raise invalid("Request contains an invalid argument.", (f"{field}.repository", text))


def _check_id(key: str, used: set[str], field: str) -> None:
    if not key or key in used:
        text = "is used more than once" if key else "is required"
        raise invalid("Request contains an invalid argument.", (f"{field}.id", text))
    used.add(key)


def check_login(cloud: Cloud, project: str, config: Mapping[str, Json]) -> None:
    """Raise `ApiError` for a login that cannot be used: Artifact Registry's agent reads it; the words are the rehearsal's."""
    login = (config.get("upstreamCredentials") or {}).get("usernamePasswordCredentials")
    if not login:
        return
    version = cloud.by_id(str(login.get("passwordSecretVersion") or ""))
    secret, _, number = version.partition("/versions/")
    owner = cloud.project(project)
    field = "repository.remote_repository_config.upstream_credentials"
    if not login.get("username") or owner is None or not _SECRET.fullmatch(version):
        text = "wants a username and projects/PROJECT/secrets/SECRET/versions/VERSION"
        raise invalid("Request contains an invalid argument.", (field, text))
    agent = Caller(f"service-{owner.number}@gcp-sa-artifactregistry.iam.gserviceaccount.com")
    needed = ["secretmanager.versions.access"]
    if cloud.store.get("secretmanager", f"{secret}/versions/{number}") is None or not cloud.access.held(
        agent, needed, "secretmanager", secret, owner.id
    ):
        raise invalid(
            f"{agent.email} cannot access {version}: grant it roles/secretmanager.secretAccessor on the secret.",
            (field, "is not readable"),
        )
