"""Whom Google's own OAuth client logs in behind Identity-Aware Proxy: people of the project's organisation, and nobody where it has none."""

from __future__ import annotations

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, unseen, warning

_SUBJECT = "iap/organisation"
_PAGE = "https://docs.cloud.google.com/iap/docs/custom-oauth-configuration"


async def organisation_findings(google: Google, project: str) -> list[PreflightFinding]:
    """
    Return whether people of the project's organisation can log in as it is.

    Google's page on OAuth clients for the proxy wants one of one's own for projects without an organisation, and for people of others; two
    reports of 2026 have the proxy answer 502 until there is one. Whether there is one is not read: that wants a right of its own. Whether
    what a service account signs comes in without one no page says.
    """
    try:
        live = await google.get("cloudresourcemanager", f"v3/projects/{project}")
    except HomeportError as error:
        return [unseen(_SUBJECT, error)]
    parent = str(live.get("parent") or "")
    if parent:
        text = f"the project is within {parent}, whose organisation's people log in by Google's own OAuth client; others need one of yours"
        return [ok(_SUBJECT, text, parent=parent)]
    return [
        warning(
            _SUBJECT,
            "the project is of no organisation, so Google's own OAuth client logs nobody in: Identity-Aware Proxy is reported to answer 502 "
            '("Empty Google Account OAuth client") until it has one of yours, and then no revision is proven, either',
            "make a consent screen (audience: external) and a client at https://console.cloud.google.com/auth, write both parts under accessSettings: "
            f"oauthSettings: (clientId, clientSecret) to a file, and say `gcloud iap settings set FILE --project={project}` ({_PAGE})",
        )
    ]


__all__ = ["organisation_findings"]
