"""Do the paths, headers and shares of an edge lead to the endpoints that its file names, and to these alone with a token?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from homeport.json_types import Json
from homeport.targets.cloudrun.verification.observed_deployment import ObservedDeployment, OtherEndpoint
from homeport.verify.report import Finding, failed, passed, skipped

_REFUSED = frozenset({401, 403})
_REDIRECTED = frozenset({302, 303, 307})
_MODELS = "/v1/models"


async def behind(deployed: ObservedDeployment) -> Finding:
    """Check that each way of `edge.backends` and `edge.shares` leads to its endpoint with the caller's token, and to nobody without."""
    others = deployed.planned.behind
    if not others:
        return skipped("no other endpoint is looked for behind this address")
    if deployed.own.token is None and any(not other.public for other in others):
        return skipped(f"not checked: {deployed.own.why_none}")
    results = await asyncio.gather(*(_ask_other(deployed, other) for other in others))
    evidence = {other.listed: details for other, (_, details) in zip(others, results, strict=True)}
    wrong = [why for why, _ in results if why]
    if wrong:
        return failed("; ".join(wrong), **evidence)
    doubts = _doubts(deployed, evidence)
    if doubts:
        return skipped(f"not checked: {'; '.join(doubts)}", **evidence)
    return passed(", ".join(f"{other.way} is {other.name}" for other in others), **evidence)


def _doubts(deployed: ObservedDeployment, evidence: Mapping[str, Mapping[str, Json]]) -> list[str]:
    """Return what could not be told of ways of which nothing is known to be wrong."""
    others = deployed.planned.behind
    unseen = [other.listed for other in others if evidence[other.listed]["status"] in _REFUSED]
    failing = [
        f"{_at(other)} with {evidence[other.listed]['without_token']}"
        for other in others
        if _is_guarded(deployed, other) and _says_nothing(evidence[other.listed]["without_token"])
    ]
    return [
        *([f"who asks from here may not call what is behind {', '.join(unseen)}"] if unseen else []),
        *([f"a request without a token is answered {', '.join(failing)}"] if failing else []),
        *(
            f"which model should answer {_at(other)}: {other.why_no_model}"
            for other in others
            if not other.model
        ),
        *(other.untold for other in others if other.untold),
    ]


def _is_guarded(deployed: ObservedDeployment, other: OtherEndpoint) -> bool:
    """Tell whether nobody is to be let in without a token: behind the proxy not even to what is public."""
    return not other.public or bool(deployed.service.get("iapEnabled"))


def _at(other: OtherEndpoint) -> str:
    """Return where it is asked, in words."""
    return (
        f"at {other.path}"
        if other.path
        else f"to {other.way}{f', from {other.name},' if other.is_share else ''}"
    )


async def _ask_other(deployed: ObservedDeployment, other: OtherEndpoint) -> tuple[str, Mapping[str, Json]]:
    """Return what is wrong with the way to another endpoint, '' for nothing, and what was seen."""
    path = f"{other.path}{_MODELS}"
    sender = deployed.sender.with_headers(other.headers) if other.headers else deployed.sender
    status, models = await sender.models(deployed.front, path, token=deployed.own.token)
    bare, meets_iap = await sender.without_token(deployed.front, path)
    details = {"status": status, "models": list(models), "without_token": bare}
    if other.misfit:
        return other.misfit, details
    if deployed.service.get("iapEnabled"):
        wrong = _through_iap(deployed, other, (status, bare), meets_iap=meets_iap)
    # By Google's questions and answers the proxy refuses with 401 who does not say that it takes pages.
    elif meets_iap and (status == 401 or bare in _REDIRECTED):
        return _behind_iap(deployed, other), {**details, "iap": True}
    else:
        wrong = _wrong_status(deployed, other, status, bare)
    if wrong:
        return wrong, details
    if status == 200 and other.model:
        return await _other_models(deployed, other, models), details
    return "", details


def _through_iap(
    deployed: ObservedDeployment, other: OtherEndpoint, statuses: tuple[int, int], *, meets_iap: bool
) -> str:
    """Return what is wrong where all behind the address stand behind Identity-Aware Proxy; '' for nothing."""
    status, bare = statuses
    if not meets_iap and (bare == 200 or bare in _REFUSED):
        return (
            f"{other.name} does not stand behind Identity-Aware Proxy as this endpoint does: {other.way} is answered with {bare} without a token: let iap "
            "take the place of callers in the [access] of its file, and say `homeport up --on cloudrun` with it"
        )
    if meets_iap and bare in _REDIRECTED:
        bare = 401
    return _wrong_status(deployed, replace(other, public=False), status, bare)


def _says_nothing(status: int) -> bool:
    """Tell whether a status leaves open who is let in: one of too many requests, or of a failure."""
    return status == 429 or status >= 500


def _wrong_status(deployed: ObservedDeployment, other: OtherEndpoint, status: int, bare: int) -> str:
    """Return what is wrong with how it answers with a token, and with `bare` without one; '' for nothing."""
    if not other.public and bare not in _REFUSED and not _says_nothing(bare):
        return f"{other.way} is answered with {bare} without a token"
    if status == 401:
        return f"{other.name} does not take tokens that are made for {deployed.front} (401)"
    if status not in {200, 403}:
        return f"{other.path}{_MODELS} {'' if other.path else f'of {other.name} '}is answered with {status}"
    return ""


def _behind_iap(deployed: ObservedDeployment, other: OtherEndpoint) -> str:
    return (
        f"{other.name} stands behind Identity-Aware Proxy, which sends {other.way} to Google's login without a token, and does not take "
        f"the ID tokens by which callers come to {deployed.front}: let callers take the place of iap in the [access] of its file, and say "
        "`homeport up --on cloudrun` with it"
    )


async def _other_models(deployed: ObservedDeployment, other: OtherEndpoint, models: Sequence[str]) -> str:
    """Return what is wrong with the models that another endpoint lists; '' for nothing."""
    listed = ", ".join(models) or "no model"
    if not other.is_share:
        return (
            ""
            if other.model in models
            else f"{other.way} leads to {listed}, not to {other.model} of {other.name}"
        )
    # What others answer in its place must be there by every name that it has itself, adapters among them.
    _, own = await deployed.sender.models(deployed.front, _MODELS, token=deployed.own.token)
    lacking = sorted({*own, deployed.planned.model or other.model} - set(models))
    if not lacking:
        return ""
    return f"{other.name} answers {other.way} and does not serve {', '.join(lacking)}, but {listed}"
