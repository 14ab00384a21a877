"""Several endpoints on one machine: names, ports and memory must go together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from homeport.errors import MemoryTooSmall, SpecError
from homeport.reconcile import Action, ActionKind, Plan, Resource
from homeport.reconcile.fact import Fact
from homeport.targets.local.facts import FitsFact, ListensFact
from homeport.targets.local.together import ensure_together

GIB = 2**30


def plan(
    name: str,
    needs: int | None,
    *,
    port: int | None = None,
    of: Any = "host",
    memory: int = 16,
    free: int | None = 16,
    kind: ActionKind = ActionKind.CREATE,
) -> tuple[Path, Plan]:
    known = needs is not None
    facts: tuple[Fact, ...] = (
        FitsFact(
            fits=True if known else None,
            needs_bytes=needs * GIB if needs is not None else None,
            of=of if known else None,
            memory_bytes=memory * GIB if known else None,
            free_bytes=free * GIB if free is not None and known and of == "host" else None,
        ),
        ListensFact(host="127.0.0.1", port=port),
    )
    process = cast("Resource", SimpleNamespace(kind="process", id=f"process/{name}"))
    action = Action(kind=kind, resource=process, summary="")
    return Path(f"{name}.toml"), Plan(name=name, target="local", actions=(action,), facts=facts)


def test_those_that_have_room_go_together() -> None:
    assert ensure_together(dict([plan("a", 7), plan("b", 8)])) == ()


def test_what_all_take_is_held_against_the_machine() -> None:
    with pytest.raises(MemoryTooSmall) as refused:
        ensure_together(dict([plan("a", 7), plan("b", 6), plan("c", 5)]))
    assert str(refused.value) == (
        "together they want 18.0 GiB (a 7.0 GiB, b 6.0 GiB, c 5.0 GiB), and this machine has 16.0 GiB"
    )


def test_a_gpu_and_the_machines_memory_are_counted_apart() -> None:
    on_gpu = [plan("a", 12, of="gpu", memory=24), plan("b", 11, of="gpu", memory=24), plan("c", 15)]
    assert ensure_together(dict(on_gpu)) == ()
    with pytest.raises(MemoryTooSmall, match=r"together they want 25\.0 GiB .* and the GPU has 24\.0 GiB"):
        ensure_together(dict([plan("a", 13, of="gpu", memory=24), plan("b", 12, of="gpu", memory=24)]))


def test_only_what_starts_is_held_against_what_is_free() -> None:
    (note,) = ensure_together(dict([plan("a", 7, free=10), plan("b", 6, free=10)]))
    assert note.startswith("together they want 13.0 GiB of memory, and 10.0 GiB are free")
    running = plan("a", 7, free=10, kind=ActionKind.NONE)
    assert ensure_together(dict([running, plan("b", 6, free=10)])) == ()


def test_what_nobody_knows_is_told_and_not_taken_for_nothing() -> None:
    assert ensure_together(dict([plan("a", None), plan("b", 6)])) == (
        "what a takes of memory is not known, and not counted with the others",
    )


def test_two_of_one_port_or_name_are_refused_before_any_starts() -> None:
    with pytest.raises(SpecError, match=r"a\.toml and b\.toml have one local\.port, 8383") as refused:
        ensure_together(dict([plan("a", 1, port=8383), plan("b", 1, port=8383)]))
    assert "or 0, which takes any that is free" in refused.value.hint
    (_, one), (_, other) = plan("a", 1), plan("a", 1)
    with pytest.raises(SpecError, match=r"x\.toml and y\.toml have one name, a"):
        ensure_together({Path("x.toml"): one, Path("y.toml"): other})
