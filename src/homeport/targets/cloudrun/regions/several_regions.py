"""An endpoint on Cloud Run in several regions: what `Deployment` asks of it, done in each, one after another."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from typing import Any

from homeport.errors import HomeportError, NotFound, StateError
from homeport.progress import Progress
from homeport.results import Rollback, Status
from homeport.targets.base import OnResult, VerifyOptions
from homeport.targets.cloudrun.logs import logs
from homeport.targets.cloudrun.names import in_region
from homeport.targets.cloudrun.observe.check import ObserveFindings
from homeport.targets.cloudrun.regions.back import roll_back, rollback_preview
from homeport.targets.cloudrun.regions.one_region import CloudRunLifecycle
from homeport.targets.cloudrun.regions.report import (
    check_of,
    checks_in,
    heard_in,
    placed,
    refuse_elsewhere,
    with_region,
)
from homeport.targets.cloudrun.regions.route import ClientsRoute, look_at_route
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.checks import ROUTE, check_names
from homeport.verify import Outcome, Report, Result
from homeport.verify.check import refuse_unknown


@dataclass(frozen=True, kw_only=True)
class SeveralRegions(CloudRunLifecycle):
    """One file's endpoint on Cloud Run, in the region of `[cloudrun]` first, then in those of `edge.regions`."""

    @property
    def places(self) -> tuple[CloudRunLifecycle, ...]:
        """Return the endpoint in each region by itself, in their order."""
        assert self.spec.edge is not None
        own = {field.name: getattr(self, field.name) for field in fields(CloudRunLifecycle)}
        first = CloudRunLifecycle(**own)
        further = (
            replace(first, spec=in_region(self.spec, region), first=self.names.region)
            for region in self.spec.edge.regions
        )
        return (first, *further)

    async def verify(self, options: VerifyOptions, progress: Progress, on_result: OnResult | None) -> Report:
        """
        Return the report of all checks in every region, those of a further one called REGION/NAME, and of the way that clients take.

        A check that is named so is made in that region alone. Raises what the first region that is asked does; in one behind it a service
        that is not there is a check that failed.
        """
        regions = [place.names.region for place in self.places]
        refuse_elsewhere(options.only, regions)
        refuse_unknown([check_of(name) for name in options.only], check_names(self.spec.task))
        report: Report | None = None
        for place in self.places:
            only = checks_in(place.names.region, options.only)
            if options.only and not only:
                continue
            hear = heard_in(place.names.region, on_result) if place.first else on_result
            try:
                there = await place.verify(replace(options, only=only), progress, hear)
            except (NotFound, StateError) as error:
                if report is None:
                    raise
                there = replace(report, results=(_missing(error),), seconds=0.0)
                if hear is not None:
                    hear(there.results[0])
            if place.first:
                renamed = tuple(placed(result, place.names.region) for result in there.results)
                there = replace(there, results=renamed)
            report = there if report is None else with_region(report, there)
        assert report is not None
        return (
            report
            if options.only and ROUTE not in options.only
            else await self._with_route(report, on_result)
        )

    async def _with_route(self, report: Report, on_result: OnResult | None) -> Report:
        assert self.spec.edge is not None
        route = await look_at_route(
            ClientsRoute(
                google=self.google,
                address=self.spec.edge.address,
                behind_iap=bool(self.spec.access.iap),
                via=self.via,
            )
        )
        if on_result is not None:
            on_result(route)
        return replace(report, results=(*report.results, route), seconds=report.seconds + route.seconds)

    async def roll_back(self, progress: Progress) -> Rollback:
        """
        Let in every region serve what the first one served before, one region after another.

        Raises what it raises in one region, before anything is changed; where a region fails then, that what was done before.
        """
        return await roll_back(self.places, progress)

    async def observed(self) -> ObserveFindings:
        """Return what Cloud Monitoring has of it: of what all regions share, and of each further one. Raises what the first region does."""
        first, *further = self.places
        findings = list(await first.observed())
        for place in further:
            findings += await place.observed_in_region()
        return tuple(findings)

    async def status(self, *, usage: bool = True) -> Status:
        """Return what is deployed, with what the way back of all regions comes to. Raises what it raises in one region."""
        # Also where no further region was seen: `rollback` asks each of the file's.
        status = await CloudRunLifecycle.status(self, usage=usage)
        to, unknown, refused = await rollback_preview(self.places)
        return replace(status, rollback_to=to or None, rollback_unknown=unknown, rollback_refused=refused)

    async def logs(self, *, lines: int | None, follow: bool) -> AsyncIterator[str]:
        """Yield the logs of all regions by their time, their last `lines` or all; each says its region."""
        first, *further = (place.names.region for place in self.places)
        log_lines = logs(self.google, first, self.names.name, lines=lines, follow=follow, besides=further)
        async for line in log_lines:
            yield f"{line}\n"

    async def graph(self, progress: Progress, **how: Any) -> CloudRunTarget:  # Any: as the first region's
        first, *further = self.places
        target = await first.graph(progress, **how)
        given = target.token.value if target.token else self.token
        targets = [await self._target_in(replace(place, token=given), progress, how) for place in further]
        tokens = (other.token for other in targets if other.token is not None)
        # The secret is the first region's, whichever needs it.
        return replace(target, further=tuple(targets), token=target.token or next(tokens, None))

    async def _target_in(
        self, place: CloudRunLifecycle, progress: Progress, how: Any
    ) -> CloudRunTarget:  # Any: as above
        region = place.names.region
        try:
            return await place.graph(progress, **{**how, "on_result": heard_in(region, how.get("on_result"))})
        except HomeportError as error:
            error.args = (f"{region}: {error}", *error.args[1:])
            raise


def _missing(error: HomeportError) -> Result:
    return Result(
        name="there",
        title="what the file says serves",
        outcome=Outcome.FAILED,
        detail=str(error),
        seconds=0.0,
        evidence={},
    )


__all__ = ["SeveralRegions"]
