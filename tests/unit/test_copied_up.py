"""Tests that begin with a deployment get one of their own: as an `up` leaves it, and shared with no other test."""

from __future__ import annotations

import gc
import hashlib
import io
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import pytest

import deployers
from cloud import things
from deployers import AppliedPlan, Deployer
from edges import WithEdge
from homeport import spec
from homeport.resources.google.traffic import shares

_HASH = type(hashlib.md5(usedforsecurity=False))
_OUTSIDE = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class Counted(Deployer):
    """Counts the `up`s that were really done."""

    ups = 0

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        Counted.ups += 1
        return super().up(wanted, canary=canary)


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployers, "_UPS", type(deployers._UPS)())
    monkeypatch.setattr(Counted, "ups", 0)


def changeable(cloud: Any) -> dict[int, Any]:  # Any: whatever a cloud holds
    """All that a cloud holds and that can be changed, by identity. What it knows of Google's documents belongs to all."""
    found: dict[int, Any] = {}
    todo: list[Any] = [value for name, value in vars(cloud).items() if name != "_checks"]
    seen: set[int] = set()
    while todo:
        value = todo.pop()
        if id(value) in seen or value is cloud or isinstance(value, _OUTSIDE):
            continue
        seen.add(id(value))
        of_dataclass = getattr(type(value), "__dataclass_params__", None)
        frozen = of_dataclass is not None and of_dataclass.frozen
        fields = hasattr(value, "__dict__") or hasattr(value, "__slots__")
        if isinstance(value, dict | list | set | bytearray | io.IOBase | _HASH) or (fields and not frozen):
            found[id(value)] = value
        todo += gc.get_referents(value)
    return {key: value for key, value in found.items() if not isinstance(value, Path)}


def standing(deployer: Deployer) -> dict[str, str]:
    return {f"{one.api}/{one.name}": repr((one.body, one.version)) for one in things(deployer.cloud)}


@pytest.mark.parametrize("engine", ["ollama", "vllm"])
def test_what_is_copied_is_as_up_left_it_and_up_is_done_once(engine: str) -> None:
    first, second = Counted(engine), Counted(engine)
    first.deployed(first.wanted())
    left = standing(first)
    second.deployed(second.wanted())
    assert Counted.ups == 1
    assert standing(second) == left
    assert (second.proven, second.asked) == (first.proven, first.asked) != ([], [])
    plan = second.up(second.wanted()).plan
    assert plan.pending == ()
    _, after = second.up(second.wanted(parallel=2))
    assert after.pending == ()
    assert shares(second.service) != shares(first.service)
    assert standing(first) == left, "what one did to its own, the other does not see"
    second.down(second.wanted(), purge=True)
    assert second.objects == set() != first.objects


def test_no_two_copies_share_what_can_be_changed() -> None:
    first = Counted("ollama")
    first.deployed(first.wanted())
    copies = [Counted("ollama") for _ in range(2)]
    for copy in copies:
        copy.deployed(copy.wanted())
    held = [changeable(one.cloud) for one in (first, *copies)]
    assert all(len(one) > 300 for one in held), "the walk goes through it"
    for at, one in enumerate(held):
        for other in held[at + 1 :]:
            shared = [one[key] for key in one.keys() & other.keys()]
            assert shared == []
    folders = [one.cloud.folder for one in (first, *copies)]
    for copy in copies:
        paths = [path for path in changeable_paths(copy.cloud) if path.is_relative_to(folders[0])]
        assert paths == [], "its bytes are its own"
    files = [sorted(path.stat().st_ino for path in folder.rglob("*") if path.is_file()) for folder in folders]
    assert all(files)
    assert len({inode for one in files for inode in one}) == sum(len(one) for one in files)


def changeable_paths(cloud: Any) -> list[Path]:  # Any: whatever a cloud holds
    """All paths that a cloud holds."""
    found, todo, seen = [], list(vars(cloud).values()), set()
    while todo:
        value = todo.pop()
        if id(value) in seen or value is cloud or isinstance(value, _OUTSIDE):
            continue
        seen.add(id(value))
        if isinstance(value, Path):
            found.append(value)
        else:
            todo += gc.get_referents(value)
    return found


def test_where_anything_was_different_before_up_is_done_anew(tmp_path: Path) -> None:
    def deployed(**changes: Any) -> Counted:  # Any: of either kind
        made = Counted("vllm")
        made.cloud.quotas.update(changes.get("quotas", {}))
        made.proven += changes.get("proven", [])
        made.deployed(made.wanted(**changes.get("engine", {})))
        return made

    deployed()
    deployed(quotas={"MemAllocPerProjectRegion": 80 * 2**30})
    deployed(proven=["another"])
    other = deployed(engine={"parallel": 2})
    assert Counted.ups == 4
    assert other.service["template"]["maxInstanceRequestConcurrency"] == 2
    with_edge = WithEdge("vllm", tmp_path)
    with_edge.deployed(with_edge.wanted())
    assert type(with_edge) in {key[0] for key in deployers._UPS}, (
        "another kind of deployer puts it together in another way"
    )


def test_an_up_that_fails_is_kept_for_nobody() -> None:
    broken = Counted("vllm")
    broken.broken = True
    for _ in range(2):
        with pytest.raises(Exception, match="is not as promised"):
            broken.deployed(broken.wanted())
    assert Counted.ups == 2
    assert not deployers._UPS
