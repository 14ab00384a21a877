"""Who encrypts what Google keeps with a key of one's own: service agents, which must be let use it."""

from __future__ import annotations

from collections.abc import Mapping

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
_KINDS = {"artifactregistry": "repository", "storage": "bucket", "run": "service"}
NUMBER = "PROJECT_NUMBER"
"""What stands for the number of a project that is not known."""


def agent_of(api: str, number: str = NUMBER) -> str:
    """Return the account that encrypts what an API keeps for the project of that number; '' for other APIs."""
    return f"service-{number}@{AGENTS[_KINDS[api]]}" if api in _KINDS else ""


def letting_use(key: str = "", *, agent: str) -> str:
    """Return the command that lets an account use a key; with placeholders for a key that is not known."""
    _, owner, _, location, _, ring, _, name = (
        key.split("/") if key else ("", "ITS_PROJECT", "", "LOCATION", "", "RING", "", "KEY")
    )
    return (
        f"gcloud kms keys add-iam-policy-binding {name} --keyring={ring} --location={location} --project={owner} "
        f"--member=serviceAccount:{agent} --role={ROLE}"
    )


def making(key: str) -> str:
    """Return the commands that make a key, with its ring."""
    _, owner, _, location, _, ring, _, name = key.split("/")
    where = f"--location={location} --project={owner}"
    return (
        f"gcloud kms keyrings create {ring} {where} && "
        f"gcloud kms keys create {name} --keyring={ring} {where} --purpose=encryption"
    )


__all__ = ["AGENTS", "NUMBER", "ROLE", "WIDER", "agent_of", "letting_use", "making"]
