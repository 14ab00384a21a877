"""The variables by which programs of this machine find a rehearsal."""

from __future__ import annotations

from urllib.parse import urlsplit

from gcp_rehearsal.discovery import NAMES


def environment(url: str, project: str) -> dict[str, str]:
    """
    Return the variables by which gcloud, and others that need the project, find the rehearsal at `url`.

    To gcloud it is a proxy, which is asked for Google's own addresses over plain HTTP: gcloud puts regions before
    whatever host it is given.
    """
    parts = urlsplit(url)
    apis = sorted({name.partition(".")[0] for name in NAMES})
    return {
        "GOOGLE_CLOUD_PROJECT": project,
        "CLOUDSDK_CORE_PROJECT": project,
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
        "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
        "CLOUDSDK_PROXY_TYPE": "http",
        "CLOUDSDK_PROXY_ADDRESS": parts.hostname or "",
        "CLOUDSDK_PROXY_PORT": str(parts.port),
        **{f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": _endpoint(api) for api in apis},
    }


def _endpoint(api: str) -> str:
    path = {"compute": "compute/v1/", "storage": "storage/v1/", "dns": "dns/v1/"}.get(api, "")
    return f"http://{api}.googleapis.com/{path}"
