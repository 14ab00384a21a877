"""
An endpoint is made, changed or unmade while one call goes wrong: every call, in every way that calls do.

A run that nothing disturbs is stopped at each of its calls. There the process forks, once for each way to go wrong: the
child goes on with its own copy of the cloud and of the run, and what came before is not done again.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import re
import shutil
import signal
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import looptime

from cloud import AtOnce, Raw, act, enable, things
from homeport.deployed import Deployment
from homeport.errors import HomeportError
from homeport.google import Google, Settings
from homeport.google.credentials import given
from homeport.google.discovery import find
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.rehearsal.call import Reply, Request
from homeport.rehearsal.cloud import OWNER, Cloud, Delays
from homeport.rehearsal.faults import Fault
from homeport.rehearsal.transport import Rehearsed
from homeport.resources.traffic import Body, Receipt, latest, receipts, shares, short
from ways import NAME, PROJECT, REGION, SPEC_FILE, Carrying, Wanted, Way, later, wanted

DELAYS = Delays(grants=10, accounts=2, apis=1.5, operations=0.2)
PATIENCE = Settings(deadline=60, attempt=10)
FAULTS: dict[str, Fault] = {
    "429": Fault(status=429),
    "500": Fault(status=500),
    "500 after": Fault(status=500, after=True),
    "503": Fault(status=503),
    "dropped": Fault(drop=True),
    "dropped after": Fault(drop=True, after=True),
    "late": Fault(delay=30, after=True),
}
"""The answer that is late comes when the client has long given it up; all has been done by then."""
KILLS = {"killed": False, "killed after": True}
KINDS = (*FAULTS, *KILLS)
Work = Literal["up", "change", "down"]
"""What is made; changed once it is made; unmade once it is made."""
RUNS = 3
"""The first, and two more."""
SERVICE = f"projects/{PROJECT}/locations/{REGION}/services/{NAME}"
_SOON_S = 600
"""Until whatever a dead run has begun has come to its end."""
_LONGEST_S = 120
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


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is done, and to what."""

    work: Work
    first: Wanted
    then: Wanted

    @property
    def wanted(self) -> Wanted:
        """What there shall be in the end."""
        return self.then if self.work == "change" else self.first

    def once(self, cloud: Watched) -> Coroutine[Any, Any, None]:
        """One run of it."""
        return _down(cloud, self.first) if self.work == "down" else _up(cloud, self.wanted)


def task(way: Way, work: Work, folder: Path) -> Task:
    """One of the six. `folder` is for weights of this machine."""
    first = wanted(way, folder)
    return Task(work=work, first=first, then=later(first))


def cells(task: Task, *, part: int = 0, of: int = 1, sample: bool = False) -> list[Cell]:
    """
    What came of every `of`-th call of a run, from the one after `part` on, in every kind.

    A sample takes every call, too, but each in no more kinds than it takes for every method to meet every kind.
    """
    matrix = _Matrix(task, part=part, of=of, sample=sample)
    try:
        matrix.run()
    finally:
        if matrix.child is not None:
            matrix.child.end()
    return matrix.cells


class _Matrix:
    """The cells of one run."""

    def __init__(self, task: Task, *, part: int, of: int, sample: bool) -> None:
        self.cells: list[Cell] = []
        self.child: _Child | None = None
        """What this process is, where it is a child."""
        self._task, self._part, self._of, self._sample = task, part, of, sample
        self._should, self._total = _undisturbed(task)
        self._seen: Counter[str] = Counter()
        self._cloud = _before(task)
        self._users = _of_users(self._cloud)

    def run(self) -> None:
        """Come by all calls. A child does not return."""
        why, dead = "", None
        try:
            drive(self._task.once(self._cloud), self._cloud, self._at_call)
        except HomeportError as error:
            why = _told(error)
        except Killed as killed:
            why, dead = "killed", killed
        if self.child is None:
            assert not why
            assert self._seen == self._total, "the run is the one whose calls were counted"
            return
        if dead is not None and dead.after:
            act(self._cloud.handle(dead.request))
        self.child.tell(*self._outcome(why))

    def _outcome(self, why: str) -> tuple[int, str]:
        runs = 1
        while why and runs < RUNS:
            runs, why = runs + 1, ""
            try:
                act(self._task.once(self._cloud))
            except HomeportError as error:
                why = _told(error)
        if why:
            return 0, why
        wrong = self._should.against(_found(self._task, self._cloud))
        touched = [name for name, body in _of_users(self._cloud).items() if self._users.get(name) != body]
        return runs, "; ".join([*wrong, *(f"touched: {name}" for name in touched)])

    def _at_call(self, request: Request) -> Fault | None:
        found = find(request.host, request.verb, request.path)
        assert found is not None
        method = found.method.id
        self._seen[method] += 1
        nth = self._seen.total()
        for kind in self._kinds(method) if nth % self._of == self._part else ():
            child = _Child(nth, method, kind)
            if child.cell is not None:
                self.cells.append(child.cell)
                continue
            self.child, self._cloud.stops = child, False
            if kind in KILLS:
                raise Killed(request, after=KILLS[kind])
            return replace(FAULTS[kind])
        return None

    def _kinds(self, method: str) -> tuple[str, ...]:
        if not self._sample:
            return KINDS
        step, first = self._total[method], self._seen[method] - 1
        return KINDS[first % len(KINDS) :][:1] if step >= len(KINDS) else KINDS[first::step]


class _Child:
    """
    A fork of this process for one cell. In the parent it has ended when it is made, and `cell` is what it told; in
    the child `cell` is None.
    """

    def __init__(self, nth: int, method: str, kind: str) -> None:
        self._about = (nth, method, kind)
        assert os.getpid() == _PARENT, "children have no children"
        self.cell: Cell | None = None
        reading, self._writing = os.pipe()
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


@dataclass(kw_only=True)
class Watched(Cloud):
    """A cloud that can be stopped at each call, and that sees what gets traffic."""

    stops: bool = False
    stopped: tuple[Request, asyncio.Future[Fault | None]] | None = None
    """The call at which it was stopped, and what is awaited."""
    proven: set[str] = field(default_factory=set)
    """Revisions that were verified."""
    early: dict[str, None] = field(default_factory=dict)
    """Revisions that had traffic before they were verified, in that order: the very first has."""
    whole: int = 0
    """The most percent of traffic that had somewhere to go."""
    dark: list[str] = field(default_factory=list)
    """Where it went when some of it had nowhere to go any more."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle(self, request: Request) -> Reply:
        """The answer, with whatever fault was decided on while it was stopped."""
        if self.stops:
            async with self.turn:
                fault = await self._stop_at(request)
            if fault is not None:
                self.faults.append(fault)
        reply = await super().handle(request)
        if service := self.store.get("run", SERVICE):
            self._watch(shares(service.body))
        return reply

    def _watch(self, serving: dict[str, int]) -> None:
        self.early |= dict.fromkeys(name for name in serving if name and name not in self.proven)
        self.whole = max(self.whole, sum(serving.values()))
        if self.whole != sum(serving.values()):
            self.dark.append(f"{serving}")

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
        """Takes a revision to be verified, if that is what answers at the address."""
        there = [one for one in service["trafficStatuses"] if one.get("uri") == url]
        behind = {short(one.get("revision", "")) or latest(service) for one in there} or set(shares(service))
        assert behind == {revision}, f"{url} is {behind}, and not {revision}"
        self.proven.add(revision)
        return Receipt(at=self.clock.text(), passed=True, counts={"passed": 20})


def drive(
    work: Coroutine[Any, Any, None], cloud: Watched, at_call: Callable[[Request], Fault | None]
) -> None:
    """Run `work` on a clock that jumps, and ask at each call, while everything stands still, how it shall go wrong."""
    loop = looptime.new_event_loop(start=0.0)
    loop.set_default_executor(AtOnce())
    cloud.stops, cloud.turn = True, asyncio.Lock()
    running = loop.create_task(work)
    running.add_done_callback(lambda _: loop.stop())
    try:
        while not running.done():
            loop.run_forever()
            if cloud.stopped is not None:
                (request, going), cloud.stopped = cloud.stopped, None
                going.set_result(at_call(request))
    except Killed:
        _DEAD.append((loop, running))
        raise
    loop.close()
    running.result()


_PARENT = os.getpid()
_DEAD: list[object] = []
"""What was killed is kept: were it forgotten, it would be closed in good order."""


async def _up(cloud: Watched, wish: Wanted) -> None:
    async with _google(cloud) as google:
        await apply(await make_plan(NAME, "cloudrun", wish.target(google, cloud.prove).resources()), Silent())


async def _down(cloud: Watched, wish: Wanted) -> None:
    async with _google(cloud) as google:
        await Deployment(google=google, spec=wish.spec, spec_file=SPEC_FILE, via="").down(purge=True)


def _google(cloud: Cloud) -> Google:
    return Google(
        given(f"rehearsal.{OWNER}", OWNER), project=PROJECT, transport=Rehearsed(cloud), settings=PATIENCE
    )


def _told(error: HomeportError) -> str:
    return f"{type(error).__name__}: {error}"


def _before(task: Task) -> Watched:
    random.seed(0)  # The jitter of waits: each run is the run whose calls were counted.
    Path("cloud").mkdir(exist_ok=True)
    cloud = Watched(delays=DELAYS, folder=Path("cloud"), steps=Carrying())
    enable(cloud, "secretmanager", "dns", "compute")
    act(_live_in(cloud))
    cloud.clock.jump(_SOON_S)
    if task.work != "up":
        act(_up(cloud, task.first))
        cloud.clock.jump(_SOON_S)
    random.seed(0)
    return cloud


async def _live_in(cloud: Cloud) -> None:
    """A user has things of their own there, some of them on policies that we change, too."""
    raw = Raw(cloud)
    for verb, url, body in _OF_THE_USER:
        answer = await raw.send(verb, url, body)
        assert answer.status == 200, answer.body


_BASE = f"projects/{PROJECT}"
_OF_THE_USER: list[tuple[str, str, Any]] = [
    ("POST", f"storage.googleapis.com/storage/v1/b?project={PROJECT}", {"name": "users-own"}),
    ("POST", f"secretmanager.googleapis.com/v1/{_BASE}/secrets?secretId=users-own", {"replication": {"automatic": {}}}),
    ("POST", f"compute.googleapis.com/compute/v1/{_BASE}/global/networks", {"name": "users-own", "autoCreateSubnetworks": False}),
    ("POST", f"cloudresourcemanager.googleapis.com/v3/{_BASE}:setIamPolicy",
     {"policy": {"bindings": [{"role": "roles/owner", "members": [f"user:{OWNER}"]},
                              {"role": "roles/viewer", "members": ["user:friend@example.com"]}]}}),
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Found:
    """What is there in the end, as far as it must be the same whatever went wrong."""

    pending: tuple[str, ...]
    """What a plan would still do."""
    there: Counter[str]
    """Names of things, grants, enabled APIs, builds that succeeded, and how many revisions there are."""
    amiss: tuple[str, ...]
    """What was not right on the way."""

    def against(self, found: Found) -> list[str]:
        """How what was `found` differs."""
        return [
            *(f"pending: {one}" for one in found.pending),
            *(f"too much: {one}" for one in found.there - self.there),
            *(f"gone: {one}" for one in self.there - found.there),
            *found.amiss,
        ]


def _undisturbed(task: Task) -> tuple[Found, Counter[str]]:
    """What is there when nothing went wrong, and how often each method was called."""
    cloud = _before(task)
    begun = len(cloud.log)
    drive(task.once(cloud), cloud, lambda _: None)
    methods = Counter(logged.method for logged in cloud.log[begun:])
    found = _found(task, cloud)
    assert found.against(found) == []
    return found, methods


def _found(task: Task, cloud: Watched) -> Found:
    cloud.faults.clear()
    cloud.stops = False
    cloud.clock.jump(_SOON_S)
    cloud.clock.settle()
    pending = act(_pending(cloud, task.wanted)) if task.work != "down" else ()
    amiss = (
        *(f"had traffic unverified: {one}" for one in list(cloud.early)[1:]),
        *(f"traffic went nowhere: {one}" for one in cloud.dark),
    )
    return Found(pending=pending, there=Counter(_there(cloud)), amiss=amiss)


def _of_users(cloud: Cloud) -> dict[str, str]:
    """The user's things, by name; their grants are among all grants."""
    return {
        f"{kept.api}/{kept.name}": json.dumps(kept.body) for kept in things(cloud) if kept.id == "users-own"
    }


async def _pending(cloud: Watched, wish: Wanted) -> tuple[str, ...]:
    async with _google(cloud) as google:
        plan = await make_plan(NAME, "cloudrun", wish.target(google, cloud.prove).resources())
    return tuple(f"{action.kind} {action.resource.id}" for action in plan.pending)


def _there(cloud: Cloud) -> Iterator[str]:
    for kept in things(cloud):
        yield _BY_CHANCE.sub(r"\1", f"{kept.api}/{kept.name}")
    for api, name, role, member in cloud.access.grants():
        yield f"{member} has {role} on {api}/{name}"
    for _, api in cloud.enabled:
        yield f"{api} is enabled"
    for kept in cloud.store.of("cloudbuild", "cloudbuild.projects.locations.builds"):
        if kept.body["status"] not in {"FAILURE", "CANCELLED"}:
            yield f"build {kept.body['status']} {' '.join(kept.body['tags'])}"
    for _ in cloud.store.of("run", "run.projects.locations.services.revisions"):
        yield "a revision"
    if service := cloud.store.get("run", SERVICE):
        yield f"traffic {sorted(shares(service.body).values())}, {len(receipts(service.body))} receipts"


_BY_CHANCE = re.compile(r"(default-route-)\w+")
"""Names of which Google makes up a part."""
