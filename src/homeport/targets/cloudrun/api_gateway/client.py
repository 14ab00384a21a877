"""The variables by which a client of an API gateway comes with its key."""

from __future__ import annotations

from homeport.errors import Unsupported
from homeport.targets.base import Target
from homeport.targets.cloudrun.api_gateway.proof import client_endpoint, gateway_of, variables_of
from homeport.targets.cloudrun.lifecycle import CloudRunLifecycle


async def client_variables(target: Target, client: str) -> dict[str, str]:
    """
    Return what OpenAI's clients read from the environment to come as `client`. Holds the key in clear.

    Raises `Unsupported` where there is no such client, `NotFound` where nothing is deployed, or no key yet.
    """
    edge = target.spec.edge
    if not isinstance(target, CloudRunLifecycle) or edge is None or not edge.is_api_gateway:
        raise Unsupported(
            f"{target.name} has no clients with keys of their own",
            hint='[edge] with kind = "api-gateway" and clients makes some, on Cloud Run',
        )
    gateway = gateway_of(target.google, target.names, edge)
    return variables_of(await client_endpoint(await target.endpoint(), gateway, client))


__all__ = ["client_variables"]
