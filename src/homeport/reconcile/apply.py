"""Doing what a plan says, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from homeport.errors import AlreadyExists, Conflict, NotFound
from homeport.progress import Progress
from homeport.reconcile.cancellation import Cancellation
from homeport.reconcile.deletion import remove
from homeport.reconcile.executor import ExecutorStep, HeldBackError, Key, StepKind, walk
from homeport.reconcile.graph import all_needs
from homeport.reconcile.plan import Action, ActionKind, Plan, action_for, not_ours
from homeport.reconcile.plan_check import ensure_within_plan
from homeport.reconcile.progress_lines import Lines
from homeport.reconcile.resource import Live, Outputs, Resource
from homeport.reconcile.summary import summarize

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of applying a plan."""

    outputs: Outputs
    """What is live now, by resource id."""
    seconds: Mapping[str, float]
    """How long each resource took that was touched, by id, in the order in which they were done."""


async def apply(plan: Plan, progress: Progress, halt: Cancellation | None = None) -> Applied:
    """
    Make everything in `plan` so, in parallel as far as its graph allows, and do nothing that is not in it.

    Each resource is read once more just before it is touched. What is as wanted by then is left so; where
    something else would have to be done than the plan said, `PlanStale` is raised and nothing is overwritten.

    After a failure its dependants are left alone, the rest is finished, and the first error is raised. When
    `halt` is asked for, nothing new begins, what is under way is finished, and `Interrupted` is raised if
    anything is left to do. Applying again goes on from there in any case.
    """
    work = _Work(plan, progress, halt or Cancellation())
    ends = await walk(
        list(work.steps()),
        may_begin=lambda key: work.may_begin(key[1]),
        on_error=lambda key, error: work.lines.fail(key[1], str(error)),
    )
    work.lines.fail_rest("deleted, and not yet made again")
    result = summarize(ends, [action.resource for action in plan.pending])
    if result.failed:
        result.tell(progress)
        result.raise_first()
    result.raise_waiting()
    return Applied(outputs=work.outputs, seconds=work.seconds)


class _Work:
    """A plan while it is being applied."""

    def __init__(self, plan: Plan, progress: Progress, halt: Cancellation) -> None:
        self.outputs: dict[str, Live] = {}
        self.seconds: dict[str, float] = {}
        self.lines = Lines(progress)
        self._plan = plan
        self._halt = halt
        self._needs = all_needs(action.resource for action in plan.actions)
        self._kinds = {action.resource.id: action.kind for action in plan.actions}
        self._replaced = {id_ for id_, kind in self._kinds.items() if kind is ActionKind.REPLACE}
        self._early: dict[str, Live] = {}
        self._removed: set[str] = set()
        self._committed: set[str] = set()

    def may_begin(self, id_: str) -> bool:
        """Return True if work on it may begin: after a stop only that without which what was deleted stays away."""
        return not self._halt.requested or id_ in self._committed

    def steps(self) -> Iterator[ExecutorStep]:
        """Return what there is to do, and what waits for what."""
        for action in self._plan.actions:
            id_ = action.resource.id
            first: Key | None = None
            if action.kind is ActionKind.DELETE:
                yield ExecutorStep(
                    key=(StepKind.REMOVE, id_),
                    after=self._before_removal(action.resource),
                    work=partial(self._delete, action),
                )
                continue
            if action.kind is ActionKind.REPLACE:
                first = (StepKind.REMOVE, id_)
                yield ExecutorStep(
                    key=first, after=self._before_removal(action.resource), work=partial(self._clear, action)
                )
            elif action.kind is ActionKind.NONE:
                first = (StepKind.READ, id_)
                yield ExecutorStep(key=first, after=(), work=partial(self._read, action.resource))
            needs = tuple((StepKind.MAKE, need) for need in action.resource.needs)
            yield ExecutorStep(
                key=(StepKind.MAKE, id_),
                after=(first, *needs) if first else needs,
                work=partial(self._make, action),
            )

    def _before_removal(self, resource: Resource) -> tuple[Key, ...]:
        """
        Let what is deleted go after all that needs it and is deleted, too.

        To replace a thing is put off until its needs are there, so that it is not gone when they fail: unless one of
        them is replaced itself and so must wait for this. To delete for good comes last, with the same exception.
        """
        before = [(StepKind.REMOVE, other) for other in self._going_before(resource.id)]
        if self._kinds[resource.id] is ActionKind.REPLACE:
            settled = [need for need in resource.needs if not ({need} | self._needs[need]) & self._replaced]
        elif self._needs[resource.id] & self._replaced or resource.goes_first:
            settled = []
        else:
            settled = [id_ for id_, kind in self._kinds.items() if kind is not ActionKind.DELETE]
        return (*before, *((StepKind.MAKE, id_) for id_ in settled))

    def _going_before(self, id_: str) -> list[str]:
        """Return what needs it and is deleted, too."""
        gone = (ActionKind.REPLACE, ActionKind.DELETE)
        return [other for other, needs in self._needs.items() if id_ in needs and self._kinds[other] in gone]

    def _commit(self, id_: str) -> None:
        """Go on, come a stop, with all without which this cannot be made again."""
        rest = [id_]
        while rest:
            resource_id = rest.pop()
            if resource_id not in self._committed:
                self._committed.add(resource_id)
                rest += [
                    *self._needs[resource_id],
                    *(self._going_before(resource_id) if resource_id in self._replaced else ()),
                ]

    async def _read(self, resource: Resource) -> None:
        self._early[resource.id] = await resource.read()

    async def _make(self, action: Action) -> None:
        resource = action.resource
        live = None
        if resource.id in self._removed:
            action = replace(action, kind=ActionKind.CREATE, changes=())
        elif resource.id in self._early:
            live = self._early.pop(resource.id)
        else:
            live = await resource.read()

        async def do(now: Action, live: Live | None) -> Live:
            if now.kind is ActionKind.NONE:
                return live
            with self._timed(resource, self._kinds[resource.id]) as progress:
                if now.kind is ActionKind.UPDATE:
                    return await resource.update(live, self.outputs, progress)
                if now.kind is ActionKind.REPLACE:
                    await resource.delete(progress)
                return await resource.create(self.outputs, progress)

        self.outputs[resource.id] = await self._meet(action, live, self.outputs, do)
        self.lines.end(resource, self._kinds[resource.id])

    async def _clear(self, action: Action) -> None:
        """Delete what is to be made again."""
        resource = action.resource

        async def do(now: Action, _: Live | None) -> None:
            if now.kind is not ActionKind.REPLACE:
                return
            if not self.may_begin(resource.id):  # Others were held back while this was read.
                raise HeldBackError
            self._commit(resource.id)
            with self._timed(resource, ActionKind.REPLACE) as progress, suppress(NotFound):
                await resource.delete(progress)
            self._removed.add(resource.id)

        await self._meet(action, await resource.read(), {**self._plan.known, **self.outputs}, do)

    async def _meet(
        self,
        action: Action,
        live: Live | None,
        outputs: Outputs,
        do: Callable[[Action, Live | None], Awaitable[Live]],
    ) -> Live:
        """Do what there is to do, if the plan says so; once more where another change came first."""
        for left in reversed(range(_TRIES)):
            try:
                return await do(_now(action, live, outputs), live)
            except (AlreadyExists, Conflict, NotFound) as error:
                live = await action.resource.read()
                if _now(action, live, outputs).kind is ActionKind.NONE:
                    return live
                if not left or not isinstance(error, Conflict):
                    raise
        raise AssertionError

    async def _delete(self, action: Action) -> None:
        resource = action.resource
        live = await resource.read()
        if live is None:
            return
        if not resource.is_managed(live):
            raise not_ours([resource.id])
        with self._timed(resource, ActionKind.DELETE) as progress:
            await remove(resource, progress)
        self.lines.end(resource, ActionKind.DELETE)

    @contextmanager
    def _timed(self, resource: Resource, kind: ActionKind) -> Iterator[Progress]:
        self.lines.begin(resource, kind)
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            yield self.lines.inside(resource)
        finally:
            self.seconds[resource.id] = self.seconds.pop(resource.id, 0.0) + clock() - begun


def _now(planned: Action, live: Live | None, outputs: Outputs) -> Action:
    """
    Return what would have to be done now. Raises `PlanStale` where the plan does not say so, `NotManaged`
    where it is another's.
    """
    resource = planned.resource
    if live is not None and not resource.is_managed(live):
        raise not_ours([resource.id])
    now = action_for(resource, live, outputs)
    ensure_within_plan(planned, now)
    return now
