"""The target of a file whose service stands behind Identity-Aware Proxy."""

from __future__ import annotations

from dataclasses import replace

from homeport.targets.cloudrun.iap import endpoint_iap
from homeport.targets.cloudrun.target import CloudRunTarget


async def with_iap(target: CloudRunTarget) -> CloudRunTarget:
    """Return the target with the proxy of its file's `access.iap`; as it is where nobody comes in through one."""
    members = target.spec.access.iap
    if not members:
        return target
    return replace(target, iap=await endpoint_iap(target.google, target.names, members))
