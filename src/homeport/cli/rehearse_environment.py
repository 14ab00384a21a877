"""The variables by which homeport and gcloud find a rehearsal."""

from __future__ import annotations

from pathlib import Path

from gcp_rehearsal import credentials
from gcp_rehearsal.client_environment import environment


def variables(url: str, project: str, *, secret: str, caller: str, folder: Path) -> dict[str, str]:
    """
    Return the variables by which homeport and gcloud find the rehearsal at `url`, logged in as `caller`.

    The login's files are written to `folder`. Raises `OSError`.
    """
    return {
        "HOMEPORT_GOOGLE_URL": url,
        **environment(url, project),
        **credentials.log_in(folder, url, secret, caller),
    }
