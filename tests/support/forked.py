"""A run that is stopped at each of its calls, and there forked, so that one call can go wrong in many ways."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import os
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import looptime

from cloud import AtOnce
from gcp_rehearsal.apis.storage.content import Content
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.state import StoredResource
from homeport.resources.google.traffic import Body, Receipt, is_closed, is_tagged, latest, shares, short
from ways import NAME

MONDAY = 1_796_068_800.0
"""An evening in UTC, days before the warm hours of any file here."""
_LONGEST_S = 900
"""Of a child, in this machine's seconds, before it is taken to be stuck."""


@dataclass(frozen=True)
class Cell:
    """What one fault at one call came to."""

    nth: int
    method: str
    kind: str
    runs: int
    """How many it took; 0 where all of them were not enough."""
    wrong: str
    """What is not as it should be at the end; '' for nothing."""
    by_law: bool = False
    """Whether it was not run, but is the same as another one that was (`as_read`)."""


READ_ALIKE = {"500 after": "500", "dropped after": "dropped", "killed after": "killed", "second": ""}
"""
The ways in which a read goes wrong alike: it changes nothing, so that it is all the same whether it was done when its answer
was lost, and the second of two reads finds what the first one did, as if nothing had gone wrong ('').
"""
_READING = frozenset({"getIamPolicy", "testIamPermissions"})


def is_read(verb: str, method: str) -> bool:
    """
    Return True for a call that only reads. That it changes nothing is looked at each time the calls are counted.

    A manifest is none: a remote repository fetches the image when it is first asked for one.
    """
    reads = verb == "GET" or method.rpartition(".")[2] in _READING
    return reads and not method.startswith("docker.")


def as_read(kind: str, ran: Iterable[Cell], nth: int, method: str) -> Cell | None:
    """
    Return the cell of a read that is the same as one of those that `ran` at that call (`same_as`); None where it must run itself.
    """
    if kind not in READ_ALIKE:
        return None
    if not (alike := READ_ALIKE[kind]):
        return Cell(nth, method, kind, 1, "", by_law=True)
    return same_as(alike, kind, ran, nth, method)


def same_as(alike: str, kind: str, ran: Iterable[Cell], nth: int, method: str) -> Cell:
    """Return the cell of a kind that is the same as another kind's at that call. One whose like is not among those that `ran` is no good one: that fails."""
    same = next((cell for cell in ran if cell.nth == nth and cell.kind == alike), None)
    assert same is not None, f"{kind} of call {nth} is the same as its {alike}, which was not run"
    return Cell(nth, method, kind, same.runs, same.wrong, by_law=True)


class Child:
    """
    A fork of this process for one cell. In the parent it has ended when it is made, and `cell` is what it told; in
    the child `cell` is None.
    """

    def __init__(self, nth: int, method: str, kind: str) -> None:
        self.method, self.kind = method, kind
        self._about = (nth, method, kind)
        assert os.getpid() == _PARENT, "children have no children"
        self.cell: Cell | None = None
        reading, self._writing = os.pipe()
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork where there are threads, such as xdist's own: a child uses none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._pid = os.fork()
        if self._pid:
            os.close(self._writing)
            with os.fdopen(reading, "rb") as pipe:
                told = pipe.read()
            _, status = os.waitpid(self._pid, 0)
            runs, wrong = json.loads(told) if told else (0, f"the child ended with {status}")
            self.cell = Cell(*self._about, runs, wrong)
            return
        signal.alarm(_LONGEST_S)
        gc.disable()
        # The cloud's folder is relative: from now on it is this copy.
        self._folder = tempfile.mkdtemp(dir=Path.cwd().parent)
        shutil.copytree(".", self._folder, dirs_exist_ok=True)
        os.chdir(self._folder)

    def tell(self, runs: int, wrong: str) -> None:
        """Say what came of it."""
        os.write(self._writing, json.dumps((runs, wrong[:4000])).encode())
        self._writing = -1

    def end(self) -> None:
        """End this process, which must not go on as its parent does."""
        try:
            if self._writing >= 0:
                self.tell(0, traceback.format_exc())
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            os._exit(0)


class Killed(BaseException):
    """The run is dead: nothing of it goes on, not even what it would do last."""

    def __init__(self, request: Request, *, after: bool) -> None:
        super().__init__()
        self.request, self.after = request, after


class OfTheLoop(Clock):
    """Time that goes on by the event loop's clock alone: how long this machine has been up is no matter then."""

    def now(self) -> float:
        """The seconds since 1970; outside of a loop those that it was."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._now if self._moment is None else self._moment
        return super().now()


@dataclass(kw_only=True)
class Watched(Cloud):
    """A cloud that can be stopped at each call, and that sees what gets traffic."""

    clock: Clock = field(default_factory=lambda: OfTheLoop(start=MONDAY))
    stops: bool = False
    stopped: tuple[Request, asyncio.Future[Fault | None]] | None = None
    """The call at which it was stopped, and what is awaited."""
    proven: set[str] = field(default_factory=set)
    """Revisions that were verified."""
    early: dict[str, dict[str, None]] = field(default_factory=dict)
    """Of each region's service the revisions that had traffic before they were verified, in that order: the very first has."""
    whole: dict[str, int] = field(default_factory=dict)
    """The most percent of traffic that had somewhere to go, by service."""
    dark: list[str] = field(default_factory=list)
    """Where it went when some of it had nowhere to go any more."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    held_to_reads: bool = False
    """Whether it is looked at that reads change nothing."""

    async def handle(self, request: Request) -> Reply:
        """The answer, with whatever fault was decided on while it was stopped."""
        if self.stops:
            async with self.turn:
                fault = await self._stop_at(request)
            if fault is not None:
                self.faults.append(fault)
        self.clock.settle()
        before = self._state() if self.held_to_reads else {}
        reply = await super().handle(request)
        if before and is_read(request.verb, self.log[-1].method):
            after = self._state()
            changed = sorted(key for key in before | after if before.get(key) != after.get(key))
            assert not changed, f"{self.log[-1].method} is a read, and changed {', '.join(changed)}"
        for service in self.models():
            self._watch(service.name, shares(service.body))
        return reply

    def models(self) -> list[StoredResource]:
        """The services that serve the model, one in each region."""
        every = self.store.of("run", "run.projects.locations.services")
        return [one for one in every if one.name.endswith(f"/services/{NAME}")]

    def _state(self) -> dict[str, str]:
        """All that a read could have changed, by what it is called."""
        files = [(path.name, path.stat()) for path in sorted(self.folder.rglob("*"))]
        return {
            **{
                f"{one.api}/{one.name}": repr((one.version, one.body, _shown(one.hidden)))
                for one in self.store.everything()
            },
            "grants": repr(list(self.access.grants())),
            "enabled APIs": repr(self.enabled),
            "what is due": repr(len(self.clock._due)),
            "quotas": repr((self.quotas, self.quotas_at_first)),
            "names that are reserved": repr(self._reserved),
            "ids that come next": repr(self._random.getstate()),
            "files": repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in files]),
        }

    def _watch(self, service: str, serving: dict[str, int]) -> None:
        early = self.early.setdefault(service, {})
        early |= dict.fromkeys(name for name in serving if name and name not in self.proven)
        self.whole[service] = max(self.whole.get(service, 0), sum(serving.values()))
        if self.whole[service] != sum(serving.values()):
            self.dark.append(f"{service}: {serving}")

    async def _stop_at(self, request: Request) -> Fault | None:
        if (
            not self.stops
        ):  # A child goes on, also with the calls that waited for their turn when it was forked.
            return None
        loop = asyncio.get_running_loop()
        self.stopped = request, loop.create_future()
        loop.stop()
        return await self.stopped[1]

    async def prove(self, service: Body, revision: str, url: str) -> Receipt:
        """Takes a revision to be verified, if that is what answers at the address; through a load balancer a header leads to it."""
        if is_closed(service) and is_tagged(service, revision):
            self.proven.add(revision)
            return Receipt(at=self.clock.text(), passed=True, counts={"passed": 20})
        there = [one for one in service["trafficStatuses"] if one.get("uri") == url]
        behind = {short(one.get("revision", "")) or latest(service) for one in there} or set(shares(service))
        assert behind == {revision}, f"{url} is {behind}, and not {revision}"
        self.proven.add(revision)
        return Receipt(at=self.clock.text(), passed=True, counts={"passed": 20})


def _shown(hidden: object) -> object:
    """What a thing hides: bytes by their digest, another thing by its name, and of a build that runs that it is the same one."""
    match hidden:
        case dict():
            return {key: _shown(value) for key, value in hidden.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown(value) for value in hidden]
        case bytes() | bytearray():
            return hashlib.sha256(hidden).hexdigest()
        case StoredResource():
            return f"{hidden.api}/{hidden.name}"
        case Content() | None | str() | int() | float():
            return str(hidden)
    return f"{type(hidden).__name__} {id(hidden)}"


def drive(
    work: Coroutine[Any, Any, None], cloud: Watched, at_call: Callable[[Request], Fault | None]
) -> None:
    """Run `work` on a clock that jumps, and ask at each call, while everything stands still, how it is to go wrong."""
    loop = looptime.new_event_loop(start=0.0, noop_cycles=1)
    loop.set_default_executor(AtOnce())
    cloud.stops, cloud.turn = True, asyncio.Lock()
    running = loop.create_task(work)
    running.add_done_callback(lambda _: loop.stop())
    try:
        while not running.done():
            loop.run_forever()
            if cloud.stopped is not None:
                (request, going), cloud.stopped = cloud.stopped, None
                fault = at_call(request)
                if not going.done():  # It is, where the call itself was cancelled.
                    going.set_result(fault)
    except Killed:
        _DEAD.append((loop, running))
        raise
    except KeyboardInterrupt:
        _end(loop)
        raise
    loop.close()
    running.result()


def _end(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs, and see it to its end, as `asyncio.run` does."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    while not all(task.done() for task in left):
        loop.call_soon(loop.stop)
        loop.run_forever()
    loop.close()


_PARENT = os.getpid()
_DEAD: list[object] = []
"""What was killed is kept: were it forgotten, it would be closed in good order."""
