"""Credentials for tests, written down, and the tokens that are found by them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.google import find
from homeport.google.credentials import Credentials

AUDIENCE = "https://home-1.us-central1.run.app"


LOGIN = "gcloud auth application-default login"


USER = {"type": "authorized_user", "client_id": "c", "client_secret": "s", "refresh_token": "a-refresh-token"}


def written(folder: Path, info: Mapping[str, Any]) -> dict[str, str]:  # Any: JSON
    """The environment of somebody whose credentials lie in a file in `folder`."""
    path = folder / "credentials.json"
    path.write_text(json.dumps(info))
    return {"GOOGLE_APPLICATION_CREDENTIALS": str(path)}


def tokens(env: Mapping[str, str], **kwargs: str) -> tuple[str, Credentials]:
    """The access token that is found, and whose it is."""

    async def work() -> tuple[str, Credentials]:
        credentials = await find(env, **kwargs)
        return (await credentials.token()).reveal(), credentials

    return asyncio.run(work())


def id_token(env: Mapping[str, str], **kwargs: str) -> str:
    """The ID token that is found, for `AUDIENCE`."""

    async def work() -> str:
        return (await (await find(env, **kwargs)).id_token(AUDIENCE)).reveal()

    return asyncio.run(work())
