"""Doing what a plan says, and undoing it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from homeport.errors import HomeportError
from homeport.progress import Progress
from homeport.reconcile.plan import Kind, Plan, action_for, in_order
from homeport.reconcile.resource import Outputs, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of applying a plan."""

    outputs: Outputs
    """What is live now, by resource id."""
    seconds: Mapping[str, float]
    """How long each resource took that was created or updated, by id, in the order in which they were done."""


class _Skipped(Exception):
    pass


async def apply(plan: Plan, progress: Progress) -> Outcome:
    """
    Make everything in `plan` so, in parallel as far as its graph allows.

    Each resource is read once more just before it is touched, so that what another process has done since
    the plan was made is neither done twice nor undone. After a failure its dependants are left alone, the
    rest is finished, and the first error is raised; applying again goes on from there.
    """
    seconds: dict[str, float] = {}
    outputs: dict[str, Any] = {}
    tasks: dict[str, asyncio.Task[None]] = {}

    async def run(resource: Resource) -> None:
        needed = [tasks[id_] for id_ in resource.needs]
        if needed:
            await asyncio.wait(needed)
        if any(task.cancelled() or task.exception() for task in needed):
            raise _Skipped
        live = await resource.read()
        action = action_for(resource, live, outputs)
        begun = time.monotonic()
        if action.kind is Kind.CREATE:
            live = await resource.create(outputs, progress)
        elif action.kind is Kind.UPDATE:
            live = await resource.update(live, outputs, progress)
        if action.kind is not Kind.NONE:
            seconds[resource.id] = time.monotonic() - begun
        outputs[resource.id] = live

    for resource in in_order(action.resource for action in plan.actions):
        tasks[resource.id] = asyncio.create_task(run(resource), name=resource.id)
    try:
        await asyncio.wait(tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(
            *tasks.values(), return_exceptions=True
        )  # None works on once the lock is let go.
    _raise_first(tasks, progress)
    return Outcome(outputs=outputs, seconds=seconds)


def _raise_first(tasks: dict[str, asyncio.Task[None]], progress: Progress) -> None:
    errors = {id_: task.exception() for id_, task in tasks.items() if not task.cancelled()}
    real = {
        id_: error for id_, error in errors.items() if error is not None and not isinstance(error, _Skipped)
    }
    for id_, error in real.items():
        progress.failed(id_, str(error))
    for error in real.values():
        if not isinstance(error, HomeportError):
            raise error
    for error in real.values():
        raise error


async def destroy(resources: Iterable[Resource], progress: Progress) -> tuple[str, ...]:
    """
    Delete the resources, each before what it needs. Returns what went, in a few words each.

    Every resource is tried, whatever happens to the others; the first error is raised at the end.
    """
    gone: list[str] = []
    errors: list[HomeportError] = []
    for resource in reversed(in_order(resources)):
        try:
            gone += await resource.delete(progress)
        except HomeportError as error:
            progress.failed(resource.id, str(error))
            errors.append(error)
    if errors:
        raise errors[0]
    return tuple(gone)
