"""Is what was deployed to Cloud Run closed to strangers, and what was planned?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from homeport.targets.cloudrun.edge.backends_check import behind
from homeport.targets.cloudrun.guard.check import guard
from homeport.targets.cloudrun.verification.closed_checks import (
    around,
    audience,
    metrics,
    no_token,
    private,
    stranger,
)
from homeport.targets.cloudrun.verification.observed_deployment import (
    INGRESS_ALL,
    ExpectedDeployment,
    ObservedDeployment,
    ProbeToken,
    Sender,
    StoredBucket,
)
from homeport.targets.cloudrun.verification.planned_checks import image, mount, size, weights
from homeport.task import Task
from homeport.verify.check import Check, OnResult, picked
from homeport.verify.report import Result
from homeport.verify.runner import names_of


async def verify_deployed(
    deployed: ObservedDeployment, *, only: Sequence[str] = (), on_result: OnResult | None = None
) -> tuple[Result, ...]:
    """
    Return the results of all checks of a deployment, or of those named in `only`; `on_result` hears of each
    as it ends.

    They are meant to stand in a `Report` beside those of the endpoint. None of them needs the GPU, so they are made
    at once, and told in their order.
    """
    results = []
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check.looked(deployed)) for check in picked(CLOUD_CHECKS, only)]
        for task in tasks:
            result = await task
            results.append(result)
            if on_result is not None:
                on_result(result)
    return tuple(results)


CLOUD_CHECKS: tuple[Check[ObservedDeployment], ...] = (
    Check("no-token", "without a token every path is refused", no_token),
    Check("stranger", "a stranger's token is refused", stranger),
    Check("audience", "a token for another audience is refused", audience),
    Check("around", "the engine cannot be reached around the front", around),
    Check("behind", "each path leads to its endpoint, and to nobody without a token", behind),
    Check("metrics", "the engine's metrics are not seen from outside", metrics),
    Check("guard", "what the screen is there for is stopped", guard),
    Check("private", "nobody but the named callers may call it", private),
    Check("mount", "the weights' mount is read-only", mount),
    Check("image", "the image that runs is the planned one", image),
    Check("weights", "the weights are the planned ones", weights),
    Check("size", "GPU, concurrency and instances are as planned", size),
)

AGENT = "agent"
"""The check of the agent beside the model, which is asked as a client of its own."""
CLIENTS = "clients"
"""The check of an API gateway, which is asked as each of its clients."""

ROUTE = "route"
"""The check of a load balancer before several regions, which is asked as clients ask it."""


def check_names(task: Task | None = None) -> list[str]:
    """Return the names of all checks of an endpoint here that serves for `task`; for any where it is None."""
    return [*names_of(task), *(check.name for check in CLOUD_CHECKS), AGENT, CLIENTS, ROUTE]


__all__ = [
    "AGENT",
    "CLIENTS",
    "CLOUD_CHECKS",
    "INGRESS_ALL",
    "ROUTE",
    "ExpectedDeployment",
    "ObservedDeployment",
    "ProbeToken",
    "Sender",
    "StoredBucket",
    "check_names",
    "verify_deployed",
]
