"""What a key of Cloud KMS needs that no export makes: Google's own accounts, which must be let use it."""

from __future__ import annotations

from homeport.export.graph import Things
from homeport.export.shell import command
from homeport.resources.google.bucket import Bucket
from homeport.resources.google.rest import RestResource

_AGENTS = {
    "repository": "service-$number@gcp-sa-artifactregistry.iam.gserviceaccount.com",
    "bucket": "service-$number@gs-project-accounts.iam.gserviceaccount.com",
    "service": "service-$number@serverless-robot-prod.iam.gserviceaccount.com",
}
"""Who encrypts things of a kind, in a project of that number."""
_ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def key_of(things: Things) -> str:
    """Return the full name of the key that things are encrypted with; '' where there is none."""
    for resource in things.all(RestResource):
        key = (
            resource.wanted.get("encryption", {}).get("defaultKmsKeyName")
            if isinstance(resource, Bucket)
            else None
        )
        key_name = (
            key
            or resource.wanted.get("kmsKeyName")
            or resource.wanted.get("template", {}).get("encryptionKey")
        )
        if key_name:
            return str(key_name)
    return ""


def notes(things: Things) -> list[str]:
    """Return paragraphs for the head of a file: who must be let use the key, by which commands; none where there is no key."""
    key = key_of(things)
    if not key:
        return []
    _, owner, _, location, _, ring, _, name = key.split("/")
    commands = [
        f"number=$(gcloud projects describe {things.project} --format='value(projectNumber)')",
        f"gcloud beta services identity create --service=artifactregistry.googleapis.com --project={things.project}",
        f"gcloud storage service-agent --project={things.project}",
    ]
    for agent in _AGENTS.values():
        words = command(
            "gcloud", "kms", "keys", "add-iam-policy-binding", name, f"--keyring={ring}", f"--location={location}",
            f"--project={owner}", f"--role={_ROLE}",
        )  # fmt: skip
        commands.append(f'{" ".join(words.replace(chr(92), " ").split())} --member="serviceAccount:{agent}"')
    return [
        (
            f"The key {key} must be there, and Google's own accounts for repositories, buckets and services must be let use it before. "
            "This is not done here, since the key may be somebody else's:"
        ),
        *commands,
    ]
