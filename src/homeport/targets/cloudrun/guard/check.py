"""Does the screen of `[guard]` stand in the way of requests, and does it stop what it is there for?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from homeport.gateway.probes import PROBES
from homeport.json_types import JsonObject
from homeport.targets.cloudrun.guard.road_check import at_balancer
from homeport.targets.cloudrun.observe.sidecar import GATEWAY
from homeport.targets.cloudrun.verification.observed_deployment import INGRESS_ALL, ObservedDeployment
from homeport.verify.report import Finding, failed, passed, skipped


async def guard(deployed: ObservedDeployment) -> Finding:
    """
    Check that requests go to the gateway, and that texts for the filters of the file are stopped there.

    A filter that lets its text through, while others stop theirs, is not shown to work: that keeps nobody from serving.
    """
    planned = deployed.planned
    if planned.road:
        return await at_balancer(deployed)
    if not planned.screened:
        return skipped("the file has no [guard], or none that screens prompts")
    containers = deployed.revision.get("containers", ())
    taking = [container.get("name", "") for container in containers if container.get("ports")]
    if containers and GATEWAY not in taking:
        return failed(
            f"requests go to {' and '.join(taking) or 'no container'}, not to the gateway", containers=taking
        )
    token = None if planned.public else deployed.own.token
    if token is None and not planned.public:
        return skipped(f"not checked: {deployed.own.why_none}")
    filters = [name for name in PROBES if name in planned.screened]
    if not filters:
        return skipped(f"not checked: there is no text to try {', '.join(sorted(planned.screened))} with")
    answers = await asyncio.gather(
        *(deployed.sender.refusal(deployed.front, *_build_request(deployed, PROBES[name]), token=token) for name in filters)
    )  # fmt: skip
    return _judged(deployed, dict(zip(filters, answers, strict=True)))


def _judged(deployed: ObservedDeployment, answers: Mapping[str, tuple[int, str]]) -> Finding:
    # A request from outside to an internal service gets 404, whatever the path.
    nowhere = {401, 403} if deployed.service.get("ingress", INGRESS_ALL) == INGRESS_ALL else {401, 403, 404}
    if {status for status, _ in answers.values()} <= nowhere and not any(
        reason for _, reason in answers.values()
    ):
        return skipped("not checked: who asks from here is let in nowhere", answers=answers)
    stopped = [name for name, (_, reason) in answers.items() if reason == "match"]
    through = {
        name: f"{name}: {answers[name][0]} {answers[name][1]}".strip()
        for name in answers
        if name not in stopped
    }
    if not stopped or any(answers[name][1] for name in through):
        return failed(f"not stopped by the screen: {'; '.join(through.values())}", answers=answers)
    if through:
        # It does screen. What Google's filters make of each text was not seen on Google Cloud.
        return skipped(
            f"{', '.join(stopped)}: stopped; not shown of {', '.join(through)}, whose text was let through",
            answers=answers,
        )
    return passed(f"a text for each of {', '.join(answers)} is stopped", answers=answers)


def _build_request(deployed: ObservedDeployment, text: str) -> tuple[str, JsonObject]:
    # By its own name: an engine behind no screen answers, where another name would get 404, as everybody does from outside.
    model = deployed.planned.model
    if deployed.planned.embeds:
        return "/v1/embeddings", {"model": model, "input": text}
    return "/v1/chat/completions", {
        "model": model,
        "max_tokens": 1,
        "messages": [{"role": "user", "content": text}],
    }
