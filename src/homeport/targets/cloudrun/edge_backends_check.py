"""Do the paths of an edge lead to the endpoints that its file names, and to these alone with a token?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from homeport.json_types import Json
from homeport.targets.cloudrun.observed import ObservedDeployment, OtherEndpoint
from homeport.verify.report import Finding, failed, passed, skipped

_REFUSED = frozenset({401, 403})
_MODELS = "/v1/models"


async def behind(deployed: ObservedDeployment) -> Finding:
    """Check that each path of `edge.backends` leads to its endpoint with the caller's token, and to nobody without."""
    others = deployed.planned.behind
    if not others:
        return skipped("no other endpoint is looked for behind this address")
    if deployed.own.token is None and any(not one.public for one in others):
        return skipped(f"not checked: {deployed.own.why_none}")
    found = await asyncio.gather(*(_asked(deployed, one) for one in others))
    evidence = {one.path: told for one, (_, told) in zip(others, found, strict=True)}
    wrong = [why for why, _ in found if why]
    if wrong:
        return failed("; ".join(wrong), **evidence)
    unseen = [one.path for one, (_, told) in zip(others, found, strict=True) if told["status"] in _REFUSED]
    if unseen:
        return skipped(
            f"not checked: who asks from here may not call what is at {', '.join(unseen)}", **evidence
        )
    return passed(", ".join(f"{one.path} is {one.name}" for one in others), **evidence)


async def _asked(deployed: ObservedDeployment, one: OtherEndpoint) -> tuple[str, Mapping[str, Json]]:
    """Return what is wrong with the way to another endpoint, '' for nothing, and what was seen."""
    path = f"{one.path}{_MODELS}"
    status, models = await deployed.sender.models(deployed.front, path, token=deployed.own.token)
    bare = await deployed.sender.status(deployed.front, path, token=None)
    told = {"status": status, "models": list(models), "without_token": bare}
    if not one.public and bare not in _REFUSED:
        return f"{one.path} is answered with {bare} without a token", told
    if status == 401:
        return f"{one.name} does not take tokens that are made for {deployed.front} (401)", told
    if status == 403:
        return "", told
    if status != 200:
        return f"{path} is answered with {status}", told
    if one.model and one.model not in models:
        return (
            f"{one.path} leads to {', '.join(models) or 'no model'}, not to {one.model} of {one.name}",
            told,
        )
    return "", told
