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

__all__ = ["AGENTS", "ROLE"]
