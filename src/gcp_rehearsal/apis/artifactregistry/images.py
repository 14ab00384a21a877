"""How images are named, and what lies in a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_REFERENCE = re.compile(
    r"(?P<host>[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io)/(?P<project>(?:[a-z0-9.-]+:)?[a-z0-9-]+)/"
    r"(?P<path>[^:@]+)(?::(?P<tag>[\w][\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_OLD_HOSTS = {"gcr.io": "us", "us.gcr.io": "us", "eu.gcr.io": "europe", "asia.gcr.io": "asia"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageName:
    """An image's name in its parts."""

    project: str
    repository: str
    """Its full name: `projects/p/locations/l/repositories/r`."""
    name: str
    tag: str
    """`latest` where neither tag nor digest is given; '' beside a digest."""
    digest: str


def parse(reference: str) -> ImageName | None:
    """
    Return the parts of a name such as `us-central1-docker.pkg.dev/p/r/i:tag`; None for what is not in
    Artifact Registry.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    host, project, path = match["host"], match["project"], match["path"]
    if host in _OLD_HOSTS:
        location, repository, name = _OLD_HOSTS[host], host, path
    else:
        location = host.removesuffix("-docker.pkg.dev")
        repository, _, name = path.partition("/")
    if not name:
        return None
    digest = match["digest"] or ""
    return ImageName(
        project=project,
        repository=f"projects/{project}/locations/{location}/repositories/{repository}",
        name=name,
        tag=match["tag"] or ("" if digest else "latest"),
        digest=digest,
    )


def versions_under(cloud: Cloud, repository: str) -> Iterator[StoredResource]:
    """Yield all versions of all images of a repository."""
    return cloud.store.under("artifactregistry", f"{repository}/packages/-/versions")


def tags_of(cloud: Cloud, version: StoredResource) -> list[StoredResource]:
    """Return the tags that are on a version."""
    package = version.name.partition("/versions/")[0]
    tags = cloud.store.under("artifactregistry", f"{package}/tags")
    return [tag for tag in tags if tag.body["version"] == version.name]
