"""Artifact Registry: repositories, and the images that are pushed to them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from gcp_rehearsal import generic, operations
from gcp_rehearsal.apis.artifactregistry.images import parse, tags_of, versions_under
from gcp_rehearsal.apis.artifactregistry.upstream import base_of
from gcp_rehearsal.apis.artifactregistry.virtual import VIRTUAL, check_login, check_upstreams, upstreams
from gcp_rehearsal.apis.cloudkms.usable import Hindrance, location_of, unusable
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import ApiError, info, invalid, not_found, precondition, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.regions import ZONES
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_REPOSITORY = "artifactregistry.projects.locations.repositories"
_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?|(?:[a-z]+\.)?gcr\.io")
_MULTI_REGIONS = ("asia", "europe", "us")
_FORMATS = frozenset(("APT", "DOCKER", "GENERIC", "GO", "GOOGET", "KFP", "MAVEN", "NPM", "PYTHON", "YUM"))
_DENIED = (
    "Permission denied on Cloud KMS key. Please ensure your Artifact Registry service account has been authorized to use "
    "the configured key."
)
_FIXED = ("format", "mode", "kmsKeyName")
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def push(
    cloud: Cloud, reference: str, digest: str, size: int, labels: Mapping[str, str] | None = None
) -> None:
    """
    Put an image into its repository, under its tag.

    Raises `ApiError`, in the words that `docker push` shows: no such repository, or a tag that may not change.
    """
    image = parse(reference)
    repository = cloud.store.get("artifactregistry", image.repository) if image else None
    if image is None or repository is None:
        name = image.repository.rpartition("/")[2] if image else reference
        raise not_found(f'name unknown: Repository "{name}" not found')
    if repository.body["mode"] == VIRTUAL:
        raise precondition(f"{repository.id} is a virtual repository: push to one behind it")
    now, package = cloud.clock.text(), f"{image.repository}/packages/{quote(image.name, safe='')}"
    if image.tag:
        tag = cloud.store.get("artifactregistry", f"{package}/tags/{image.tag}")
        fixed = (repository.body.get("dockerConfig") or {}).get("immutableTags")
        if tag is not None and fixed and not tag.body["version"].endswith(f"/{digest}"):
            raise precondition(f"cannot update tag {image.tag}. The repository has enabled tag immutability")
        _keep(cloud, repository, f"{package}/tags/{image.tag}", "packages.tags",
              {"version": f"{package}/versions/{digest}"})  # fmt: skip
    before = cloud.store.get("artifactregistry", package)
    created = before.body["createTime"] if before else now
    _keep(cloud, repository, package, "packages", {"createTime": created, "updateTime": now})
    name = f"{package}/versions/{digest}"
    version = cloud.store.get("artifactregistry", name)
    if version is not None:
        version.body["updateTime"] = now
        return
    metadata = {"name": f"{image.repository}/dockerImages/{image.name}@{digest}", "buildTime": now,
                "imageSizeBytes": str(size), "mediaType": _MANIFEST}  # fmt: skip
    stored = _keep(cloud, repository, name, "packages.versions",
                   {"createTime": now, "updateTime": now, "metadata": metadata})  # fmt: skip
    stored.hidden.update(image=image.name, size=size, labels=dict(labels or {}))
    repository.body["sizeBytes"] = str(int(repository.body.get("sizeBytes", 0)) + size)


def find_image(cloud: Cloud, reference: str) -> str | None:
    """
    Return the digest of the image of that name; None where it is not there.

    What lies outside of this cloud, or comes through a remote repository, is taken to exist.
    """
    image = parse(reference)
    if image is None or cloud.project(image.project) is None:
        return _imagined(reference)
    repository = cloud.store.get("artifactregistry", cloud.by_id(image.repository))
    if repository is None:
        return None
    if repository.body["mode"] == "REMOTE_REPOSITORY":
        return _imagined(reference)
    if repository.body["mode"] == VIRTUAL:
        behind = (find_image(cloud, upstream) for upstream in upstreams(cloud, repository, image))
        return next((digest for digest in behind if digest), None)
    package = f"{repository.name}/packages/{quote(image.name, safe='')}"
    digest = image.digest
    if not digest:
        tag = cloud.store.get("artifactregistry", f"{package}/tags/{image.tag}")
        digest = tag.body["version"].rpartition("/")[2] if tag else ""
    return digest if cloud.store.get("artifactregistry", f"{package}/versions/{digest}") else None


def upstream_of(cloud: Cloud, reference: str) -> tuple[str, str] | None:
    """Return name and tag upstream of an image that a remote repository has fetched; None for any other."""
    image = parse(reference)
    repository = cloud.store.get("artifactregistry", cloud.by_id(image.repository)) if image else None
    if image is not None and repository is not None and repository.body["mode"] == VIRTUAL:
        known = [upstream for upstream in upstreams(cloud, repository, image) if find_image(cloud, upstream)]
        return upstream_of(cloud, known[0]) if known else None
    if image is None or repository is None or repository.body["mode"] != "REMOTE_REPOSITORY":
        return None
    return base_of(cloud, repository, image.name, image.digest or image.tag)


def _imagined(reference: str) -> str:
    digest = reference.partition("@")[2]
    return digest or f"sha256:{sha256(reference.encode()).hexdigest()}"


def _keep(
    cloud: Cloud, repository: StoredResource, name: str, collection: str, body: dict[str, Any]
) -> StoredResource:  # Any: JSON
    return cloud.store.put(
        StoredResource(api="artifactregistry", name=name, collection=f"{_REPOSITORY}.{collection}", project=repository.project,
             body={"name": name, **body}, created=cloud.clock.now())
    )  # fmt: skip


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is not None:
        for key in _FIXED:
            if body.get(key) != before.body.get(key):
                raise invalid(f"{key} is immutable", (f"repository.{key}", "immutable"))
    else:
        _prepare_new(call, body)
    mode = body["mode"].partition("_")[0].lower()
    for other in ("remote", "virtual"):
        key = f"{other}RepositoryConfig"
        if (mode == other) != bool(body.get(key)):
            text = "is required" if mode == other else f"must not be set for a {body['mode']}"
            raise invalid("Request contains an invalid argument.", (f"repository.{key}", text))
    if mode == "virtual":
        check_upstreams(call.cloud, call.name, body)
    if mode == "remote":
        check_login(call.cloud, call.project, body["remoteRepositoryConfig"])
    for name, policy in (body.get("cleanupPolicies") or {}).items():
        policy.setdefault("id", name)
        if policy.get("action") not in {"DELETE", "KEEP"} or not (
            {"condition", "mostRecentVersions"} & set(policy)
        ):
            raise invalid(
                "Request contains an invalid argument.",
                (f"repository.cleanup_policies[{name}]", "is incomplete"),
            )


def _prepare_new(call: Call, body: JsonObject) -> None:
    location, key = call.name.split("/")[3], str(call.query.get("repositoryId") or "")
    if not _ID.fullmatch(key):
        raise invalid(
            "Request contains an invalid argument.",
            ("repository_id", "must begin with a letter and hold up to 63 of a-z, 0-9 and -"),
        )
    if body.get("format") not in _FORMATS:
        raise invalid("Request contains an invalid argument.", ("repository.format", "is required"))
    if location not in ZONES and location not in _MULTI_REGIONS:
        raise not_found(f"Location {location} is not found or access is unauthorized.")
    allowed = call.cloud.policies.locations
    if allowed and location not in allowed:
        raise ApiError(
            400,
            f"Constraint constraints/gcp.resourceLocations violated for projects/{call.project} attempting to create "
            f"a resource in location {location}.",
            status="FAILED_PRECONDITION",
            details=[info("LOCATION_POLICY_VIOLATED", "artifactregistry.googleapis.com", location=location)],
        )
    key_name = body.get("kmsKeyName")
    if key_name and location_of(key_name) != location:
        # The words are the rehearsal's: nobody quotes Google's.
        text = f"must be a key of {location}: {key_name}"
        raise invalid("Request contains an invalid argument.", ("repository.kms_key_name", text))
    if not body.get("mode") or body["mode"] == "MODE_UNSPECIFIED":
        body["mode"] = "STANDARD_REPOSITORY"
    body["registryUri"] = f"{location}-docker.pkg.dev/{call.project}/{key}"
    body["satisfiesPzi"] = True
    body.setdefault("vulnerabilityScanningConfig", {})
    body["vulnerabilityScanningConfig"] |= {
        "enablementState": "SCANNING_DISABLED",
        "enablementStateReason": "API containerscanning.googleapis.com is not enabled.",
    }


def _done(call: Call, repository: StoredResource) -> ApiError | None:
    """Return why a new repository cannot be encrypted: it is gone again then, and its operation has failed."""
    key = repository.body.get("kmsKeyName")
    why = (
        unusable(call.cloud, key, call.api, repository.project)
        if key and call.method.action == "create"
        else None
    )
    if why is None:
        return None
    call.cloud.forget(repository)
    # https://github.com/hashicorp/terraform-provider-google/issues/11913 quotes it, with code 7; for a key that is
    # disabled nobody quotes anything.
    return precondition(why.text) if why.bar is Hindrance.DISABLED else ApiError(403, _DENIED)


def list_images(call: Call) -> Json:
    """Return the images of a repository, each with the tags that are on it."""
    repository = generic.existing(call, call.name.removesuffix("/dockerImages"))
    images = [
        _image(call.cloud, repository, version) for version in versions_under(call.cloud, repository.name)
    ]
    images.sort(key=lambda body: str(body["name"]))
    return generic.page(call, "dockerImages", images)


def get_image(call: Call) -> Json:
    """Return one image, by its digest. Raises `ApiError` 404."""
    repository, _, last = call.name.partition("/dockerImages/")
    for version in versions_under(call.cloud, repository):
        image = _image(call.cloud, generic.existing(call, repository), version)
        if image["name"].rpartition("/dockerImages/")[2] in {
            last,
            last.replace("%2F", "/").replace("%40", "@"),
        }:
            return image
    raise not_found("Requested entity was not found.")


def list_versions(call: Call) -> Json:
    """Return the versions of a package; in full also their tags."""
    versions = [_version(call, version) for version in call.cloud.store.under(call.api, call.name)]
    return generic.page(call, "versions", versions)


def get_version(call: Call) -> Json:
    """Return one version."""
    return _version(call, generic.existing(call))


def delete_versions(call: Call) -> Json:
    """Unmake one version or several; those with tags only where that is forced."""
    names = [call.cloud.by_id(name) for name in call.body.get("names", ())] or [call.name]
    versions = [generic.existing(call, name) for name in names]
    for version in versions:
        tags = tags_of(call.cloud, version)
        if tags and not call.query.get("force"):
            raise precondition(f"Unable to delete version {version.id}: it is referenced by tags.")
        for tag in tags:
            call.cloud.forget(tag)
    if not call.body.get("validateOnly"):
        for version in versions:
            _forget_version(call, version)
    return operations.begin(call, names[0], call.cloud.takes(2), dict)


def locations(call: Call) -> Json:
    """Return where repositories can be."""
    places = [_location(call.project, name) for name in sorted((*ZONES, *_MULTI_REGIONS))]
    return generic.page(call, "locations", places)


def location(call: Call) -> Json:
    """Return one place where repositories may lie. Raises `ApiError` 404."""
    name = call.name.rpartition("/")[2]
    if name not in ZONES and name not in _MULTI_REGIONS:
        raise not_found(f"Location {name} is not found or access is unauthorized.")
    return _location(call.project, name)


def _location(project: str, name: str) -> JsonObject:
    return {"name": f"projects/{project}/locations/{name}", "locationId": name, "displayName": name}


def _forget_version(call: Call, version: StoredResource) -> None:
    repository = call.cloud.store.get(call.api, version.name.partition("/packages/")[0])
    if repository is not None and "size" in version.hidden:
        repository.body["sizeBytes"] = str(int(repository.body["sizeBytes"]) - int(version.hidden["size"]))
    call.cloud.forget(version)


def _remove_package(call: Call, package: StoredResource) -> None:
    for version in list(call.cloud.store.under(call.api, f"{package.name}/versions")):
        _forget_version(call, version)


def _prepare_tag(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    body["version"] = call.cloud.by_id(str(body.get("version") or ""))
    if call.cloud.store.get(call.api, body["version"]) is None:
        raise not_found("Requested entity was not found.")


def _version(call: Call, version: StoredResource) -> JsonObject:
    if call.query.get("view") != "FULL":
        return version.body
    tags = [tag.body for tag in tags_of(call.cloud, version)]
    return {**version.body, "relatedTags": tags} if tags else version.body


def _image(cloud: Cloud, repository: StoredResource, version: StoredResource) -> JsonObject:
    tags = [tag.id for tag in tags_of(cloud, version)]
    return {
        "name": version.body["metadata"]["name"],
        "uri": f"{repository.body['registryUri']}/{version.hidden['image']}@{version.id}",
        **({"tags": tags} if tags else {}),
        "imageSizeBytes": str(version.hidden["size"]),
        "uploadTime": version.body["createTime"],
        "mediaType": _MANIFEST,
        "buildTime": version.body["createTime"],
        "updateTime": version.body["updateTime"],
    }


def _unacted(call: Call) -> Json:
    raise unimplemented(call.method.id)


_TAGS = Kind(prepare=_prepare_tag)
KINDS: Mapping[str, Kind] = {
    _REPOSITORY: Kind(prepare=_prepare, done=_done, seconds=5),
    f"{_REPOSITORY}.packages": Kind(remove=_remove_package, seconds=2),
    f"{_REPOSITORY}.packages.tags": _TAGS,
}
HANDLERS: Mapping[str, Handler] = {
    "artifactregistry.projects.locations.get": location,
    "artifactregistry.projects.locations.list": locations,
    f"{_REPOSITORY}.attachments.create": _unacted,
    f"{_REPOSITORY}.dockerImages.get": get_image,
    f"{_REPOSITORY}.dockerImages.list": list_images,
    f"{_REPOSITORY}.packages.versions.batchDelete": delete_versions,
    f"{_REPOSITORY}.packages.versions.delete": delete_versions,
    f"{_REPOSITORY}.packages.versions.get": get_version,
    f"{_REPOSITORY}.packages.versions.list": list_versions,
    f"{_REPOSITORY}.rules.create": _unacted,
}
