"""Undoing what was applied."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from homeport.errors import HomeportError
from homeport.progress import Progress
from homeport.reconcile.cancellation import Cancellation
from homeport.reconcile.deletion import read_at_once, remove
from homeport.reconcile.executor import ExecutorStep, Key, StepKind, walk
from homeport.reconcile.graph import all_needs, in_order_among_themselves
from homeport.reconcile.plan import ActionKind
from homeport.reconcile.progress_lines import Lines
from homeport.reconcile.resource import Resource
from homeport.reconcile.shared_reads import read_together
from homeport.reconcile.summary import summarize


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """What came of it. Nothing is left where both `left` and `errors` are empty."""

    gone: tuple[str, ...]
    """What went, in a few words each, in that order."""
    left: tuple[str, ...]
    """Ids of what homeport made and that is still there, read after all was done."""
    errors: tuple[HomeportError, ...]
    """Why, the first first; also of what could not be read at the end."""


async def destroy(
    resources: Iterable[Resource],
    progress: Progress,
    halt: Cancellation | None = None,
    *,
    loose: Collection[str] = (),
) -> Destroyed:
    """
    Delete what homeport made of `resources`, each before what it needs, in parallel as far as that allows.

    Every resource is tried, whatever happens to the others, but what is still needed by something that could
    not be deleted is left, unless that is among the `loose`, by id: these are tried first, and hold nothing up. What
    homeport did not make is left, too, and told. Needs outside of `resources` stay as they are. Raises `Interrupted`
    when `halt` was asked for and something was not begun.
    """
    order = list(reversed(in_order_among_themselves(resources)))
    lines, halt = Lines(progress), halt or Cancellation()
    gone: list[str] = []

    async def work(resource: Resource) -> None:
        live = await read_at_once(resource)
        if live is not None and not resource.is_managed(live):
            progress.note(f"{resource.id} stays: homeport did not make it")
            return
        if live is not None:
            lines.begin(resource, ActionKind.DELETE)
        gone.extend(await remove(resource, lines.inside(resource)))
        lines.end(resource, ActionKind.DELETE)

    ends = await walk(
        _steps(order, work, loose),
        may_begin=lambda _: not halt.requested,
        on_error=lambda key, error: lines.fail(key[1], str(error)),
    )
    result = summarize(ends, order)
    for id_, why in result.skipped.items():
        progress.note(f"{id_} is left: {why}, which is still there")
    if result.mistake is not None:
        result.raise_first()
    for id_, error in result.failed.items() if result.waiting else ():
        progress.note(f"{id_}: {error}")
    result.raise_waiting()
    left, unread = await _look_again(order)
    errors = [error for error in result.failed.values() if isinstance(error, HomeportError)]
    return Destroyed(gone=tuple(gone), left=left, errors=(*errors, *unread))


def _steps(
    order: Sequence[Resource], work: Callable[[Resource], Awaitable[None]], loose: Collection[str]
) -> list[ExecutorStep]:
    """Return a step for each, after those of what needs it: once these are done or, of the loose, have ended."""
    needs = all_needs(order)

    def before(resource: Resource, *, are_loose: bool) -> tuple[Key, ...]:
        users = (other.id for other in order if resource.id in needs[other.id])
        return tuple((StepKind.REMOVE, id_) for id_ in users if (id_ in loose) == are_loose)

    return [
        ExecutorStep(
            key=(StepKind.REMOVE, resource.id),
            after=before(resource, are_loose=False),
            ended=before(resource, are_loose=True),
            work=partial(work, resource),
        )
        for resource in order
    ]


async def _look_again(resources: Sequence[Resource]) -> tuple[tuple[str, ...], list[HomeportError]]:
    """Return the ids of what is live and ours, and why others could not be read."""
    lives = await read_together(map(read_at_once, resources))
    left, errors = [], []
    for resource, live in zip(resources, lives, strict=True):
        if isinstance(live, HomeportError):
            errors.append(live)
        elif isinstance(live, BaseException):
            raise live
        elif live is not None and resource.is_managed(live):
            left.append(resource.id)
    return tuple(left), errors
