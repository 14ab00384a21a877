"""
Keys of one's own for what Google keeps: the service agents that encrypt with them, and the commands that make both ready.

Those commands stand here alone: a plan says them of what it has found, an export of what it cannot look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from homeport.json_types import Json

AGENTS: Mapping[str, str] = {
    "repository": "gcp-sa-artifactregistry.iam.gserviceaccount.com",
    "bucket": "gs-project-accounts.iam.gserviceaccount.com",
    "service": "serverless-robot-prod.iam.gserviceaccount.com",
}
"""The domain of the account that encrypts things of a kind, by that kind; before it stands `service-PROJECT_NUMBER@`."""
ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
"""What lets an account encrypt and decrypt by a key."""
WIDER = ("roles/cloudkms.cryptoOperator", "roles/owner")
"""Other predefined roles that let an account do so, and more."""
NUMBER = "PROJECT_NUMBER"
"""What stands for the number of a project that is not known."""
ENCRYPTS = "ENCRYPT_DECRYPT"
"""The purpose of a key that encrypts what Google keeps."""
_KINDS = {"artifactregistry": "repository", "storage": "bucket", "run": "service"}
_ASKED_FOR = {
    "repository": "gcloud beta services identity create --service=artifactregistry.googleapis.com",
    "bucket": "gcloud storage service-agent",
    "service": "gcloud beta services identity create --service=run.googleapis.com",
}
"""How a project gets the account: it has none before it is asked for, or the first such thing is made, and no policy names one that is not there."""
_ANEW = ("create",)
_MENDED: Mapping[str, tuple[str, ...]] = {
    "DISABLED": ("enable",),
    # What is restored is disabled.
    "DESTROY_SCHEDULED": ("restore", "enable"),
    "DESTROYED": _ANEW,
    "IMPORT_FAILED": _ANEW,
    "GENERATION_FAILED": _ANEW,
    "PENDING_EXTERNAL_DESTRUCTION": _ANEW,
    "EXTERNAL_DESTRUCTION_FAILED": _ANEW,
    "": _ANEW,
}
"""
What makes a key encrypt again, by the state of its primary version, '' for none: a version in no other state can be enabled. One that is
pending becomes enabled by itself, and is looked at, as one of a state that is not known.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class CryptoKeyName:
    """Where a key lies, and what it is called there."""

    project: str
    location: str
    ring: str
    name: str

    @classmethod
    def of(cls, key: str) -> CryptoKeyName:
        """Return the parts of a key's full name."""
        _, project, _, location, _, ring, _, name = key.split("/")
        return cls(project=project, location=location, ring=ring, name=name)

    @property
    def place(self) -> str:
        """Return what tells gcloud where its ring is."""
        return f"--location={self.location} --project={self.project}"

    @property
    def inside(self) -> str:
        """Return what tells gcloud where it is itself."""
        return f"--keyring={self.ring} {self.place}"


_UNKNOWN = CryptoKeyName(project="ITS_PROJECT", location="LOCATION", ring="RING", name="KEY")


def agent_of(api: str, number: str = NUMBER) -> str:
    """Return the account that encrypts what an API keeps for the project of that number; '' for other APIs."""
    return f"service-{number}@{AGENTS[_KINDS[api]]}" if api in _KINDS else ""


def letting_use(key: str = "", *, agent: str) -> str:
    """Return the command that lets an account use a key; with placeholders for a key that is not known."""
    return granting(key, f"serviceAccount:{agent}", ROLE)


def granting(key: str, member: str, role: str) -> str:
    """Return the command that gives somebody a role on a key; with placeholders for a key that is not known."""
    known = CryptoKeyName.of(key) if key else _UNKNOWN
    return (
        f"gcloud kms keys add-iam-policy-binding {known.name} {known.inside} --member={member} --role={role}"
    )


def letting_agents_use(
    keys: Iterable[str], project: str, *, number: str = "", kinds: Iterable[str] = tuple(AGENTS)
) -> list[str]:
    """
    Return the commands after which Google's accounts for things of these kinds may use keys.

    Without the project's `number` the first one asks for it. Then the accounts are asked for, which changes nothing where they are there.
    """
    ask = [] if number else [f"number=$(gcloud projects describe {project} --format='value(projectNumber)')"]
    kinds = tuple(kinds)
    made = [f"{_ASKED_FOR[kind]} --project={project}" for kind in kinds]
    agents = [f"service-{number or '$number'}@{AGENTS[kind]}" for kind in kinds]
    return [*ask, *made, *(letting_use(key, agent=agent) for key in keys for agent in agents)]


def showing(key: str, *, member: str, role_id: str, permissions: Iterable[str]) -> list[str]:
    """Return the commands that let somebody look at a key and its ring: by a role of its project, since none of Google's shows policies and no more."""
    known = CryptoKeyName.of(key)
    return [
        f"gcloud iam roles create {role_id} --project={known.project} --quiet --title={role_id} --permissions={','.join(permissions)}",
        f"gcloud kms keyrings add-iam-policy-binding {known.ring} {known.place} --member={member} --role=projects/{known.project}/roles/{role_id}",
    ]


def making(key: str, *, ring: Literal["there", "missing", "unknown"]) -> list[str]:
    """Return the commands that make a key, and what is missing of its `ring`, which there can be one of alone."""
    known = CryptoKeyName.of(key)
    create = f"gcloud kms keyrings create {known.ring} {known.place}"
    look = f"gcloud kms keyrings describe {known.ring} {known.place} --format=none"
    rings = {"there": [], "missing": [create], "unknown": [f"{look} || {create}"]}[ring]
    return [*rings, f"gcloud kms keys create {known.name} {known.inside} --purpose=encryption"]


def looking_at(key: str) -> str:
    """Return the command that shows a key, with the state of its primary version."""
    known = CryptoKeyName.of(key)
    return f"gcloud kms keys describe {known.name} {known.inside}"


def mending(key: str, live: Mapping[str, Json]) -> list[str]:
    """Return the commands after which a key that is there encrypts: those for the state of its primary version."""
    known = CryptoKeyName.of(key)
    if live.get("purpose", ENCRYPTS) != ENCRYPTS:
        # What a key is for cannot be changed.
        return [f"gcloud kms keys create ANOTHER_NAME {known.inside} --purpose=encryption"]
    primary = live.get("primary") or {}
    number, state = str(primary.get("name", "")).rpartition("/")[2], str(primary.get("state") or "")
    verbs = _MENDED.get(state, ())
    if verbs == _ANEW:
        return _new_version(known, live)
    of_version = f"{number} --key={known.name} {known.inside}"
    return [f"gcloud kms keys versions {verb} {of_version}" for verb in verbs] or [looking_at(key)]


def _new_version(known: CryptoKeyName, live: Mapping[str, Json]) -> list[str]:
    of_key = f"--key={known.name} {known.inside}"
    if live.get("importOnly"):
        return [
            f"gcloud kms keys versions import {of_key} --import-job=JOB --algorithm=google-symmetric-encryption --target-key-file=FILE",
            f"gcloud kms keys set-primary-version {known.name} {known.inside} --version=ITS_NUMBER",
        ]
    outside = {"EXTERNAL": " --external-key-uri=URI", "EXTERNAL_VPC": " --ekm-connection-key-path=PATH"}
    level = str((live.get("versionTemplate") or {}).get("protectionLevel") or "")
    return [f"gcloud kms keys versions create --primary {of_key}{outside.get(level, '')}"]


__all__ = [
    "AGENTS",
    "ENCRYPTS",
    "NUMBER",
    "ROLE",
    "WIDER",
    "CryptoKeyName",
    "agent_of",
    "granting",
    "letting_agents_use",
    "letting_use",
    "looking_at",
    "making",
    "mending",
    "showing",
]
