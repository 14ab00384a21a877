"""An API gateway before a deployed model, in a cloud of the test's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cloud import act
from deployers import Deployer
from deployment import google_for
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, make_plan
from homeport.targets.cloudrun.api_gateway.gateway import EndpointApiGateway
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of

ACCOUNT = "serviceAccount:home-edge@rehearsal.iam.gserviceaccount.com"


class WithGateway(Deployer):
    """Deploys a model behind an API gateway, which says what stands in `answers` until that is used up, and then answers."""

    def __init__(self, engine: str = "ollama", answers: Iterable[str] = ()) -> None:
        super().__init__(engine)
        self.answers = list(answers)
        self.asked_at: list[str] = []

    def keyed(self, **edge: object) -> spec.Spec:
        """The file with an API gateway for two clients."""
        wanted = {
            "kind": "api-gateway",
            "clients": ["alice", "bob"],
            "gateway_region": "europe-west1",
            **edge,
        }
        return spec.parse({**self.wanted().model_dump(), "edge": wanted})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        target = super().target(google, chosen, wanted, canary=canary)
        if wanted.edge is None:
            return target

        async def ask(address: str) -> str:
            self.asked_at.append(address)
            return self.answers.pop(0) if self.answers else ""

        gateway = EndpointApiGateway(
            google=google, names=target.names, edge=wanted.edge, deadline_s=900, ask=ask
        )
        return replace(target, api_gateway=gateway)

    def target_of(self, wanted: spec.Spec) -> CloudRunTarget:
        """All that is wanted."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return self.target(google_for(self.cloud), chosen, wanted)

    def pending(self, wanted: spec.Spec) -> list[str]:
        """What a plan would do now."""
        target = self.target_of(wanted)

        async def work() -> Plan:
            return await make_plan("home", "cloudrun", target.resources(), await unwanted_of(target))

        return [f"{one.kind.value} {one.resource.id}" for one in act(work()).pending]

    def left(self, api: str) -> list[str]:
        """The names of what there is of an API of Google's, without operations and deleted keys."""
        return sorted(
            kept.name.partition("/locations/")[2]
            for kept in self.cloud.store.of(api)
            if kept.collection != "operations" and "deleteTime" not in kept.body
        )
