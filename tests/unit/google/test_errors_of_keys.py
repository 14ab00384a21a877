"""A key of Cloud KMS that a service agent may not use: the hint names that account, and not the caller."""

from __future__ import annotations

import pytest

from homeport.errors import PermissionDenied
from homeport.google.errors import RequestContext, error_of
from homeport.google.refusal import of_operation, read

BUCKET = (
    b'{"error": {"code": 403, "message": "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service '
    b'account has been authorized to use this key.", "errors": [{"reason": "forbidden"}]}}'
)
REPOSITORY = {
    "code": 7,
    "message": "Permission denied on Cloud KMS key. Please ensure your Artifact Registry service account has been authorized "
    "to use the configured key.",
}


@pytest.mark.parametrize(
    ("host", "agent"), [("storage", "gs-project-accounts"), ("artifactregistry", "gcp-sa-artifactregistry")]
)
def test_the_hint_lets_the_service_agent_use_the_key(host: str, agent: str) -> None:
    refusal = read(403, BUCKET) if host == "storage" else of_operation(REPOSITORY)
    asked = RequestContext(
        verb="POST", host=f"{host}.googleapis.com", path="v1/projects/p", principal="you@example.com"
    )
    error = error_of(refusal, asked)
    assert isinstance(error, PermissionDenied)
    account = f"--member=serviceAccount:service-PROJECT_NUMBER@{agent}.iam.gserviceaccount.com"
    assert (
        f"gcloud kms keys add-iam-policy-binding KEY --keyring=RING --location=LOCATION --project=ITS_PROJECT {account}"
        in error.hint
    )
    assert "you@example.com" not in error.hint
