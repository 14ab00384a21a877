"""Tokens that a closed service must refuse: a stranger's, and one for another audience."""

from __future__ import annotations

import json

from homeport.errors import HomeportError, PermissionDenied
from homeport.google import Google, grants
from homeport.google.credentials import GoogleIdentity
from homeport.google.identity import claims, own_claims
from homeport.secret import Secret
from homeport.targets.cloudrun.verification.observed_deployment import ProbeToken

_AS_ANOTHER, _SIGNS = "iam.serviceAccounts.getOpenIdToken", "iam.serviceAccounts.signJwt"
"""What it takes to have a token of a service account. Not even a project's owner has it."""
ELSEWHERE = "https://another.example.com"
"""An audience that is nobody's."""


async def stranger_token(google: Google, account: str, origin: str, *, signs: str = "") -> ProbeToken:
    """
    Return a token of `account` for the right audience, made by the logged-in user, if they may: an ID token for `origin`, or what the
    account signs for the address `signs`.
    """
    verb, body = "generateIdToken", {"audience": origin, "includeEmail": True}
    if signs:
        verb, body = "signJwt", {"payload": json.dumps(own_claims(account, f"{signs}/*"))}
    path = f"v1/projects/-/serviceAccounts/{account}:{verb}"
    try:
        response = await google.post("iamcredentials", path, body, repeatable=True)
    except PermissionDenied:
        try:
            who = await GoogleIdentity(google.credentials, origin).who()
        except HomeportError:
            who = ""
        grant = grants.command(
            _SIGNS if signs else _AS_ANOTHER, principal=who, project=google.project, account=account
        )
        return ProbeToken(
            why_none=f"{who or 'the logged-in user'} may have no token of {account}; to check it: {grant}"
        )
    except HomeportError as error:
        return ProbeToken(why_none=f"there is no token of {account}: {error}")
    return ProbeToken(token=Secret(str(response["signedJwt" if signs else "token"])), who=account)


async def elsewhere_token(google: Google, *, signs: bool = False) -> ProbeToken:
    """Return a token of the logged-in user that is for another audience."""
    try:
        if signs:
            return ProbeToken(token=await google.credentials.signed_jwt(f"{ELSEWHERE}/*"))
        token = await google.credentials.id_token(ELSEWHERE)
    except HomeportError as error:
        return ProbeToken(why_none=str(error))
    if claims(token).get("aud") != ELSEWHERE:
        return ProbeToken(
            why_none="a person's token has gcloud's own audience, whatever is asked for, and Cloud Run takes it; a service "
            "account's (HOMEPORT_IMPERSONATE=…) has the one that is asked for"
        )
    return ProbeToken(token=token)
