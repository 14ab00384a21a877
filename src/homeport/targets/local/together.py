"""Several endpoints on this machine at once: whether their names, ports and memory go together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from homeport.engines.footprint import gib
from homeport.errors import MemoryTooSmall, SpecError
from homeport.reconcile import ActionKind, Plan
from homeport.reconcile.fact import Fact
from homeport.targets.local.facts import FitsFact, ListensFact

_Fact = TypeVar("_Fact", bound=Fact)


def ensure_together(plans: Mapping[Path, Plan]) -> tuple[str, ...]:
    """
    Return what to know before they are brought up one after the other; nothing where all is known and well.

    Raises `SpecError` where two have one name or one port, `MemoryTooSmall` where the machine, or its GPU, does not hold
    what all of them take.
    """
    _ensure_apart("name", [(file, plan.name) for file, plan in plans.items()])
    listens = [(file, fact.port) for file, plan in plans.items() for fact in _of(plan, ListensFact)]
    _ensure_apart("local.port", [(file, f"{port}") for file, port in listens if port is not None])
    sizes = {plan.name: fact for plan in plans.values() for fact in _of(plan, FitsFact)}
    for place in ("gpu", "host"):
        _ensure_room({name: fact for name, fact in sizes.items() if fact.of == place})
    notes = [
        f"what {name} takes of memory is not known, and not counted with the others"
        for name, fact in sizes.items()
        if fact.needs_bytes is None
    ]
    return (*notes, *_short_of_free(plans, sizes))


def _of(plan: Plan, kind: type[_Fact]) -> list[_Fact]:
    return [fact for fact in plan.facts if isinstance(fact, kind)]


def _ensure_apart(key: str, settings: Sequence[tuple[Path, str]]) -> None:
    twice = [value for value, count in Counter(value for _, value in settings).items() if count > 1]
    if twice:
        files = " and ".join(str(file) for file, value in settings if value == twice[0])
        free = ", or 0, which takes any that is free" if key == "local.port" else ""
        raise SpecError(f"{files} have one {key}, {twice[0]}", hint=f"give each its own{free}")


def _ensure_room(sizes: Mapping[str, FitsFact]) -> None:
    needs = {name: fact.needs_bytes or 0 for name, fact in sizes.items()}
    most = max((fact.memory_bytes or 0 for fact in sizes.values()), default=0)
    if sum(needs.values()) > most:
        each = ", ".join(f"{name} {gib(size)}" for name, size in needs.items())
        where = "the GPU" if any(fact.of == "gpu" for fact in sizes.values()) else "this machine"
        raise MemoryTooSmall(
            f"together they want {gib(sum(needs.values()))} ({each}), and {where} has {gib(most)}",
            hint="make engine.context or engine.parallel of one smaller, take smaller weights, or bring up fewer",
        )


def _short_of_free(plans: Mapping[Path, Plan], sizes: Mapping[str, FitsFact]) -> tuple[str, ...]:
    starting = [
        sizes[plan.name]
        for plan in plans.values()
        if plan.name in sizes and any(_starts(action.kind, action.resource.kind) for action in plan.actions)
    ]
    needed = sum(fact.needs_bytes or 0 for fact in starting if fact.of == "host")
    free = min((fact.free_bytes for fact in starting if fact.free_bytes is not None), default=None)
    if free is None or needed <= free:
        return ()
    return (
        f"together they want {gib(needed)} of memory, and {gib(free)} are free: the machine may swap, or end a process",
    )


def _starts(kind: ActionKind, resource: str) -> bool:
    return kind is ActionKind.CREATE and resource == "process"
