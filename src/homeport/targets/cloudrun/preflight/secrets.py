"""Secrets that somebody made for a container of ours: whether they are there, with a version that can be read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem
from homeport.targets.cloudrun.preflight.request import PreflightInput


async def check_secrets(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether each secret is there, with a newest version that is on. Its value is not read."""
    return await asyncio.gather(
        *(_check_secret(google, asked.project, name) for name in asked.mounted_secrets)
    )


async def _check_secret(google: Google, project: str, name: str) -> PreflightFinding:
    subject = f"secret/{name}"
    add = f'printf %s "$TOKEN" | gcloud secrets {{}} {name} --project {project} --data-file=-'
    try:
        await google.get("secretmanager", f"v1/projects/{project}/secrets/{name}")
    except ApiDisabled:
        on = f"gcloud services enable secretmanager.googleapis.com --project {project} && {add.format('create')}"
        return problem(subject, "it is not there: the API is off", on)
    except NotFound:
        return problem(subject, "it is not there, and a container would not start", add.format("create"))
    try:
        version = await google.get("secretmanager", f"v1/projects/{project}/secrets/{name}/versions/latest")
    except NotFound:
        return problem(
            subject, "it has no version, and a container would not start", add.format("versions add")
        )
    state = str(version.get("state", ""))
    if state != "ENABLED":
        text = f"its newest version is {state}, and a container would not start"
        return problem(subject, text, add.format("versions add"))
    return ok(subject, "its newest version is there")
