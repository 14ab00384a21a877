"""Another model, or an earlier one, in the place of what serves on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from homeport.errors import HomeportError, VerificationFailed
from homeport.progress import Progress
from homeport.reconcile import Action, ActionKind, Outputs, Plan, apply
from homeport.reconcile.plan_check import ensure_within_plan
from homeport.resources.local import candidate, endpoint_record
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.spec import with_local
from homeport.targets.base import OnResult
from homeport.targets.local.facts import TakeOverFact
from homeport.targets.local.plan import plan_of
from homeport.targets.local.rollout import LocalRollout, restore, timed
from homeport.targets.local.target import LocalTarget
from homeport.targets.local.verification import check
from homeport.verify import Outcome, Report


class LocalSwap:
    """
    One spec, resolved for this machine, that takes the place of what serves: nothing unverified replaces it.

    `on_result` hears of each check. The engine itself binds its port, and nothing of ours stands before it: so the new one
    is verified on a spare port, ended, and started again on the port, with its weights in the page cache.
    """

    def __init__(self, graph: LocalTarget, on_result: OnResult | None) -> None:
        self._graph = graph
        self._on_result = on_result
        self._turn: TakeOverFact | None = None
        self._report: Report | None = None
        self._proven: EndpointRecord | None = None

    async def plan(self) -> Plan:
        """Return what would be done, and whether the old engine stops before the new one is verified."""
        plan = await plan_of(self._graph)
        if _change_of_engine(plan) is None:
            return plan
        self._turn = turn(self._graph)
        return replace(plan, facts=(*plan.facts, self._turn))

    def ensure_possible(self, plan: Plan) -> None:
        """Raise what an `up` would raise: `NotManaged`, `DiskFull`."""
        LocalRollout(self._graph, verified=True).ensure_possible(plan)

    async def apply(self, plan: Plan, progress: Progress) -> Mapping[str, float]:
        """
        Let the new engine serve, once it is verified or until it turns out not to be.

        Raises `VerificationFailed`, or why the new engine did not start: the old one serves then.
        """
        graph, planned = self._graph, _change_of_engine(plan)
        async with graph.home.lock(graph.spec.endpoint_name, progress):
            before = endpoint_record.load(graph.folder)
            now = _change_of_engine(await plan_of(graph)) if planned else None
            if planned is None or now is None or before is None:
                return await timed(graph, plan, progress)
            ensure_within_plan(planned, now)
            earlier = endpoint_record.verified_before(graph.folder)
            weights = await _fetched(plan, progress)
            if self._turn is None or self._turn.beside is None:
                self._turn = turn(graph)
            progress.note(f"takes over: {self._turn.text}")
            if self._turn.beside:
                await self._prove(weights, before, progress)
                try:
                    return await timed(graph, plan, progress)
                finally:  # Also where Ctrl-C comes in its turn: what serves then is what was proven.
                    self._keep_receipt()
            return await self._in_place(plan, before, earlier, progress)

    async def verify(self, on_result: OnResult | None) -> Report | None:
        """Return the report of what took over; where nothing had to, what `up` would return."""
        return self._report or await LocalRollout(self._graph, verified=True).verify(on_result)

    def timeline(self) -> Mapping[str, float]:
        """Return the seconds of each part of the start of what took over."""
        return LocalRollout(self._graph, verified=True).timeline()

    async def _prove(self, weights: Outputs, before: EndpointRecord, progress: Progress) -> None:
        """Verify the new engine on a spare port. Raises why it did not start, or `VerificationFailed`."""
        graph = self._graph
        name = graph.spec.endpoint_name
        beside = replace(graph, candidate=True, renew_key=False, spec=with_local(graph.spec, port=0))
        stays = f"{before.launch['model']} serves as before"
        try:
            candidate.remove(name, graph.endpoint_folder)
            await beside.process.create(weights, progress)
            self._report = await check(beside, on_result=self._on_result)
        except HomeportError:
            progress.note(f"the new engine failed on its spare port; {stays}")
            raise
        finally:
            self._proven = endpoint_record.load(beside.folder)
            candidate.remove(name, graph.endpoint_folder)
        if not self._report.passed:
            raise _unproven(self._report, stays)

    def _keep_receipt(self) -> None:
        """Give what serves now the receipt of the spare port: it is the same launch of the same weights."""
        now, proven = endpoint_record.load(self._graph.folder), self._proven
        if now is not None and proven is not None and proven.receipt is not None and proven.same_launch(now):
            now.with_receipt(proven.receipt).save(self._graph.folder)

    async def _in_place(
        self, plan: Plan, before: EndpointRecord, earlier: EndpointRecord | None, progress: Progress
    ) -> Mapping[str, float]:
        """
        Start the new engine in the place of the old one, and verify it. Where it fails, cannot be verified or is interrupted, what
        served before is started again; a second Ctrl-C ends that, too.
        """
        try:
            seconds = await timed(self._graph, plan, progress)
            self._report = await check(self._graph, on_result=self._on_result)
        except (HomeportError, asyncio.CancelledError):
            now = endpoint_record.load(self._graph.folder)
            if now is not None and not now.same_launch(before):
                await restore(self._graph, before, earlier, progress)
            raise
        if not self._report.passed:
            await restore(self._graph, before, earlier, progress)
            now = endpoint_record.load(self._graph.folder)
            again = now is not None and now.same_launch(before)
            model = before.launch["model"]
            raise _unproven(
                self._report, f"{model} serves again" if again else f"{model} could not be started again"
            )
        return seconds


async def _fetched(plan: Plan, progress: Progress) -> Outputs:
    """Bring the weights here, while the old engine serves."""
    weights = tuple(action for action in plan.actions if action.resource.kind not in {"process", "candidate"})
    return (await apply(replace(plan, actions=weights), progress)).outputs


def turn(graph: LocalTarget) -> TakeOverFact:
    """Return whether the memory of this machine holds the new engine beside the old one, by the plan's own figures."""
    manifest = graph.store.manifest(graph.weights.source, graph.weights.format) if graph.weights else None
    size = graph.check(manifest)
    if size is None or size.footprint is None:
        if graph.weights is not None and manifest is None:
            return TakeOverFact(beside=None, reason="weights-not-here")
        return TakeOverFact(beside=False, reason="need-not-known")
    needs = size.footprint.needs(graph.spec.engine.parallel)
    if size.place.device.gpu:
        return TakeOverFact(beside=False, reason="gpu-not-known", needs_bytes=needs)
    free = graph.machine.memory_available
    fit = needs <= free
    return TakeOverFact(
        beside=fit, reason="both-fit" if fit else "both-do-not-fit", needs_bytes=needs, free_bytes=free
    )


def _change_of_engine(plan: Plan) -> Action | None:
    """Return the action by which an engine that serves is replaced; None where none is."""
    changes = [action for action in plan.pending if action.resource.kind == "process"]
    if not changes or changes[0].kind is not ActionKind.UPDATE:
        return None
    harmless = {"ready", "supervisor", "file"}
    return None if {change.path for change in changes[0].changes} <= harmless else changes[0]


def _unproven(report: Report, consequence: str) -> VerificationFailed:
    failed = "; ".join(
        f"{result.name}: {result.detail}" for result in report.results if result.outcome is Outcome.FAILED
    )
    return VerificationFailed(
        f"the new engine was not verified, and {consequence}: {failed or 'nothing could be checked'}",
        hint="`homeport logs` shows what the engine that serves wrote",
    )
