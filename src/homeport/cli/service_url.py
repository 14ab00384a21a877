"""A Cloud Run service that is named by its address alone: to call it is all that its caller must be allowed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint


async def service_at(url: str, audience: str, models: tuple[str, ...]) -> Endpoint:
    """
    Return the endpoint that any Cloud Run service is, for the logged-in user: by an ID token, or for an `audience` of all below an address
    (`…/*`), as Identity-Aware Proxy wants it, by what their service account signs.
    """
    from homeport.endpoint import Endpoint
    from homeport.google.credentials import GoogleIdentity, SignedIdentity, find

    origin = _origin(url)
    credentials = await find(os.environ)
    signs = audience.endswith("/*")
    return Endpoint(
        name=origin.partition("://")[2].partition(".")[0],
        base_url=f"{origin}/v1",
        model=models[0] if models else "",
        identity=SignedIdentity(credentials, audience.removesuffix("/*"))
        if signs
        else GoogleIdentity(credentials, audience or origin),
        via=os.environ.get("HOMEPORT_GOOGLE_URL", ""),
    )


def _origin(url: str) -> str:
    """Return the address without a path. Raises `click.BadParameter` where tokens could be read on the way to it."""
    from urllib.parse import urlsplit

    from homeport.addresses import is_loopback

    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not host or parts.path.strip("/") not in {"", "v1"} or parts.query or parts.username is not None:
        raise click.BadParameter(f"{url!r} is not like https://NAME.run.app", param_hint="--url")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(host)):
        raise click.BadParameter(
            f"tokens are not sent to {url!r}, but over https:// only", param_hint="--url"
        )
    return f"{parts.scheme}://{parts.netloc}"
