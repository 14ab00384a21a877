"""
What remote repositories fetch: the protocol of registries, as far as the manifests of images go.

No registry is asked: an image of any name is taken to be there, for two platforms, with manifests whose digests are those
of their own bytes. Its layers are nowhere. Names with `missing` in them are not there, and one with `single` is one image, pushed
without an index, whose manifest says nothing of a platform.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud, Handler, Kind

_MANIFESTS = re.compile(
    r"/v2/(?P<project>[a-z0-9.:-]+)/(?P<repository>[a-z0-9.-]+)/(?P<image>.+)/manifests/(?P<reference>[\w.:-]+)"
)
_HOST = re.compile(r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev")
_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_PLATFORMS = ("amd64", "arm64")
_DOWNLOAD = "artifactregistry.repositories.downloadArtifacts"
_COLLECTION = "artifactregistry.projects.locations.repositories.packages"
_BASE = "upstream"


class RegistryRefusal(Exception):
    """What a registry answers instead of a manifest."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.reply = Reply(status=status, body=body, headers={"content-type": "application/json"})


def answer(cloud: Cloud, request: Request) -> Reply:
    """Return the answer of the registry `LOCATION-docker.pkg.dev`, with errors in the words of registries."""
    try:
        content = _content(cloud, request)
    except RegistryRefusal as refusal:
        return refusal.reply
    return Reply(
        body=content,
        headers={"content-type": json.loads(content)["mediaType"], "docker-content-digest": _digest(content)},
    )


def _content(cloud: Cloud, request: Request) -> bytes:
    host, manifest = _HOST.fullmatch(request.host), _MANIFESTS.fullmatch(unquote(request.path))
    if host is None or manifest is None or request.verb not in {"GET", "HEAD"}:
        raise RegistryRefusal(501, "UNSUPPORTED", "the rehearsal's registries answer for manifests alone")
    try:
        caller = cloud.access.caller(request.headers)
    except ApiError as error:
        raise RegistryRefusal(401, "UNAUTHORIZED", error.message) from error
    project, short, reference = manifest["project"], manifest["repository"], manifest["reference"]
    name = cloud.by_id(f"projects/{project}/locations/{host['location']}/repositories/{short}")
    owner = cloud.project(project)
    if owner is None:  # Of another's cloud, such as Google's public images: anybody may read them.
        return _manifest(f"{request.host}/{project}/{short}/{manifest['image']}", reference)
    if not cloud.access.held(caller, [_DOWNLOAD], "artifactregistry", name, owner.id):
        raise RegistryRefusal(
            403, "DENIED", f'Permission "{_DOWNLOAD}" denied on resource "{name}" (or it may not exist)'
        )
    repository = cloud.store.get("artifactregistry", name)
    if repository is None:
        raise RegistryRefusal(404, "NAME_UNKNOWN", f'Repository "{short}" not found')
    if repository.body["mode"] != "REMOTE_REPOSITORY":
        raise RegistryRefusal(501, "UNSUPPORTED", "the rehearsal has manifests of remote repositories alone")
    source = base_of(cloud, repository, manifest["image"], reference)
    if source is None:
        source = (f"{_upstream(repository.body)}/{manifest['image']}", reference)
        _manifest(*source)
        _keep(cloud, repository, manifest["image"], source)
    return _manifest(*source)


def base_of(cloud: Cloud, repository: StoredResource, image: str, reference: str) -> tuple[str, str] | None:
    """Return the upstream name and tag of what a remote repository fetched before, by a tag or a digest; None for neither."""
    package = f"{repository.name}/packages/{quote(image, safe='')}"
    version = cloud.store.get("artifactregistry", f"{package}/versions/{reference}")
    return version.hidden.get(_BASE) if version is not None else None


def _upstream(body: Json) -> str:
    config = body["remoteRepositoryConfig"]["dockerRepository"]
    own = config.get("customRepository", {}).get("uri", "")
    return str(own).removeprefix("https://").rstrip("/") or "docker.io"


def _keep(cloud: Cloud, repository: StoredResource, image: str, source: tuple[str, str]) -> None:
    """List what was fetched as Artifact Registry lists what it keeps."""
    now, package = cloud.clock.text(), f"{repository.name}/packages/{quote(image, safe='')}"
    upstream, tag = source
    index = _digest(_manifest(upstream, tag))
    platform = [_digest(_platform(upstream, tag, one)) for one in _PLATFORMS if not _is_single(upstream)]

    def put(name: str, collection: str, body: dict[str, Any]) -> StoredResource:  # Any: JSON
        return cloud.store.put(
            StoredResource(
                api="artifactregistry", name=name, collection=collection, project=repository.project,
                body={"name": name, **body}, created=cloud.clock.now(),
            )
        )  # fmt: skip

    put(package, _COLLECTION, {"createTime": now, "updateTime": now})
    for digest in (index, *platform):
        metadata = {
            "name": f"{repository.name}/dockerImages/{image}@{digest}",
            "buildTime": now,
            "imageSizeBytes": "0",
            "mediaType": _INDEX if digest == index and not _is_single(upstream) else _MANIFEST,
        }
        body = {"createTime": now, "updateTime": now, "metadata": metadata}
        version = put(f"{package}/versions/{digest}", f"{_COLLECTION}.versions", body)
        version.hidden.update({"image": image, "size": 0, "labels": {}, _BASE: source})
    if ":" not in tag:
        put(f"{package}/tags/{tag}", f"{_COLLECTION}.tags", {"version": f"{package}/versions/{index}"})


def _manifest(upstream: str, reference: str) -> bytes:
    if "missing" in upstream or "missing" in reference:
        raise RegistryRefusal(404, "MANIFEST_UNKNOWN", f"Failed to fetch {upstream}:{reference}")
    return (
        _platform(upstream, reference, _PLATFORMS[0]) if _is_single(upstream) else _index(upstream, reference)
    )


def _is_single(upstream: str) -> bool:
    return "single" in upstream


def _index(upstream: str, reference: str) -> bytes:
    manifests = [
        {
            "mediaType": _MANIFEST,
            "digest": _digest(content := _platform(upstream, reference, architecture)),
            "size": len(content),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for architecture in _PLATFORMS
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": manifests}).encode()


def _platform(upstream: str, reference: str, platform: str) -> bytes:
    config = f"{upstream}:{reference} for {platform}".encode()
    described = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": _digest(config),
        "size": len(config),
    }
    return json.dumps(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "config": described, "layers": []}
    ).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


KINDS: Mapping[str, Kind] = {}
HANDLERS: Mapping[str, Handler] = {}
ELSEWHERE = {"docker": answer}
