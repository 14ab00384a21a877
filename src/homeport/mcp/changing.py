"""
The tools that change something: without `confirm` they return the plan and touch nothing; with it they apply that plan.

What is applied is planned again and compared; while it is applied, every step is compared with that plan once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import Field

from homeport.errors import ApprovalDeclined, NotFound, StateError
from homeport.json_types import JsonObject
from homeport.mcp.calls import Call, answered
from homeport.mcp.confirmation import Confirmation
from homeport.mcp.reading import File, Name, On
from homeport.mcp.scope import Scope
from homeport.mcp.shapes import ChangedShape
from homeport.progress import Progress
from homeport.reconcile import Plan
from homeport.results import UpResult
from homeport.spec import Spec
from homeport.targets import registry
from homeport.targets.base import Capability

Confirm = Annotated[
    str | None,
    Field(
        description="The `confirm` of the plan that the user agreed to; without it nothing is changed",
        max_length=128,
    ),
]
_DEFAULT = "homeport.toml"
_DECISIVE = ("name", "target", "actions", "problems")


class _Json(Protocol):
    def as_json(self) -> JsonObject: ...


class ChangingTools:
    """homeport's verbs that change something, for files in one folder."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._confirmation = Confirmation()

    async def up(
        self, call: Call, file: File = _DEFAULT, on: On = registry.DEFAULT, confirm: Confirm = None
    ) -> ChangedShape:
        """Make the endpoint what the file says, and prove that it works. Call it without `confirm` first."""

        async def work(progress: Progress) -> JsonObject:
            async with self._scope.opened(file, on) as deployment:
                spec = deployment.target.spec
                if confirm is None:
                    return self._proposal("up", spec, await deployment.plan(progress=progress))
                result = await deployment.up(
                    on_plan=lambda plan: self._ensure("up", spec, plan, confirm),
                    progress=progress,
                    on_result=lambda r: progress.note(f"{r.name}: {r.outcome}"),
                )
                return _done(result)

        return await answered(call, ChangedShape, work)

    async def swap(
        self,
        call: Call,
        model: Annotated[str, Field(description="A name of the catalog, or hf:ORG/NAME", max_length=1024)],
        file: File = _DEFAULT,
        on: On = registry.DEFAULT,
        confirm: Confirm = None,
    ) -> ChangedShape:
        """Serve another model, verified before it takes over; the file stays as it is. Call it without `confirm` first."""

        async def work(progress: Progress) -> JsonObject:
            named = self._scope.model(model) or ""
            async with self._scope.opened(file, on) as deployment:
                verb, spec = f"swap to {named}", deployment.target.spec
                if confirm is None:
                    return self._proposal(verb, spec, await deployment.plan(model=named, progress=progress))
                result = await deployment.swap(
                    named,
                    on_plan=lambda plan: self._ensure(verb, spec, plan, confirm),
                    progress=progress,
                    on_result=lambda r: progress.note(f"{r.name}: {r.outcome}"),
                )
                done = _done(result)
                if named != spec.model:
                    still = f"{file} still names {spec.model}: `up` would serve that again; write model = {named!r}"
                    done["note"] = "; ".join(filter(None, (done.get("note", ""), still)))
                return done

        return await answered(call, ChangedShape, work)

    async def rollback(
        self, call: Call, file: File = _DEFAULT, on: On = registry.DEFAULT, confirm: Confirm = None
    ) -> ChangedShape:
        """Let what was verified before serve again: a revision, or here the last model. Call it without `confirm` first."""

        async def work(progress: Progress) -> JsonObject:
            async with self._scope.opened(file, on) as deployment:
                deployment.require({Capability.ROLLBACK: True})
                now = await deployment.status(usage=False)
                if now.rollback_refused:
                    raise StateError(
                        now.rollback_refused, hint="`homeport up` makes a revision that can serve"
                    )
                if now.rollback_unknown:
                    raise StateError(
                        f"what would serve again is not known: {now.rollback_unknown}",
                        hint="call `rollback` again once it can be read; `homeport rollback` says more",
                    )
                if now.rollback_to is None:
                    raise NotFound(
                        f"nothing of {now.name} was verified before what serves now",
                        hint="`swap` and `up` keep what was verified before, once there is something",
                    )
                receipts = {name: dict(receipt) for name, receipt in (now.receipts or {}).items()}
                plan = {
                    "name": now.name,
                    "target": now.target,
                    "serving": dict(now.traffic or {}),
                    "regions": {one.region: dict(one.traffic) for one in now.regions},
                    "verified": receipts,
                    "model": now.model,
                    "does": f"{now.rollback_to} serves again",
                }
                if confirm is None:
                    return _proposed(plan, self._confirmation.of("rollback", plan))
                self._confirmation.ensure("rollback", plan, confirm)
                result = await deployment.rollback(progress=progress)
                return {"applied": True, "confirm": None, "plan": plan, "result": result.as_json()}

        return await answered(call, ChangedShape, work)

    async def down(
        self,
        call: Call,
        name: Name = None,
        file: File = _DEFAULT,
        on: On = registry.DEFAULT,
        confirm: Confirm = None,
    ) -> ChangedShape:
        """End an endpoint, with all its processes or all that carries its mark. Weights stay. Call it without `confirm` first."""

        async def work(progress: Progress) -> JsonObject:
            async with self._scope.selected(name, file, on, by_name=True) as deployment:
                verb = f"down {deployment.target.name}"
                confirmed = confirm or ""
                approval = _PlanGate(
                    (lambda would_go: self._confirmation.ensure(verb, would_go.as_json(), confirmed))
                    if confirm is not None
                    else None
                )
                try:
                    removal = await deployment.down(approve=approval, progress=progress)
                except ApprovalDeclined:
                    if approval.plan is None or confirm is not None:
                        raise
                    plan = approval.plan.as_json()
                    return _proposed(plan, self._confirmation.of(verb, plan))
                if approval.plan is None:
                    note = f"nothing of {removal.name} is there; nothing to remove"
                    return {"applied": False, "confirm": None, "plan": {}, "result": None, "note": note}
                return _applied(approval.plan, removal)

        return await answered(call, ChangedShape, work)

    def _ensure(self, verb: str, spec: Spec, plan: Plan, confirm: str) -> None:
        self._confirmation.ensure(verb, _decisive(spec, plan), confirm)

    def _proposal(self, verb: str, spec: Spec, plan: Plan) -> JsonObject:
        return _proposed(plan.as_json(), self._confirmation.of(verb, _decisive(spec, plan)))


def _proposed(plan: JsonObject, confirm: str) -> JsonObject:
    note = "nothing was changed; show the user this plan, and pass `confirm` once they agree"
    return {"applied": False, "confirm": confirm, "plan": plan, "result": None, "note": note}


def _decisive(spec: Spec, plan: Plan) -> JsonObject:
    """Return what of a plan is applied: the spec and every step. Its facts tell of free memory, too, which moves by itself."""
    document = plan.as_json()
    return {"spec": spec.model_dump(mode="json"), **{key: document[key] for key in _DECISIVE}}


class _PlanGate:
    """Keeps what it is asked to approve: says yes where that is what was confirmed, and no where nothing was."""

    def __init__(self, ensure: Callable[[_Json], None] | None) -> None:
        self.plan: _Json | None = None
        self._ensure = ensure

    def __call__(self, plan: _Json) -> bool:
        self.plan = plan
        if self._ensure is None:
            return False
        self._ensure(plan)
        return True


def _done(result: UpResult) -> JsonObject:
    """Return what came of an `up`; where nothing had to be done, it was not applied, but verified anew."""
    if result.changed:
        return _applied(result.plan, result)
    note = "nothing was to be done: it is as the file says, and was verified again"
    return {**_applied(result.plan, result), "applied": False, "note": note}


def _applied(plan: _Json, result: _Json) -> JsonObject:
    return {"applied": True, "confirm": None, "plan": plan.as_json(), "result": result.as_json()}
