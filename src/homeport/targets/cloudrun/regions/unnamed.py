"""The region of a file that names none: that in which its endpoint stands, before the default."""

from __future__ import annotations

import asyncio

from homeport.catalog import cloudrun
from homeport.errors import ApiDisabled, HomeportError, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.rest import LABEL
from homeport.resources.google.service import ServiceRole, role_of
from homeport.spec import CloudRun, Spec


async def where_it_stands(google: Google, spec: Spec) -> tuple[Spec, str]:
    """
    Return the spec with the region in which its endpoint stands, and what the reader should know of that ('' for nothing).

    Nothing is asked for a file that names a region. An endpoint of an earlier version, whose default was another, is not
    moved: that would make a second one.
    """
    settings = spec.cloudrun or CloudRun()
    if "region" in settings.model_fields_set or not google.project:
        return spec, ""
    here = settings.region
    try:
        if await _stands(google, spec.endpoint_name, here):
            return spec, ""
    except ApiDisabled:
        return spec, ""
    except HomeportError as error:
        return spec, _unread((f"{here} ({error})",), here)
    offered = cloudrun.gpu(settings.gpu)
    others = [region for region in (offered.regions if offered else cloudrun.regions()) if region != here]
    answers = await asyncio.gather(
        *(_stands(google, spec.endpoint_name, region) for region in others), return_exceptions=True
    )
    elsewhere, unread = [], []
    for region, answer in zip(others, answers, strict=True):
        if isinstance(answer, HomeportError):
            unread.append(f"{region} ({answer})")
        elif isinstance(answer, BaseException):
            raise answer
        elif answer:
            elsewhere.append(region)
    if not elsewhere:
        return spec, _unread(unread, here) if unread else ""
    settled = CloudRun.model_validate({**settings.model_dump(exclude_unset=True), "region": elsewhere[0]})
    text = (
        f'region: the file names none, and {spec.endpoint_name} stands in {elsewhere[0]}: it stays there. Write region = "{elsewhere[0]}" '
        f"into [cloudrun] to keep it, or another region to make a second one (the default is {here})"
    )
    return spec.model_copy(update={"cloudrun": settled}), text


async def _stands(google: Google, name: str, region: str) -> bool:
    """Return True where the endpoint's service is there, by its label."""
    try:
        live: Json = await google.get(
            "run", f"v2/projects/{google.project}/locations/{region}/services/{name}"
        )
    except NotFound:
        return False
    return live.get("labels", {}).get(LABEL) == name and role_of(live) == ServiceRole.MODEL


def _unread(regions: list[str] | tuple[str, ...], here: str) -> str:
    return (
        f"region: the file names none, so {here} is taken; whether the endpoint stands in another could not be read of "
        f"{'; '.join(regions)}"
    )
