"""An endpoint in two regions behind one load balancer, in a cloud of the test's own process."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from caching import Keeping
from cloud import act
from deployers import AppliedPlan, Deployer, applied
from deployment import google_for
from edges import DOMAIN, WithEdge
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.runtime.container_state import Failure
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, make_plan
from homeport.results import Rollback
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.marks import TEMPLATE
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.names import in_region
from homeport.targets.cloudrun.observe.target import with_observe
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from homeport.targets.cloudrun.regions.several_regions import SeveralRegions
from homeport.targets.cloudrun.rollout import CloudRunRollout
from homeport.targets.cloudrun.startup_cache.room import with_room
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of

FIRST, SECOND = "europe-west4", "us-central1"


class InTwoRegions(WithEdge):
    """Deploys a model in two regions. What is released in a region of `broken_in` is not as promised."""

    def __init__(self, engine: str, folder: Path) -> None:
        super().__init__(engine, folder)
        self.cloud = Cloud(delays=AT_ONCE, containers=Keeping())
        self.broken_in: set[str] = set()
        self.proven_in: list[str] = []
        self.later: Failure | None = None
        """How every container fails once the first region is proven."""
        self.tables: dict[str, dict[str, Any]] = {}  # Any: values of homeport.toml
        """What the file says besides."""

    def in_both(self, *regions: str, **engine: Any) -> spec.Spec:  # Any: values of homeport.toml
        """The file, with further `regions`, by default the second."""
        return self.file_with({"edge": {"domain": DOMAIN, "regions": list(regions or (SECOND,))}}, engine)

    def alone(self, **engine: Any) -> spec.Spec:  # Any: values of homeport.toml
        """The file with its load balancer, in the first region alone."""
        return self.file_with({"edge": {"domain": DOMAIN}}, engine)

    def file_with(
        self, edge: dict[str, Any], engine: dict[str, Any]
    ) -> spec.Spec:  # Any: values of homeport.toml
        """The file with that load balancer, and `tables`."""
        wanted = self.wanted(**engine).model_dump()
        first = {"region": FIRST, **self.tables.get("cloudrun", {})}
        return spec.parse({**wanted, **self.tables, "cloudrun": first, **edge})

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        first = self._one(google, chosen, wanted, canary)
        regions = wanted.edge.regions if wanted.edge else ()
        further = [
            self._one(google, self._chosen(in_region(wanted, region)), in_region(wanted, region), canary)
            for region in regions
        ]
        doors = [
            replace(
                one,
                edge=replace(first.edge, of=one.names, prove=one.prove, led=one.edge.led),
            )
            for one in further
            if first.edge is not None and one.edge is not None
        ]
        return replace(first, further=tuple(doors))

    def _one(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, canary: tuple[int, ...]
    ) -> CloudRunTarget:
        bare = Deployer.target(self, google, chosen, wanted, canary=canary)
        made = self.behind_edge(with_agent(with_gateway(with_observe(bare))))
        region, prove = made.names.region, made.prove

        async def proves(*asked: Any) -> Any:  # Any: as a proof is asked
            self.proven_in.append(region)
            self.broken = region in self.broken_in
            receipt = await prove(*asked)
            if self.later is not None:
                self.cloud.containers.failing["home"] = self.later  # type: ignore[attr-defined] # a Willing
            return receipt

        edge = replace(made.edge, prove=proves) if made.edge else None
        return replace(made, prove=proves, edge=edge)

    def _chosen(self, wanted: spec.Spec) -> ResolvedModel:
        return self._known[wanted.cloudrun.region if wanted.cloudrun else FIRST]

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        chosen = self._choose(wanted)

        async def targeted() -> CloudRunTarget:
            return self.target(google_for(self.cloud), chosen, wanted, canary=canary)

        return applied(targeted)

    def _choose(self, wanted: spec.Spec) -> ResolvedModel:
        regions = wanted.edge.regions if wanted.edge else ()
        file = Path("/x/homeport.toml")
        self._known = {
            region: asyncio.run(choose(in_region(wanted, region), file, find_home(), Silent()))
            for region in (FIRST, *regions)
        }
        return self._known[FIRST]

    def rolled_out(self, wanted: spec.Spec) -> None:
        """Deploy it as `homeport up` does: a failure is explained."""
        chosen = self._choose(wanted)

        async def work() -> None:
            target = self.target(google_for(self.cloud), chosen, wanted)
            plan = await make_plan("home", "cloudrun", target.resources(), await unwanted_of(target))
            await CloudRunRollout(target, {}).apply(plan, Silent())

        act(work())

    def planned(self, wanted: spec.Spec) -> Plan:
        """What a user is shown, with facts and warnings."""
        chosen = self._choose(wanted)

        async def work() -> Plan:
            target = await with_room(self.target(google_for(self.cloud), chosen, wanted))
            plan, _ = await plan_of(target)
            return plan

        return act(work())

    def service_in(self, region: str) -> Any:  # Any: JSON
        """The service as it is there; None where there is none."""
        kept = self.cloud.store.get("run", f"projects/rehearsal/locations/{region}/services/home")
        return kept.body if kept else None

    def serving_in(self, region: str) -> str:
        """The revision that has all of the traffic there."""
        (serving,) = [one for one in self.service_in(region)["trafficStatuses"] if one.get("percent")]
        assert serving["percent"] == 100
        return str(serving["revision"])

    def sum_in(self, region: str) -> str:
        """The sum that tells what was asked of the newest revision there; '' for none."""
        return str(self.service_in(region)["template"]["annotations"].get(TEMPLATE, ""))

    def forget_sums(self, *regions: str) -> None:
        """Take the sums from all revisions there, as an older version made them; by default in both regions."""
        for region in regions or (FIRST, SECOND):
            parent = f"projects/rehearsal/locations/{region}/services/home/"
            for kept in self.cloud.store.of("run", "run.projects.locations.services.revisions"):
                if kept.name.startswith(parent):
                    kept.body["annotations"].pop(TEMPLATE, None)

    def take_away(self, region: str, revision: str) -> None:
        """Delete a revision there, as anybody may."""
        name = f"projects/rehearsal/locations/{region}/services/home/revisions/{revision}"
        kept = self.cloud.store.get("run", name)
        assert kept is not None
        self.cloud.forget(kept)

    def lifecycle(self, google: Google, wanted: spec.Spec) -> SeveralRegions:
        """What is asked of both regions."""
        return SeveralRegions(google=google, spec=wanted, spec_file=Path("/x/homeport.toml"), via="")

    def back_by_name(self) -> str:
        """What serves after a way back without the file, as the console goes it."""

        async def work() -> str:
            google = google_for(self.cloud)
            named = spec.Spec.model_validate({"name": "home", "cloudrun": {"region": FIRST}})
            one = CloudRunLifecycle(
                google=google, spec=named, spec_file=Path("/x/homeport.toml"), via="", by_name=True
            )
            return (await one.roll_back(Silent())).serving

        return act(work())

    def back(self, wanted: spec.Spec) -> Rollback:
        """What a way back came to."""

        async def work() -> Rollback:
            return await self.lifecycle(google_for(self.cloud), wanted).roll_back(Silent())

        return act(work())
