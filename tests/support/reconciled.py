"""A small cloud in a dictionary, and things in it: etags, labels, things in use, slow calls, faults, crashes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import looptime
from hypothesis import strategies as st

from homeport.errors import AlreadyExists, Conflict, HomeportError, NotFound
from homeport.progress import Progress, Silent
from homeport.reconcile import (
    ActionKind,
    Applied,
    Change,
    Outputs,
    Plan,
    Ref,
    apply,
    make_plan,
    needs_of,
    resolve,
)
from homeport.reconcile.diff import Rules, differences

_T = TypeVar("_T")
RULES = Rules(immutable=frozenset({"fixed", "birth-of"}))


def act(work: Coroutine[Any, Any, _T]) -> _T:
    """The result of `work`, run on an event loop that jumps over every wait, at once: nobody outside of it is waited for."""
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(start=0.0, noop_cycles=1)) as runner:
        return runner.run(work)


class CrashError(BaseException):
    """The process is gone, as after kill -9."""


@dataclass
class World:
    """What is live, what was done to it, and what is to go wrong."""

    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    """Ids that cannot be changed."""
    lost: set[tuple[str, str]] = field(default_factory=set)
    """Verb and id of calls that are done and then answered with a refusal, as a door that asks twice is."""
    calls: int = 0
    last_call: int | None = None
    """The call at which the process dies, after it was done."""
    serial: int = 0
    most_at_once: int = 0
    _under_way: int = 0

    async def call(self, seconds: float, work: Callable[[], _T]) -> _T:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            await asyncio.sleep(seconds)
            if self.last_call is not None and self.calls >= self.last_call:
                raise CrashError
            self.calls += 1
            result = work()
            if self.last_call is not None and self.calls >= self.last_call:
                raise CrashError
            return result
        finally:
            self._under_way -= 1

    def number(self) -> int:
        self.serial += 1
        return self.serial

    def tamper(self, id_: str, **values: Any) -> None:  # Any: JSON
        """Somebody else changes something by hand."""
        self.live[id_] = {**self.live[id_], **values, "etag": self.number()}


@dataclass(frozen=True, kw_only=True)
class Thing:
    """
    A resource. Live it has what is wanted, an etag, a label, its `birth` (another after each creation) and its
    `version` (another after each update).
    """

    id: str
    world: World = field(repr=False)
    body: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON, with references
    after: tuple[str, ...] = ()
    inside: str = ""
    """The thing that it lives in, and goes with."""
    owner: str = "home"
    read_s: float = 0.0
    write_s: float = 0.0
    reports_own_progress: bool = False
    goes_first: bool = False
    kind: str = "thing"

    @property
    def needs(self) -> tuple[str, ...]:
        return (*needs_of(self.body), *self.after, *((self.inside,) if self.inside else ()))

    async def read(self) -> dict[str, Any] | None:
        return await self.world.call(self.read_s, lambda: self.world.live.get(self.id))

    def is_managed(self, live: dict[str, Any]) -> bool:
        return bool(live["label"] == self.owner)

    def unchanged_after_update(self, live: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in live.items() if key != "version"}

    def diff(self, live: dict[str, Any], outputs: Outputs) -> tuple[Change, ...]:
        return differences(resolve(self.body, outputs), live, rules=RULES)

    def summary(self, outputs: Outputs) -> str:
        return f"thing {self.id}"

    async def create(self, outputs: Outputs, progress: Progress) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self._refuse()
            if self.id in self.world.live:
                raise AlreadyExists(f"{self.id} exists")
            missing = [need for need in self.needs if need not in self.world.live]
            assert not missing, f"{self.id} was made before {missing}"
            number = self.world.number()
            return self._write("+", {"birth": number, "version": number}, outputs)

        return await self.world.call(self.write_s, work)

    async def update(self, live: dict[str, Any], outputs: Outputs, progress: Progress) -> dict[str, Any]:
        def work() -> dict[str, Any]:
            self._refuse()
            if self.id not in self.world.live:
                raise NotFound(f"{self.id} is gone")
            if self.world.live[self.id]["etag"] != live["etag"]:
                raise Conflict(f"{self.id} was changed")
            return self._write("~", {**self.world.live[self.id], "version": self.world.number()}, outputs)

        return await self.world.call(self.write_s, work)

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        def work() -> tuple[str, ...]:
            if self.id not in self.world.live:
                return ()
            self._refuse()
            users = [id_ for id_, live in self.world.live.items() if self.id in live.get("birth-of", {})]
            assert not users, f"{self.id} was deleted before {users}"
            self._take()
            return (self.id,)

        return await self.world.call(self.write_s, work)

    def _take(self) -> None:
        gone = [self.id]
        for taken in gone:
            gone += [id_ for id_, live in self.world.live.items() if live["inside"] == taken]
        for id_ in reversed(gone):
            del self.world.live[id_]
            self.world.log.append(("-", id_))

    def _refuse(self) -> None:
        if self.id in self.world.broken:
            raise HomeportError(f"{self.id} is broken")

    def _write(self, verb: str, live: dict[str, Any], outputs: Outputs) -> dict[str, Any]:
        wanted = resolve(self.body, outputs, final=True)
        more = {"label": self.owner, "inside": self.inside, "etag": self.world.number()}
        self.world.live[self.id] = {**live, **wanted, **more}
        self.world.log.append((verb, self.id))
        if (verb, self.id) in self.world.lost:
            self.world.lost.discard((verb, self.id))
            raise (AlreadyExists if verb == "+" else Conflict)(f"{self.id}: the answer was lost")
        return self.world.live[self.id]


class Listener(Silent):
    """Remembers what was told."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []
        self.notes: list[str] = []

    def started(self, key: str, what: str) -> None:
        self.lines.append(("started", key))

    def finished(self, key: str, what: str) -> None:
        self.lines.append(("finished", key))

    def failed(self, key: str, what: str) -> None:
        self.lines.append(("failed", key))

    def note(self, text: str) -> None:
        self.notes.append(text)


async def planned(things: Iterable[Thing], surplus: Iterable[Thing] = ()) -> Plan:
    return await make_plan("home", "test", things, surplus)


async def converge(things: Iterable[Thing], surplus: Iterable[Thing] = ()) -> Applied:
    """Plan and apply."""
    return await apply(await planned(things, surplus), Silent())


def kinds(things: Iterable[Thing], surplus: Iterable[Thing] = ()) -> dict[str, ActionKind]:
    plan = act(planned(things, surplus))
    return {action.resource.id: action.kind for action in plan.actions}


def chain(world: World, *ids: str, **body: Any) -> list[Thing]:  # Any: JSON
    """Things of which each needs the one before it."""
    return [
        Thing(id=id_, world=world, body=body, after=(ids[index - 1],) if index else ())
        for index, id_ in enumerate(ids)
    ]


_MOST = 8
_NEEDS = [st.sets(st.sampled_from(range(number))) for number in range(1, _MOST)]
_VALUE, _HOW, _SECONDS = (
    st.sampled_from("ab"),
    st.sampled_from(("birth", "version", "after")),
    st.integers(0, 9),
)
"""Made once: what a strategy is gets worked out for each one that is made, and takes longer than a draw."""


@st.composite
def graphs(draw: st.DrawFn, most: int = _MOST, slow: bool = False) -> list[Thing]:
    """Things that need some of those before them, in any order: for their birth or version, or to live in, or just so."""
    world = World()
    things: list[Thing] = []
    for number in range(draw(st.integers(1, most))):
        body: dict[str, Any] = {"value": draw(_VALUE)}
        after: list[str] = []
        for need in sorted(draw(_NEEDS[number - 1])) if number else ():
            how = draw(_HOW)
            if how == "after":
                after.append(f"t{need}")
            else:
                body.setdefault(f"{how}-of", {})[f"t{need}"] = Ref(f"t{need}", how)
        lives_inside: bool = draw(st.booleans())
        inside = after.pop() if after and lives_inside else ""
        seconds = [float(draw(_SECONDS) if slow else 0) for _ in range(2)]
        things.append(
            Thing(
                id=f"t{number}",
                world=world,
                body=body,
                after=tuple(after),
                inside=inside,
                read_s=seconds[0],
                write_s=seconds[1],
            )
        )
    return draw(st.permutations(things))
