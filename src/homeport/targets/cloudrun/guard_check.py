"""Does the screen of `[guard]` stand in the way of requests, and does it stop what it is there for?"""

from __future__ import annotations

import asyncio

from homeport.gateway.probes import PROBES
from homeport.json_types import JsonObject
from homeport.targets.cloudrun.guarded import GATEWAY
from homeport.targets.cloudrun.observed import INGRESS_ALL, ObservedDeployment
from homeport.verify.report import Finding, failed, passed, skipped

_NOBODY = "homeport-verify"
"""A model that no engine has: what no screen stops is not answered either."""


async def guard(deployed: ObservedDeployment) -> Finding:
    """Check that requests go to the gateway, and that a text for each filter of the file is stopped there."""
    planned = deployed.planned
    if not planned.screened:
        return skipped("the file has no [guard], or none that screens prompts")
    containers = deployed.revision.get("containers", ())
    taking = [one.get("name", "") for one in containers if one.get("ports")]
    if containers and GATEWAY not in taking:
        return failed(
            f"requests go to {' and '.join(taking) or 'no container'}, not to the gateway", containers=taking
        )
    token = None if planned.public else deployed.own.token
    if token is None and not planned.public:
        return skipped(f"not checked: {deployed.own.why_none}")
    wanted = [name for name in PROBES if name in planned.screened]
    answers = await asyncio.gather(
        *(deployed.sender.refusal(deployed.front, *_asked(deployed, PROBES[name]), token=token) for name in wanted)
    )  # fmt: skip
    told = dict(zip(wanted, answers, strict=True))
    # A request from outside to an internal service gets 404, whatever the path.
    nowhere = {401, 403} if deployed.service.get("ingress", INGRESS_ALL) == INGRESS_ALL else {401, 403, 404}
    if {status for status, _ in answers} <= nowhere and not any(reason for _, reason in answers):
        return skipped("not checked: who asks from here is let in nowhere", answers=told)
    through = [
        f"{name}: {status} {reason}".strip() for name, (status, reason) in told.items() if reason != "match"
    ]
    if through:
        return failed(f"not stopped by the screen: {'; '.join(through)}", answers=told)
    return passed(f"a text for each of {', '.join(wanted)} is stopped", answers=told)


def _asked(deployed: ObservedDeployment, text: str) -> tuple[str, JsonObject]:
    if deployed.planned.embeds:
        return "/v1/embeddings", {"model": _NOBODY, "input": text}
    return "/v1/chat/completions", {
        "model": _NOBODY,
        "max_tokens": 1,
        "messages": [{"role": "user", "content": text}],
    }
