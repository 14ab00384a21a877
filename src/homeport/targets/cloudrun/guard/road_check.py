"""Does one of Google's roads, at the load balancer, stop what it is there for?"""

from __future__ import annotations

import asyncio

from homeport.gateway.probes import HARMLESS, PROBES
from homeport.json_types import JsonObject
from homeport.targets.cloudrun.verification.observed_deployment import ObservedDeployment
from homeport.verify.report import Finding, failed, passed, skipped

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"
_ANSWERS = 200
_NOT_SCREENS = frozenset({401, 404, 405, 429, 501})


async def at_balancer(deployed: ObservedDeployment) -> Finding:
    """
    Check that texts for the filters of the file are stopped where the load balancer is asked, as whole prompts: more the road does not promise.

    A filter that lets its text through, while others stop theirs, is not shown to work: that keeps nobody from serving.
    """
    planned = deployed.planned
    if deployed.front != planned.road:
        return skipped(
            "not checked: the screen stands at the load balancer, and this is the service's own address"
        )
    token = None if planned.public else deployed.own.token
    if token is None and not planned.public:
        return skipped(f"not checked: {deployed.own.why_none}")
    path = _CHAT
    status, _ = await deployed.sender.refusal(
        deployed.front, *_request(deployed, path, HARMLESS), token=token
    )
    if status != _ANSWERS:  # What was only pretrained has no chats.
        path = _COMPLETIONS
        status, _ = await deployed.sender.refusal(
            deployed.front, *_request(deployed, path, HARMLESS), token=token
        )
    if status != _ANSWERS:
        return skipped(f"not checked: a harmless text is answered with {status}", status=status)
    filters = [name for name in PROBES if name in planned.sought]
    answers = await asyncio.gather(
        *(deployed.sender.refusal(deployed.front, *_request(deployed, path, PROBES[name]), token=token) for name in filters)
    )  # fmt: skip
    statuses = {name: status for name, (status, _) in zip(filters, answers, strict=True)}
    stopped = [name for name, status in statuses.items() if _is_stopped(status)]
    through = ", ".join(f"{name}: {status}" for name, status in statuses.items() if name not in stopped)
    if not stopped or any(status >= 500 for status in statuses.values()):
        return failed(f"not stopped by the screen at the load balancer: {through}", answers=statuses)
    if through:
        return skipped(f"{', '.join(stopped)}: stopped; not shown of {through}", answers=statuses)
    return passed(
        f"a text for each of {', '.join(stopped)} is stopped at the load balancer, as a whole prompt over {path}",
        answers=statuses,
    )


def _is_stopped(status: int) -> bool:
    """Tell whether a callout refused, by the status alone: a template may name one of its own, such as 799."""
    return status >= 400 and status not in _NOT_SCREENS and not 500 <= status < 600


def _request(deployed: ObservedDeployment, path: str, text: str) -> tuple[str, JsonObject]:
    body: JsonObject = {"model": deployed.planned.model, "max_tokens": 1}
    if path == _COMPLETIONS:
        return path, {**body, "prompt": text}
    return path, {**body, "messages": [{"role": "user", "content": text}]}


__all__ = ["at_balancer"]
