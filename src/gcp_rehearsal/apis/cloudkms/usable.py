"""
Whether one of Google's own accounts can encrypt and decrypt with a key of Cloud KMS, for the services that ask it.

Whose key may not be used is told first, as Cloud KMS itself does: to who may not, a key that is not there is the same.
Words: a version that is not enabled is told as Cloud KMS tells it (quoted by users of `gcloud kms encrypt` and of
Compute Engine, https://docs.cloud.google.com/kubernetes-engine/docs/troubleshooting for DESTROYED).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from gcp_rehearsal.apis.cloudkms.keys import primary_of, version_state
from gcp_rehearsal.context import Cloud
from gcp_rehearsal.iam.caller import Caller

_NAME = re.compile(r"projects/([^/]+)/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_NEEDED = ("cloudkms.cryptoKeyVersions.useToEncrypt", "cloudkms.cryptoKeyVersions.useToDecrypt")
AGENTS: Mapping[str, str] = {
    "artifactregistry": "gcp-sa-artifactregistry", "run": "serverless-robot-prod",
    "secretmanager": "gcp-sa-secretmanager", "storage": "gs-project-accounts",
}  # fmt: skip
"""By API the domain of the account that encrypts what a project keeps with it."""


class Hindrance(Enum):
    """Why a key cannot be used."""

    DENIED = auto()
    """The account may not use it, or it is a key of a project that does not exist here."""
    MISSING = auto()
    """The account might use any key there, and this one is not there."""
    DISABLED = auto()
    """Its primary version is not enabled, or it has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """That a key cannot be used, and by whom."""

    bar: Hindrance
    agent: str
    text: str
    """What Cloud KMS says to the account."""


def location_of(key: str) -> str:
    """Return where a key lies; '' for a name that is none of a key."""
    match = _NAME.fullmatch(key)
    return match[2] if match else ""


def agent_of(cloud: Cloud, api: str, project: str) -> str:
    """Return the account that encrypts what a project keeps with an API."""
    known = cloud.project(project)
    return f"service-{known.number if known else project}@{AGENTS[api]}.iam.gserviceaccount.com"


def unusable(cloud: Cloud, key: str, api: str, project: str) -> Unusable | None:
    """Return why what a project keeps with an API cannot be encrypted with a key; None where it can."""
    agent, name = agent_of(cloud, api, project), cloud.by_id(key)
    match = _NAME.fullmatch(name)
    owner = cloud.project(match[1]) if match else None
    held = cloud.access.held(Caller(agent), _NEEDED, "cloudkms", name, owner.id) if owner else set()
    missing = [permission for permission in _NEEDED if permission not in held]
    if missing:
        text = f"Permission '{missing[0]}' denied on resource '{name}' (or it may not exist)."
        return Unusable(bar=Hindrance.DENIED, agent=agent, text=text)
    kept = cloud.store.get("cloudkms", name)
    if kept is None:
        return Unusable(bar=Hindrance.MISSING, agent=agent, text=f"CryptoKey {name} not found.")
    primary = primary_of(cloud, kept)
    state = version_state(cloud, primary) if primary else ""
    if state == "ENABLED":
        return None
    text = (
        f"{primary.name} is not enabled, current state is: {state}."
        if primary
        else f"CryptoKey {name} has no primary version."
    )
    return Unusable(bar=Hindrance.DISABLED, agent=agent, text=text)
