"""Do the paths of an edge lead to the endpoints that its file names, and to these alone with a token?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from homeport.json_types import Json
from homeport.targets.cloudrun.seen_deployment import OtherEndpoint, SeenDeployment
from homeport.verify.report import Finding, failed, passed, skipped

_REFUSED = frozenset({401, 403})
_MODELS = "/v1/models"


async def behind(deployed: SeenDeployment) -> Finding:
    """Check that each path of `edge.backends` leads to its endpoint with the caller's token, and to nobody without."""
    others = deployed.planned.behind
    if not others:
        return skipped("no other endpoint is looked for behind this address")
    if deployed.own.token is None and any(not other.public for other in others):
        return skipped(f"not checked: {deployed.own.why_none}")
    results = await asyncio.gather(*(_ask_other(deployed, other) for other in others))
    evidence = {other.path: details for other, (_, details) in zip(others, results, strict=True)}
    wrong = [why for why, _ in results if why]
    if wrong:
        return failed("; ".join(wrong), **evidence)
    unseen = [
        other.path
        for other, (_, details) in zip(others, results, strict=True)
        if details["status"] in _REFUSED
    ]
    if unseen:
        return skipped(
            f"not checked: who asks from here may not call what is at {', '.join(unseen)}", **evidence
        )
    unknown = [
        f"which model should answer at {other.path}: {other.why_no_model}"
        for other in others
        if not other.model
    ]
    if unknown:
        return skipped(f"not checked: {'; '.join(unknown)}", **evidence)
    return passed(", ".join(f"{other.path} is {other.name}" for other in others), **evidence)


async def _ask_other(deployed: SeenDeployment, other: OtherEndpoint) -> tuple[str, Mapping[str, Json]]:
    """Return what is wrong with the way to another endpoint, '' for nothing, and what was seen."""
    path = f"{other.path}{_MODELS}"
    status, models = await deployed.sender.models(deployed.front, path, token=deployed.own.token)
    bare = await deployed.sender.status(deployed.front, path, token=None)
    details = {"status": status, "models": list(models), "without_token": bare}
    if not other.public and bare not in _REFUSED:
        return f"{other.path} is answered with {bare} without a token", details
    if status == 401:
        return f"{other.name} does not take tokens that are made for {deployed.front} (401)", details
    if status == 403:
        return "", details
    if status != 200:
        return f"{path} is answered with {status}", details
    if other.model and other.model not in models:
        return (
            f"{other.path} leads to {', '.join(models) or 'no model'}, not to {other.model} of {other.name}",
            details,
        )
    return "", details
