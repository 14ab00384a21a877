"""The registry of images behind Artifact Registry, as far as an image is pinned: which digest a tag stands for."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from homeport.errors import HomeportError
from homeport.google.call import ApiCall, ApiClient
from homeport.json_types import Json

TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""What a manifest may be: of several platforms, or of one."""
PLATFORM = ("linux", "amd64")
"""What Cloud Run runs."""
_LONGEST_S = 60.0
"""Beyond other calls: a remote repository asks its upstream first."""


@dataclass(frozen=True, slots=True)
class PinnedImage:
    """What a tag or a digest stands for on Cloud Run's platform."""

    digest: str
    tells_platform: bool
    """Whether the manifest says that it is for that platform: one of a single image says nothing of it."""


async def platform_digest(google: ApiClient, host: str, path: str, reference: str) -> str:
    """
    Return the digest of the image `path` (`PROJECT/REPOSITORY/NAME`) at `reference`, a tag or a digest, for Cloud Run's platform.

    Of an image for several platforms it is that of the one that runs, so that what is deployed and what runs have one
    digest. Raises the errors of the client, and `HomeportError` for an image without that platform.
    """
    return (await pinned_image(google, host, path, reference)).digest


async def pinned_image(google: ApiClient, host: str, path: str, reference: str) -> PinnedImage:
    """Return that digest, and whether anything says that it is for Cloud Run's platform. Raises the same."""
    call = ApiCall(
        verb="GET", api=host, path=f"v2/{path}/manifests/{reference}", types=TYPES, waits=_LONGEST_S
    )
    content = (await google.send(call)).content
    try:
        manifest: Json = json.loads(content)
        platforms = [
            (listed["digest"], listed.get("platform") or {}) for listed in manifest.get("manifests", ())
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise HomeportError(f"{host} answers for {path}:{reference} with what is no manifest") from error
    if not platforms:
        return PinnedImage(f"sha256:{hashlib.sha256(content).hexdigest()}", tells_platform=False)
    for digest, platform in platforms:
        if (platform.get("os"), platform.get("architecture")) == PLATFORM:
            return PinnedImage(str(digest), tells_platform=True)
    raise HomeportError(
        f"{path}:{reference} is there for {', '.join(sorted({str(platform.get('architecture')) for _, platform in platforms}))}, "
        "and Cloud Run runs linux/amd64",
        hint="set cloudrun.image to an image for linux/amd64",
    )
