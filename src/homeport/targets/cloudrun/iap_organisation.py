"""Whom Google's own OAuth client logs in behind Identity-Aware Proxy: people of the project's organisation, and nobody where it has none."""

from __future__ import annotations

from homeport.targets.cloudrun.preflight.finding import (
    Findings,
    PreflightFinding,
    PreflightVerdict,
    not_checked,
    ok,
    warning,
)

_SUBJECT = "iap/organisation"
_PAGE = "https://docs.cloud.google.com/iap/docs/custom-oauth-configuration"


def organisation_findings(found: Findings, project: str) -> list[PreflightFinding]:
    """
    Return whether people of the project's organisation can log in as it is, by what was `found` of the project.

    Google's page on OAuth clients for the proxy wants one of one's own for projects without an organisation, and for people of others; two
    reports of 2026 have the proxy answer 502 until there is one. Whether there is one is not read: that wants a right of its own. Whether
    what a service account signs comes in without one no page says.
    """
    seen = next(one for one in found.all if one.subject == "project")
    if seen.verdict is not PreflightVerdict.OK:
        return [
            not_checked(
                _SUBJECT, f"whether {project} is of an organisation is not known: {seen.text}", seen.hint
            )
        ]
    parent = str(seen.data["parent"])
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
