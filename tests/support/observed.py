"""A deployed model whose metrics go to Cloud Monitoring, in a cloud of the test's own process."""

from __future__ import annotations

from deployers import Deployer
from homeport import spec
from homeport.google import Google
from homeport.targets.cloudrun.guarded import with_gateway
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.observe_target import with_observe
from homeport.targets.cloudrun.target import CloudRunTarget


class WithObserve(Deployer):
    """Deploys a model with whatever its file's `[observe]` says."""

    def observed(self, **observe: object) -> spec.Spec:
        """The file with an `[observe]`."""
        return spec.parse({**self.wanted().model_dump(), "observe": observe})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return with_gateway(with_observe(super().target(google, chosen, wanted, canary=canary)))
