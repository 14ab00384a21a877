"""A change of an endpoint on this machine while it is planned and applied."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.errors import HomeportError
from homeport.progress import Progress
from homeport.reconcile import Applied, Plan, apply
from homeport.resources.local import endpoint_record
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.spec import parse, with_local
from homeport.targets.base import OnResult
from homeport.targets.local.plan import plan_of
from homeport.targets.local.room import no_disk
from homeport.targets.local.target import LocalTarget

if TYPE_CHECKING:
    from homeport.verify import Report


@dataclass(frozen=True, slots=True)
class LocalRollout:
    """One spec, resolved for this machine: what `Deployment.up` plans and applies."""

    graph: LocalTarget
    verified: bool
    """Whether what was changed is to be verified."""

    async def plan(self) -> Plan:
        """Return what `up` would do. Raises what `up` would raise at once."""
        return await plan_of(self.graph)

    def ensure_possible(self, plan: Plan) -> None:
        """
        Raise `NotManaged` where another file owns the endpoint, `DiskFull` where the weights have no room. All else that could
        be refused was refused when it was planned.
        """
        self.graph.ensure_owner()
        if full := no_disk(self.graph.all_weights):
            raise full

    async def apply(self, plan: Plan, progress: Progress) -> Mapping[str, float]:
        """Apply the plan; where that fails and took an endpoint down that served, start that one again."""
        async with self.graph.home.lock(self.graph.spec.endpoint_name, progress):
            return await timed(self.graph, plan, progress)

    async def verify(self, on_result: OnResult | None) -> Report | None:
        """Return the report of what runs now; None where its last verification holds or none is wanted."""
        remembered = endpoint_record.load(self.graph.folder)
        holds = remembered is not None and remembered.receipt and remembered.receipt["passed"]
        if not self.verified or holds:
            return None
        from homeport.targets.local.verification import check

        return await check(self.graph, on_result=on_result)

    def timeline(self) -> Mapping[str, float]:
        """Return the seconds of each part of the engine's last start."""
        remembered = endpoint_record.load(self.graph.folder)
        return remembered.timeline if remembered is not None else {}


async def timed(graph: LocalTarget, plan: Plan, progress: Progress) -> Mapping[str, float]:
    """
    Apply the plan; where that fails and took an endpoint down that served, start that one again. The caller holds the lock.

    Returns the seconds that each resource took.
    """
    seconds = (await _apply_or_restore(graph, plan, progress)).seconds
    if graph.process.id in seconds:
        _add_fetch(graph.folder, seconds)
    return seconds


async def _apply_or_restore(graph: LocalTarget, plan: Plan, progress: Progress) -> Applied:
    before, earlier = endpoint_record.load(graph.folder), endpoint_record.verified_before(graph.folder)
    try:
        return await apply(plan, progress)
    except (HomeportError, asyncio.CancelledError):
        if before is not None and before.was_ready and endpoint_record.load(graph.folder) is None:
            await restore(graph, before, earlier, progress)
        raise


async def restore(
    graph: LocalTarget, before: EndpointRecord, earlier: EndpointRecord | None, progress: Progress
) -> None:
    """Start what served `before` again, with its receipt; `earlier` is again what `rollback` returns to."""
    old = replace(
        graph,
        spec=with_local(parse(before.spec, where=f"the record of {before.name}"), port=before.launch["port"]),
        spec_file=Path(before.spec_file),
        take_over=True,
        renew_key=False,
    )
    progress.note("the change failed: what served before is started again")
    try:
        await apply(await plan_of(old), progress)
    except HomeportError as error:
        progress.note(f"and that failed, too: {error}")
        return
    now = endpoint_record.load(graph.folder)
    if now is not None and now.same_launch(before):
        replace(now, receipt=before.receipt, spec=before.spec).save(graph.folder)
    if earlier is not None:
        endpoint_record.keep_verified(earlier, graph.folder)
    else:
        endpoint_record.forget_verified(graph.folder)


def _add_fetch(folder: Path, seconds: Mapping[str, float]) -> None:
    """Let the start's timeline begin with the fetch of the weights, which is none where they were here."""
    remembered = endpoint_record.load(folder)
    if remembered is not None:
        fetch = sum(took for id_, took in seconds.items() if id_.startswith("weights/"))
        replace(remembered, timeline={"fetch": round(fetch, 3), **remembered.timeline}).save(folder)
