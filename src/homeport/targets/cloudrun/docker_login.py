"""The account with which Docker Hub is asked, where the file names one."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.resources.google.repository import DOCKER_HUB
from homeport.spec import CloudRun
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, PreflightVerdict


def login_of(cloudrun: CloudRun, host: str) -> tuple[str, str] | None:
    """Return the account for a registry and where its token is; None where it is asked without one."""
    if host != DOCKER_HUB or cloudrun.docker_hub_user is None or cloudrun.docker_hub_secret is None:
        return None
    return cloudrun.docker_hub_user, cloudrun.docker_hub_secret


def login_findings(cloudrun: CloudRun, project: str) -> Iterator[PreflightFinding]:
    """Yield what a login wants that homeport does not do: who reads the secret is an agent of Google's."""
    if cloudrun.docker_hub_secret is None:
        return
    secret = cloudrun.docker_hub_secret.partition("/")[0]
    yield PreflightFinding(
        verdict=PreflightVerdict.WARNING,
        subject=f"secret/{secret}",
        text=f"Artifact Registry's own agent has to read the secret {secret}, which is not looked at",
        hint=f"gcloud secrets add-iam-policy-binding {secret} --project={project} "
        "--role=roles/secretmanager.secretAccessor --member=serviceAccount:service-"
        f"$(gcloud projects describe {project} --format='value(projectNumber)')"
        "@gcp-sa-artifactregistry.iam.gserviceaccount.com",
    )
