"""Where things are to be: the region, and what has our names there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.catalog import cloudrun
from homeport.errors import ApiDisabled, NotFound, PermissionDenied
from homeport.google import Google
from homeport.resources.google.rest import LABEL
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, ok, problem, unseen, warning
from homeport.targets.cloudrun.preflight.request import PreflightInput

_RENAME = "set `name` in homeport.toml to another one: all names follow from it and the project's"


async def region(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether Cloud Run is in the region, with this GPU in this size."""
    wrong = cloudrun.problems(asked.shape, asked.region)
    findings = [problem("gpu", text, "set cloudrun.region or cloudrun.gpu") for text in wrong]
    gpu = cloudrun.gpu(asked.shape.gpu)
    if not wrong and gpu is not None and asked.region in gpu.disputed:
        others = ", ".join(other for other in gpu.regions if other not in gpu.disputed)
        text = f"{asked.region} has {asked.shape.text}: unconfirmed, since one copy of Google's page says by invitation only, and another does not"
        findings = [
            warning("gpu", text, f"go on, and where Google refuses it set cloudrun.region to one of {others}")
        ]
    elif not wrong:
        findings = [ok("gpu", f"{asked.region} has {asked.shape.text}, by homeport's catalog")]
    try:
        known = [
            location["locationId"]
            async for location in google.pages("run", f"v1/projects/{asked.project}/locations", "locations")
        ]
    except ApiDisabled as error:
        return [*findings, unseen("region", error)]
    if asked.region not in known:
        text = f"Cloud Run is not in {asked.region!r}"
        return [
            *findings,
            problem("region", text, f"set cloudrun.region to one of {', '.join(sorted(known))}"),
        ]
    return [*findings, ok("region", f"Cloud Run is in {asked.region}")]


async def bucket(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether the bucket's name is ours to take, and a bucket that is there is ours and in the region."""
    if not asked.bucket:
        return []
    subject = f"bucket/{asked.bucket}"
    try:
        live = await google.get("storage", f"storage/v1/b/{asked.bucket}")
    except NotFound:
        return [ok(subject, "the name is free")]
    except PermissionDenied as error:
        text = f"a bucket of that name exists, and it is somebody else's or you may not see it: {error}"
        return [problem(subject, text, f"names of buckets are global: {_RENAME}")]
    project = await google.get("cloudresourcemanager", f"v3/projects/{asked.project}")
    if f"projects/{live.get('projectNumber')}" != project.get("name"):
        text = "a bucket of that name exists in another project, whatever its label says"
        return [problem(subject, text, f"names of buckets are global: {_RENAME}")]
    return [_judged(asked, subject, live, str(live.get("location", "")).lower(), _RENAME)]


async def repository(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether a repository of that name in the region is ours, and holds images."""
    subject = f"repository/{asked.repository}"
    path = f"v1/projects/{asked.project}/locations/{asked.region}/repositories/{asked.repository}"
    try:
        live = await google.get("artifactregistry", path)
    except NotFound:
        return [ok(subject, "the name is free")]
    except ApiDisabled:
        return [ok(subject, "there are no repositories: the API is off, and `up` enables it")]
    if live.get("format") != "DOCKER":
        text = f"the repository of that name is for {live.get('format')}, not for images"
        return [problem(subject, text, _RENAME)]
    return [_judged(asked, subject, live, asked.region, _RENAME)]


async def service(google: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether a service of that name in the region is ours."""
    subject = f"service/{asked.name}"
    path = f"v2/projects/{asked.project}/locations/{asked.region}/services/{asked.name}"
    try:
        live = await google.get("run", path)
    except NotFound:
        return [ok(subject, "the name is free")]
    except ApiDisabled:
        return [ok(subject, "there are no services: the API is off, and `up` enables it")]
    return [_judged(asked, subject, live, asked.region, _RENAME)]


def _judged(
    asked: PreflightInput, subject: str, live: Mapping[str, Any], where: str, change: str
) -> PreflightFinding:  # Any: JSON
    whose = live.get("labels", {}).get(LABEL)
    if whose != asked.name:
        text = (
            "it exists, and homeport did not make it" if whose is None else f"it is of the endpoint {whose}"
        )
        return problem(subject, text, change, labels=dict(live.get("labels", {})))
    if where != asked.region:
        text = (
            f"it is in {where}, the service would be in {asked.region}: each start would read across regions"
        )
        hint = (
            f"set cloudrun.region = {where!r}, or run `homeport down {asked.name} --on cloudrun --purge` first, which takes all of it away, "
            f"weights and the hub's token too; another `name` makes a second endpoint, and what is in {where} stays and is paid for"
        )
        return problem(subject, text, hint, location=where)
    return ok(subject, f"it is ours, in {where}", location=where)
