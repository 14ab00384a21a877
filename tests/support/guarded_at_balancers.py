"""A deployed model whose screen stands at its load balancer, by one of Google's two roads, or before the engine."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloud import act
from deployers import Deployer
from deployment import google_for
from edges import DOMAIN, WithEdge
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.state import StoredResource
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.guard.road import GuardRoad
from homeport.targets.cloudrun.guard.road_target import with_road
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.target import CloudRunTarget

ALL = ["streams", "apis", "choices", "texts", "media", "long", "names"]
PLACE = "projects/rehearsal/locations/europe-west4"
KINDS = {"lbTrafficExtensions", "authzExtensions", "authzPolicies"}


def screened_at_its_edge(target: CloudRunTarget) -> CloudRunTarget:
    """The target with the road of its file, where it has one, and nobody asked for the project's number."""
    guard, edge = target.spec.guard, target.spec.edge
    if guard is None or guard.in_gateway or edge is None:
        return target
    project = Cloud().projects[0]
    road = GuardRoad(
        google=target.google, names=target.names, guard=guard, edge=edge, models=(target.launch.model,),
        member=f"serviceAccount:service-{project.number}@gcp-sa-dep.iam.gserviceaccount.com",
    )  # fmt: skip
    return replace(target, road=road)


class AtBalancer(WithEdge):
    """Puts the file together as `up` does."""

    def file(
        self, guard: dict[str, Any] | None = None, **edge: Any
    ) -> spec.Spec:  # Any: values of homeport.toml
        """The file with that `[guard]`, behind a load balancer of its region."""
        whole = self.wanted().model_dump(exclude_none=True)
        edge = {"kind": "regional", "domain": DOMAIN, **edge}
        return spec.parse({**whole, "edge": edge, **({"guard": guard} if guard is not None else {})})

    def road(self, where: str, **guard: Any) -> spec.Spec:  # Any: values of homeport.toml
        """The file with one of Google's roads."""
        return self.file({"where": where, "unscreened": ALL, **guard})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        return self.behind_edge(with_gateway(Deployer.target(self, google, chosen, wanted, canary=canary)))

    async def finished(self, target: CloudRunTarget) -> CloudRunTarget:
        return await with_road(target)

    def planned(self, wanted: spec.Spec) -> CloudRunTarget:
        """What it comes to."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        google = google_for(self.cloud)
        return act(self.finished(self.target(google, chosen, wanted)))

    def at_the_balancer(self) -> dict[str, StoredResource]:
        """What Service Extensions have, by its collection."""
        every = [*self.cloud.store.of("networkservices"), *self.cloud.store.of("networksecurity")]
        kept = {one.name.split("/")[-2]: one for one in every}
        return {kind: one for kind, one in kept.items() if kind in KINDS}

    def roles(self) -> set[str]:
        """What the account of Service Extensions was granted on the project."""
        policy = self.cloud.access.policy("cloudresourcemanager", "projects/rehearsal")
        return {
            str(binding["role"])
            for binding in policy.get("bindings", ())
            if any("@gcp-sa-dep." in member for member in binding.get("members", ()))
        }
