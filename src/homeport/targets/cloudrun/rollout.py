"""A change of an endpoint on Cloud Run while it is planned and applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from homeport.errors import ApiDisabled, HomeportError, NotFound, OperationFailed
from homeport.progress import Progress
from homeport.reconcile import Cancellation, Plan, apply, patient
from homeport.resources.google.traffic import shares
from homeport.targets.base import OnResult
from homeport.targets.cloudrun.diagnosis import cause
from homeport.targets.cloudrun.findings import findings_of
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import Findings
from homeport.targets.cloudrun.regions.report import merged
from homeport.targets.cloudrun.startup_cache.room import with_room
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.verify import Report


async def serving_in(target: CloudRunTarget) -> str:
    """Return in words what serves in the region of a target; that it is not known, where it could not be read."""
    region = target.names.region
    try:
        service = await target.google.get("run", f"v2/{target.names.service}")
    except (NotFound, ApiDisabled):
        return f"{region} serves nothing yet"
    except HomeportError as error:
        return f"what {region} serves could not be read ({error})"
    percents = shares(service)
    who = " and ".join(f"{name} ({percent} %)" for name, percent in percents.items())
    return f"{region} serves by {who}" if who else f"{region} serves nothing yet"


class CloudRunRollout:
    """
    One spec, resolved for Cloud Run: what `Deployment.up` plans and applies.

    `reports` is filled with those of the revisions that are released while the plan is applied, by their regions.
    """

    def __init__(self, graph: CloudRunTarget, reports: dict[str, Report]) -> None:
        self._graph = graph
        self._reports = reports
        self._findings: Findings | None = None

    async def plan(self) -> Plan:
        """Return what `up` would do, with what preflight found. Reads only."""
        self._graph = await with_room(self._graph)
        plan, self._findings = await plan_of(self._graph)
        return replace(plan, preflight=self._findings.as_json())

    def ensure_possible(self, plan: Plan) -> None:
        """Raise what preflight found in the way, all of it at once, where there is anything to do."""
        if plan.pending and self._findings is not None:
            self._findings.stop()

    async def apply(self, plan: Plan, progress: Progress) -> Mapping[str, float]:
        """Make what is missing, verify a new revision without traffic, then let it serve."""
        try:
            async with patient(progress) as cancellation:
                changed = await self._look_again(plan, progress, cancellation)
                return {**changed, **(await apply(plan, progress, cancellation)).seconds}
        except OperationFailed as error:
            explained = await self._explained(error)
            await self._tell_regions(explained)
            raise explained from error
        except HomeportError as error:
            await self._tell_regions(error)
            raise

    async def _explained(self, error: OperationFailed) -> HomeportError:
        """Return what a failure comes from, by the first region whose service tells it; `error` itself where none does."""
        for target in (self._graph, *self._graph.further):
            explained = await cause(target.google, target.names.service, error, target.chosen.engine)
            if explained is not error:
                if self._graph.further:
                    explained.args = (f"{target.names.region}: {explained}", *explained.args[1:])
                return explained
        return error

    async def _tell_regions(self, error: HomeportError) -> None:
        """Add to an error what serves in each region, where there are several: those behind the one that failed are as they were."""
        if not self._graph.further:
            return
        served = [await serving_in(target) for target in (self._graph, *self._graph.further)]
        error.hint = "; ".join(text for text in (f"now: {', '.join(served)}", error.hint) if text)

    async def verify(self, on_result: OnResult | None) -> Report | None:
        """Return the report of the released revision of each region, which was verified before it had traffic."""
        return merged(self._reports, self._graph.names.region)

    def timeline(self) -> Mapping[str, float]:
        """Return nothing: how long each resource took is what `apply` returns."""
        return {}

    async def _look_again(
        self, plan: Plan, progress: Progress, cancellation: Cancellation
    ) -> Mapping[str, float]:
        """Enable the APIs of a new project before the rest, since they cost nothing and nothing can be seen without them.

        Raises what stands in the way, before anything else is made.
        """
        apis = tuple(action for action in plan.pending if action.resource.id == "apis")
        if not apis or self._findings is None or not self._findings.unchecked:
            return {}
        changed = (await apply(replace(plan, actions=apis), progress, cancellation)).seconds
        (await findings_of(self._graph)).stop()
        return changed
