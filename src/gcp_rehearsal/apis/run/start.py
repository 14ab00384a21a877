"""What Google looks at before it starts a revision or an execution: image, secrets, buckets, network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.artifactregistry.repositories import find_image
from gcp_rehearsal.apis.cloudkms.usable import Hindrance, unusable
from gcp_rehearsal.apis.run.defaults import network_of, subnetwork_of
from gcp_rehearsal.apis.run.status import number_of, segments
from gcp_rehearsal.apis.secretmanager.versions import readable
from gcp_rehearsal.iam.caller import Caller
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.runtime.container_state import Failure, not_mounted

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

Body = Mapping[str, Json]

_OURS = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/(?P<path>.+)"
)


def digest_of(cloud: Cloud, image: str) -> str:
    """Return the image with its digest, as a revision's status tells it."""
    digest = find_image(cloud, image)
    return f"{image.partition('@')[0]}@{digest}" if digest else ""


def obstacle(cloud: Cloud, name: str, template: Body) -> Failure | None:
    """Return the first thing for which what `template` describes cannot start; `name` is the revision's or execution's."""
    return (
        _image(cloud, name, template)
        or _secret(cloud, name, template)
        or _network(cloud, name, template)
        or _bucket(cloud, name, template)
        or _key(cloud, name, template)
    )


@dataclass(frozen=True, slots=True)
class _Use:
    """Where a secret is used, and which."""

    place: str
    secret: str
    version: str


def _image(cloud: Cloud, name: str, template: Body) -> Failure | None:
    project, _, _ = segments(name)
    for container in template["containers"]:
        image = container["image"]
        ours = _OURS.fullmatch(image)
        owner = cloud.project(ours["project"]) if ours else None
        if ours is None or owner is None:
            if "missing" in image:
                return _no_image(image)
            continue
        repository = f"projects/{owner.id}/locations/{ours['location']}/repositories/{ours['repository']}"
        if owner.id != project and not _agent_may_read(cloud, project, repository, owner.id):
            agent = f"service-{number_of(cloud, project)}@serverless-robot-prod.iam.gserviceaccount.com"
            return Failure(
                reason="CONTAINER_PERMISSION_DENIED",
                message=f"Google Cloud Run Service Agent {agent} must have permission to read the image, {image}. "
                "Ensure that the provided container image URL is correct and that the above account has permission "
                "to access the image. If you just enabled the Cloud Run API, the permissions might take a few "
                f"minutes to propagate. Note that the image is from project [{owner.id}], which is not the same as "
                f"this project [{project}]. Permission must be granted to the Google Cloud Run Service Agent {agent} "
                "from this project. See https://cloud.google.com/run/docs/deploying#other-projects",
            )
        if find_image(cloud, image) is None:
            return _no_image(image)
    return None


def _agent_may_read(cloud: Cloud, project: str, repository: str, owner: str) -> bool:
    agent = Caller(f"service-{number_of(cloud, project)}@serverless-robot-prod.iam.gserviceaccount.com")
    needed = ["artifactregistry.repositories.downloadArtifacts"]
    return bool(cloud.access.held(agent, needed, "artifactregistry", repository, owner))


def _no_image(image: str) -> Failure:
    return Failure(reason="CONTAINER_MISSING", message=f"Image '{image}' not found.")


def _secret(cloud: Cloud, name: str, template: Body) -> Failure | None:
    project, _, _ = segments(name)
    for use in _uses(template):
        parts = use.secret.split("/")
        owner = cloud.project(parts[1] if len(parts) > 1 else project)
        if owner is None:
            continue
        secret = f"projects/{owner.id}/secrets/{parts[-1]}"
        shown = f"projects/{owner.number}/secrets/{parts[-1]}/versions/{use.version}"
        caller = Caller(template["serviceAccount"])
        needed = ["secretmanager.versions.access"]
        if not cloud.access.held(caller, needed, "secretmanager", secret, owner.id):
            return Failure(
                reason="SECRETS_ACCESS_CHECK_FAILED",
                message=f"{use.place}: Permission denied on secret: {shown} for Revision service account "
                f"{caller.email}. The service account used must be granted the 'Secret Manager Secret Accessor' "
                "role (roles/secretmanager.secretAccessor) at the secret, project or higher level.",
            )
        if not readable(cloud, f"{secret}/versions/{use.version}"):
            return Failure(
                reason="SECRETS_ACCESS_CHECK_FAILED", message=f"{use.place}: Secret {shown} was not found"
            )
    return None


def _uses(template: Body) -> Iterator[_Use]:
    for place, container in enumerate(template["containers"]):
        for number, variable in enumerate(container.get("env", ())):
            source = variable.get("valueSource", {}).get("secretKeyRef")
            if source:
                where = f"spec.template.spec.containers[{place}].env[{number}].value_from.secret_key_ref.name"
                yield _Use(where, source["secret"], source.get("version") or "latest")
    for place, volume in enumerate(template.get("volumes", ())):
        source = volume.get("secret")
        if source:
            where = f"spec.template.spec.volumes[{place}].secret.items[0].key"
            versions = [item.get("version") for item in source.get("items", ())] or [None]
            for version in versions:
                yield _Use(where, source["secret"], version or "latest")


def _network(cloud: Cloud, name: str, template: Body) -> Failure | None:
    project, region, _ = segments(name)
    for interface in template.get("vpcAccess", {}).get("networkInterfaces", ()):
        network = network_of(project, interface.get("network") or "default")
        subnetwork = subnetwork_of(project, region, interface.get("subnetwork") or "default")
        for thing, kind in ((network, "network"), (subnetwork, "subnetwork")):
            if cloud.store.get("compute", cloud.by_id(thing)) is None:
                return Failure(
                    reason="VPC_NETWORK_NOT_FOUND",
                    message=f"VPC {kind} {thing} does not exist, or Cloud Run does not have access to it.",
                )
    return None


def _key(cloud: Cloud, name: str, template: Body) -> Failure | None:
    """
    Return why its image cannot be encrypted. The reasons are those of the discovery document; UNCONFIRMED: which one
    stands for what, and the words.
    """
    project, _, _ = segments(name)
    key = template.get("encryptionKey")
    why = unusable(cloud, key, "run", project) if key else None
    if why is None:
        return None
    reason = (
        "ENCRYPTION_KEY_PERMISSION_DENIED" if why.bar is Hindrance.DENIED else "ENCRYPTION_KEY_CHECK_FAILED"
    )
    text = f"Google Cloud Run Service Agent {why.agent} cannot use the encryption key {key}: {why.text}"
    return Failure(reason=reason, message=text)


def _bucket(cloud: Cloud, name: str, template: Body) -> Failure | None:
    for volume in template.get("volumes", ()):
        bucket = volume.get("gcs", {}).get("bucket", "").rpartition("/")[2]
        if not bucket:
            continue
        stored = cloud.store.get("storage", f"b/{bucket}")
        if stored is None:
            return not_mounted(volume["name"], f"bucket {bucket}: storage: bucket doesn't exist")
        caller = Caller(template["serviceAccount"])
        needed = ["storage.objects.list", "storage.objects.get"]
        missing = set(needed) - cloud.access.held(caller, needed, "storage", stored.name, stored.project)
        if missing:
            permission = max(missing)
            return not_mounted(
                volume["name"],
                f"googleapi: Error 403: {caller.email} does not have {permission} access to the Google Cloud Storage "
                f"bucket. Permission '{permission}' denied on resource (or it may not exist)., forbidden",
            )
    return None
