"""Steps done at once, as far as one need not wait for another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto


class StepKind(Enum):
    """What a step does for its resource."""

    READ = auto()
    MAKE = auto()
    REMOVE = auto()


Key = tuple[StepKind, str]
"""Which step: its part, and the resource's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorStep:
    """A piece of work, and the steps that must have been done before."""

    key: Key
    after: tuple[Key, ...]
    work: Callable[[], Awaitable[None]]
    ended: tuple[Key, ...] = ()
    """Steps that must have ended before, however they did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How a step ended: it was done, unless one of these is so."""

    error: BaseException | None = None
    blocked_by: Key | None = None
    """The step that was not done, for which it waited."""
    held_back: bool = False
    """It could have begun, and should not."""

    @property
    def done(self) -> bool:
        """Tell whether it was done."""
        return self.error is None and self.blocked_by is None and not self.held_back


class _BlockedError(Exception):
    def __init__(self, by: Key) -> None:
        super().__init__(by)
        self.by = by


class HeldBackError(Exception):
    """Raised by a step that finds, before it has done anything, that it should not begin."""


async def walk(
    steps: Sequence[ExecutorStep],
    may_begin: Callable[[Key], bool],
    on_error: Callable[[Key, BaseException], None],
) -> Mapping[Key, StepResult]:
    """
    Do every step as soon as those before it are done, or have ended where that is enough; how each ended, in the
    order in which they did.

    A step that fails stops those that come after it and no others. `may_begin` is asked when a step could
    begin; `on_error` is told of a failure at once. Cancelled, it cancels all and waits until they have ended.
    """
    tasks: dict[Key, asyncio.Task[None]] = {}
    ended: list[Key] = []

    async def run(step: ExecutorStep) -> None:
        try:
            await _come_to(step, tasks, may_begin)
            await step.work()
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError | _BlockedError | HeldBackError):
                on_error(step.key, error)
            raise
        finally:
            ended.append(step.key)

    for step in steps:
        tasks[step.key] = asyncio.create_task(run(step), name=f"{step.key[0].name.lower()} {step.key[1]}")
    try:
        if tasks:
            await asyncio.wait(tasks.values())
    finally:
        for task in tasks.values():
            task.cancel()
        # Nothing works on once the caller lets go of its lock.
        await asyncio.gather(*tasks.values(), return_exceptions=True)
    return {key: _end(tasks[key]) for key in ended}


async def _come_to(
    step: ExecutorStep, tasks: Mapping[Key, asyncio.Task[None]], may_begin: Callable[[Key], bool]
) -> None:
    """Wait until the step can begin."""
    before = [tasks[key] for key in step.after]
    if before or step.ended:
        await asyncio.wait([*before, *(tasks[key] for key in step.ended)])
    for key, task in zip(step.after, before, strict=True):
        if task.cancelled() or task.exception() is not None:
            raise _BlockedError(key)
    if not may_begin(step.key):
        raise HeldBackError


def _end(task: asyncio.Task[None]) -> StepResult:
    if task.cancelled():  # By itself: had we been cancelled, nobody would ask.
        return StepResult(error=asyncio.CancelledError(task.get_name()))
    error = task.exception()
    if isinstance(error, _BlockedError):
        return StepResult(blocked_by=error.by)
    return StepResult(held_back=True) if isinstance(error, HeldBackError) else StepResult(error=error)
