"""A deployed model whose metrics go to Cloud Monitoring, in a cloud of the test's own process."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from deployers import Deployer
from homeport import spec
from homeport.google import Google
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.observe.target import with_observe, with_uptime
from homeport.targets.cloudrun.target import CloudRunTarget


def fully_observed(target: CloudRunTarget) -> CloudRunTarget:
    """The target with all of its file's `[observe]`, also for whoever is in a loop of events already."""
    return asked_from_outside(with_observe(target))


def asked_from_outside(target: CloudRunTarget) -> CloudRunTarget:
    """The target with the uptime check of its file's `[observe]`, also for whoever is in a loop of events already."""
    with ThreadPoolExecutor(1) as other:
        return other.submit(asyncio.run, with_uptime(target)).result()


class WithObserve(Deployer):
    """Deploys a model with whatever its file's `[observe]` says."""

    def observed(self, **observe: object) -> spec.Spec:
        """The file with an `[observe]`."""
        return spec.parse({**self.wanted().model_dump(), "observe": observe})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return with_gateway(with_observe(super().target(google, chosen, wanted, canary=canary)))

    async def finished(self, target: CloudRunTarget) -> CloudRunTarget:
        return await with_uptime(target)

    def uptimed(self, **more: object) -> spec.Spec:
        """The file with an uptime check, an instance that always runs, and whatever else."""
        table = {**self.wanted().model_dump(), "scaling": {"min": 1}, "observe": {"uptime": True}}
        return spec.parse({**table, **more})
