"""Whether a name is believed that somebody makes up: the gateway is asked whom it takes the asker for, and he shows two tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeport.errors import HomeportError, NetworkError
from homeport.gateway.callers import PROVEN, made_up
from homeport.gateway.settings import OWN_CALLER
from homeport.targets.cloudrun.verification.revision import host_of, outside

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint

NOBODY = "made-up@homeport.invalid"
"""Whom Cloud Run never looked at, and a name that nobody can have."""


async def taken_for(endpoint: Endpoint) -> str:
    """
    Return whom the gateway of an endpoint takes somebody for who shows his own token and one that he made up; '' for nobody.

    The model is not asked, and nothing is counted. Raises `HomeportError` where that is not told.
    """
    import httpx2

    if endpoint.identity is None:
        raise HomeportError("it takes no token", hint="give `access.callers` instead of `access.public`")
    token, url = await endpoint.identity.token(), endpoint.root_url
    shown = {
        **endpoint.headers,
        "host": host_of(url),
        PROVEN: f"Bearer {token.reveal()}",
        "authorization": f"Bearer {made_up(NOBODY)}",
    }
    async with outside(endpoint.via) as sender:
        try:
            answer = await sender.client.get(f"{endpoint.via or url}{OWN_CALLER}", headers=shown)
        except httpx2.HTTPError as error:
            raise NetworkError(f"nothing answers at {url}: {error}") from error
    try:
        caller = answer.json()["caller"] if answer.status_code == 200 else None
    except (ValueError, TypeError, KeyError):
        caller = None
    if not isinstance(caller, str):
        raise HomeportError(
            f"{url}{OWN_CALLER} answers {answer.status_code}, and not whom it takes the asker for",
            hint="`homeport up --on cloudrun` brings a gateway that tells it; whoever asks must be among access.callers",
        )
    return caller
