"""Is what was deployed to Cloud Run closed to strangers?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from homeport.resources.google.traffic import addresses_of, is_closed
from homeport.secret import Secret
from homeport.targets.cloudrun.iap.check import iap_misfit
from homeport.targets.cloudrun.invokers import INVOKERS
from homeport.targets.cloudrun.verification.observed_deployment import (
    INGRESS_ALL,
    ObservedDeployment,
)
from homeport.verify.checks import access
from homeport.verify.checks.load import together
from homeport.verify.report import Finding, Outcome, failed, passed, skipped

_FEW = ("/", "/v1/models", "/v1/chat/completions")
"""Asked where the front answers, which knows no paths."""
_METRICS = ("/metrics", "/metrics/", "/metrics?name=x", "//metrics", "/v1/../metrics")
"""Spellings of it that some servers take for the same path."""
_AT_ONCE = 8
EVERYBODY = frozenset({"allUsers", "allAuthenticatedUsers"})
_UNLOOKED = "not checked: from here everything is answered with 404, whoever asks: run it within the network"
_PUBLIC = "not checked: the file says public = true, so everybody may call it"


async def no_token(deployed: ObservedDeployment) -> Finding:
    """Check that without a token every path that an engine is known to have is refused."""
    if deployed.planned.public:
        return skipped(_PUBLIC)
    paths = list(dict.fromkeys(path for _, path in access.paths().requests))
    return await _refused(deployed, [(deployed.front, path) for path in paths], None, "without a token")


async def stranger(deployed: ObservedDeployment) -> Finding:
    """Check that the token of somebody who may not call it is refused with 403."""
    probe_token = deployed.stranger
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if probe_token.token is None:
        return skipped(f"not checked: {probe_token.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in _FEW], probe_token.token)
    if all(status == 401 for status in statuses.values()):
        return skipped("not checked: the stranger's token itself was not taken (401)", statuses=statuses)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    whose = (
        f"the token of {probe_token.who}, who may not call it" if probe_token.who else "a stranger's token"
    )
    return _judged(deployed, statuses, f"with {whose}")


async def audience(deployed: ObservedDeployment) -> Finding:
    """Check that a token that was made for another audience is refused."""
    probe_token = deployed.elsewhere
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if probe_token.token is None:
        return skipped(f"not checked: {probe_token.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in _FEW], probe_token.token)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    return _judged(deployed, statuses, "with a token for another audience")


async def around(deployed: ObservedDeployment) -> Finding:
    """Check that no second way leads to the engine: ingress is as planned, and every other address asks for a token, too."""
    ingress = deployed.service.get("ingress", INGRESS_ALL)
    if ingress != deployed.planned.ingress:
        return failed(f"ingress is {ingress}, not {deployed.planned.ingress}", ingress=ingress)
    containers = deployed.revision.get("containers", ())
    ports = [container.get("name", "") for container in containers if container.get("ports")]
    if len(ports) > 1:
        return failed(f"several containers take requests: {', '.join(ports)}", containers=ports)
    if not containers:
        return skipped("not checked: Cloud Run does not tell which containers the revision has")
    known = list(addresses_of(deployed.service))
    others = [url for url in known if url != deployed.front]
    closed = is_closed(deployed.service)
    if not known:
        return skipped("not checked: Cloud Run tells no address of the service", ingress=ingress)
    if deployed.planned.public and not closed:
        return skipped(_PUBLIC, ingress=ingress)
    if not others:
        return passed(f"ingress is {ingress}, and there is no other address", ingress=ingress)
    requests = [(url, path) for url in others for path in _FEW]
    # Not even a token that opens the load balancer may open the address behind it.
    finding = await _refused(deployed, requests, deployed.own.token if closed else None, "around the front")
    if (
        closed
        and deployed.own.token is None
        and not deployed.planned.public
        and finding.outcome is Outcome.PASSED
    ):
        return skipped(
            "not checked with a token that the load balancer takes, only without one, which is refused: "
            f"{deployed.own.why_none}",
            **finding.evidence,
        )
    return finding


async def private(deployed: ObservedDeployment) -> Finding:
    """Check that only those who are named may call it: no allUsers, and the check of callers is on."""
    if deployed.planned.public:
        return skipped(_PUBLIC)
    if deployed.service.get("invokerIamDisabled"):
        return failed("the check of callers is off (invokerIamDisabled): everybody may call it")
    if wrong := iap_misfit(deployed):
        return failed(wrong, iap=sorted({one.member for one in deployed.entrants}))
    bindings = deployed.policy.get("bindings", ())
    members = sorted({member for binding in bindings for member in binding.get("members", ())})
    if opened := sorted(EVERYBODY.intersection(members)):
        roles = [binding["role"] for binding in bindings if set(binding.get("members", ())) & EVERYBODY]
        return failed(
            f"{' and '.join(opened)} may call it, by {', '.join(roles)}", members=opened, roles=roles
        )
    named = {caller.casefold() for caller in deployed.planned.callers}
    calls = [binding for binding in bindings if binding["role"] in INVOKERS]
    calling = frozenset(member for binding in calls for member in binding.get("members", ()))
    leaving = frozenset(each for each in calling if each.casefold() in deployed.planned.leaving - named)
    if unnamed := frozenset(each for each in calling - leaving if each.casefold() not in named):
        return failed(
            f"{' and '.join(sorted(unnamed))} may call it, though [access] callers does not name them: `homeport up` takes that back",
            members=members,
        )
    if deployed.entrants_unread:
        return skipped(f"not checked: {deployed.entrants_unread}", members=members)
    until = f", and {' and '.join(sorted(leaving))} until this `up` takes it away" if leaving else ""
    return passed(
        f"{len(members) - len(leaving)} named callers, besides those of the project{until}", members=members
    )


async def metrics(deployed: ObservedDeployment) -> Finding:
    """Check that what the engine counts, which is open within the instance, is not there from outside: for nobody."""
    if not deployed.planned.observed:
        return skipped(
            "the file has no [observe]: the metrics are where the engine has them, for those who may call it"
        )
    token = None if deployed.planned.public else deployed.own.token
    if token is None and not deployed.planned.public:
        return skipped(f"not checked: {deployed.own.why_none}")
    statuses = await _statuses(deployed, [(deployed.front, path) for path in (*_METRICS, *_FEW)], token)
    if _unlooked(deployed, statuses):
        return skipped(_UNLOOKED, statuses=statuses)
    if set(statuses.values()) <= deployed.refusals:
        return skipped("not checked: who asks from here is let in nowhere", statuses=statuses)
    metric_statuses = {place: statuses[place] for place in statuses if "metrics" in place}
    opened = [
        f"{place} gets {status}"
        for place, status in metric_statuses.items()
        if status not in deployed.refusals | {404}
    ]
    if opened:
        return failed(
            f"the engine's metrics are seen from outside: {'; '.join(opened)}", statuses=metric_statuses
        )
    return passed(
        f"{len(metric_statuses)} requests by one who may call it, all refused or answered with 404",
        statuses=metric_statuses,
    )


async def _refused(
    deployed: ObservedDeployment, requests: Sequence[tuple[str, str]], token: Secret | None, how: str
) -> Finding:
    return _judged(deployed, await _statuses(deployed, requests, token), how)


def _unlooked(deployed: ObservedDeployment, statuses: Mapping[str, int]) -> bool:
    """Return True if no token was looked at: outside of its network an internal service has 404 for everybody."""
    return deployed.service.get("ingress", INGRESS_ALL) != INGRESS_ALL and set(statuses.values()) == {404}


def _judged(deployed: ObservedDeployment, statuses: Mapping[str, int], how: str) -> Finding:
    # A request from outside to an internal service gets 404, whatever the path.
    open_to_all = deployed.service.get("ingress", INGRESS_ALL) == INGRESS_ALL
    fine = deployed.refusals if open_to_all else deployed.refusals | {404}
    opened = [f"{place} gets {status}" for place, status in statuses.items() if status not in fine]
    if opened:
        more = f", and {len(opened) - 3} more" if len(opened) > 3 else ""
        return failed(f"not refused {how}: {'; '.join(opened[:3])}{more}", statuses=dict(statuses))
    return passed(f"{len(statuses)} requests {how}, all refused", statuses=dict(statuses))


async def _statuses(
    deployed: ObservedDeployment, requests: Sequence[tuple[str, str]], token: Secret | None
) -> dict[str, int]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def status_at(url: str, path: str) -> tuple[str, int]:
        async with slots:
            return f"{url}{path}", await deployed.sender.status(url, path, token=token)

    return dict(await together(status_at(url, path) for url, path in requests))
