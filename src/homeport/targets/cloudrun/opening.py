"""How the door to Google is opened where a name or a project is all that was said."""

from __future__ import annotations

import asyncio
from pathlib import Path

from homeport import google
from homeport.errors import SpecError
from homeport.google import Google
from homeport.spec import CloudRun, load
from homeport.targets.base import OpenOptions


async def settings_of(file: Path) -> CloudRun | None:
    """Return `[cloudrun]` of a file; None where there is none."""
    return (await asyncio.to_thread(load, file)).cloudrun if await asyncio.to_thread(file.exists) else None


async def door_for(settings: CloudRun | None, options: OpenOptions) -> Google:
    """Return a door to Google: as the project that was named, else that of the file, of the environment or of gcloud."""
    named = options.project or (settings.project if settings else None) or ""
    door = await google.from_env(options.env, project=named)
    if not door.project:
        await door.aclose()
        raise SpecError(
            "no project is named", hint="give --project PROJECT, or export GOOGLE_CLOUD_PROJECT=…"
        )
    return door
