"""The target of a file whose screen stands at its load balancer."""

from __future__ import annotations

from dataclasses import replace

from homeport.resources.google.service_agent import NETWORK_SERVICES, agent
from homeport.targets.cloudrun.guard.road import GuardRoad
from homeport.targets.cloudrun.guard.road_standing import StandingService, standing_service
from homeport.targets.cloudrun.target import CloudRunTarget


async def with_road(target: CloudRunTarget) -> CloudRunTarget:
    """Return the target with the road of its file's `[guard]`; as it is where the gateway screens, or nothing."""
    guard, edge = target.spec.guard, target.spec.edge
    if guard is None or guard.in_gateway or edge is None:
        return target
    member = await agent(target.google, NETWORK_SERVICES)
    service, public = target.edge.service if target.edge is not None else {}, target.spec.access.public
    standing = (
        await standing_service(target.google, service, public=public)
        if service
        else StandingService(public=public)
    )
    road = GuardRoad(
        google=target.google,
        names=target.names,
        guard=guard,
        edge=edge,
        member=member,
        models=(target.launch.model, *target.weights.adapters),
        standing=standing,
    )
    return replace(target, road=road)


__all__ = ["with_road"]
