"""The variables by which homeport and gcloud find a rehearsal."""

from __future__ import annotations

from gcp_rehearsal.client_environment import environment


def variables(url: str, project: str, token: str) -> dict[str, str]:
    """Return the variables by which homeport and gcloud find the rehearsal at `url`, as whoever `token` is for."""
    return {
        "HOMEPORT_GOOGLE_URL": url,
        "CLOUDSDK_AUTH_ACCESS_TOKEN": token,
        **environment(url, project),
    }
