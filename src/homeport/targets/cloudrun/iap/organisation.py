"""Whom Identity-Aware Proxy logs in: people of the project's organisation by Google's own OAuth client, others by one of one's own, where there is one."""

from __future__ import annotations

from homeport.errors import HomeportError, NotFound
from homeport.google import Google, IamResource
from homeport.json_types import Json
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


async def organisation_findings(google: Google, found: Findings, on: IamResource) -> list[PreflightFinding]:
    """
    Return whether people can log in as it is, by what was `found` of the project and the proxy's settings for the service it is `on`.

    Google's page on OAuth clients for the proxy wants one of one's own for projects without an organisation, and for people of others;
    reports of 2026 have the proxy answer 502 to every request until there is one. Whether what a service account signs comes in without
    one no page says.
    """
    seen = next(one for one in found.all if one.subject == "project")
    if seen.verdict is not PreflightVerdict.OK:
        return [
            not_checked(
                _SUBJECT,
                f"whether {google.project} is of an organisation is not known: {seen.text}",
                seen.hint,
            )
        ]
    parent = str(seen.data["parent"])
    if parent:
        text = f"the project is within {parent}, whose organisation's people log in by Google's own OAuth client; others need one of yours"
        return [ok(_SUBJECT, text, parent=parent)]
    client, unread = await _own_client(google, on)
    if client:
        return [
            ok(
                _SUBJECT,
                f"the project is of no organisation, and people log in by the OAuth client {client} of Identity-Aware Proxy's settings",
                parent="",
                client=client,
            )
        ]
    return [_without(google.project, unread)]


def _without(project: str, unread: HomeportError | None) -> PreflightFinding:
    """Return what is to be done where no client was found; `unread` is why that is not sure."""
    told = (
        f"whether it has one of yours could not be read ({unread})"
        if unread
        else "it has none of yours by its settings"
    )
    look = f"; for `plan` to see whether there is one: {unread.hint}" if unread and unread.hint else ""
    return warning(
        _SUBJECT,
        f"the project is of no organisation, so Google's own OAuth client logs nobody in, and {told}: without one Identity-Aware Proxy is "
        'reported to answer 502 ("Empty Google Account OAuth client"), and then no revision is proven, either',
        "make a consent screen (audience: external) and a client at https://console.cloud.google.com/auth, write both parts under accessSettings: "
        f"oauthSettings: (clientId, clientSecret) to a file, and say `gcloud iap settings set FILE --project={project}` ({_PAGE}){look}",
        parent="",
        client=None if unread else "",
    )


async def _own_client(google: Google, on: IamResource) -> tuple[str, HomeportError | None]:
    """
    Return the client that the settings have for what the proxy is `on`, or for anything above it in the project; '' for none.

    Where none was found, the second is what kept one of them from being read. Each inherits what is above it; whether it also tells of that
    no page says, so all are asked.
    """
    parts = on.path.split("/")
    unread: HomeportError | None = None
    for end in (3, len(parts), 5, 4):
        try:
            settings = await google.get(on.api, "/".join(parts[:end]) + ":iapSettings")
        except NotFound:
            continue  # A service that is not there yet.
        except HomeportError as error:
            unread = unread or error
            continue
        if client := _client(settings):
            return client, None
    return "", unread


def _client(settings: Json) -> str:
    """Return the id of the OAuth client in settings; '' for none, or for one without its secret, whose sum alone Google tells."""
    oauth = (settings.get("accessSettings") or {}).get("oauthSettings") or {}
    return str(oauth.get("clientId") or "") if oauth.get("clientSecretSha256") else ""


__all__ = ["organisation_findings"]
