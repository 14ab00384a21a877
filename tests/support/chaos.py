"""
An endpoint is made, changed or unmade while one call goes wrong: every call, in every way that calls do.

A run that nothing disturbs is stopped at each of its calls. There the process forks, once for each way to go wrong: the
child goes on with its own copy of the cloud and of the run, and what came before is not done again.
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caching import Keeping
from cloud import Raw, act, enable, things
from crypto_keys import make_key
from forked import Cell, Child, Killed, Watched, as_read, drive, is_read, same_as
from gcp_rehearsal.call import Request
from gcp_rehearsal.cloud import OWNER, Cloud, Delays
from gcp_rehearsal.discovery import find
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.handlers import registry_method
from gcp_rehearsal.testing import Rehearsed
from homeport.deployment import Deployment
from homeport.errors import HomeportError
from homeport.google import Google, Settings
from homeport.google.credentials import from_access_token
from homeport.progress import Silent
from homeport.reconcile import apply, patient
from homeport.reconcile.interrupts import presses
from homeport.resources.google.traffic import receipts, shares
from homeport.targets.cloudrun.regions.several_regions import SeveralRegions
from on_cloudrun import deployment
from ways import PROJECT, REGION, SPEC_FILE, Carrying, Way
from whole_graphs import GRAPHS, WholeFile, Work, whole_file

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
    "second": Fault(twin=True),
}
"""Of two who ask for the same at once it is the second. The answer that is late comes when the client has long given it up; all has been done by then."""
TWICE = {
    "cloudbuild.projects.locations.builds.create": "too much: build SUCCESS",
    "secretmanager.projects.secrets.addVersion": "too much: secretmanager/",
}
"""What there is twice where two asked for it at once: Google takes no name of the caller's for it, so that none is refused."""
KILLS = {"killed": False, "killed after": True}
STOPS = {"ctrl-c": 1, "ctrl-c twice": 2}
"""How often somebody presses Ctrl-C: what is under way is finished, or stopped at once."""
KINDS = (*FAULTS, *KILLS, *STOPS)
RUNS = 3
"""The first, and two more."""
PRESSES: list[Callable[[], None]] = []
"""What a Ctrl-C would call, the innermost last; none before anything is changed, where it ends the run as a kill does."""
_SOON_S = 600
"""Until whatever a dead run has begun has come to its end."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is done, and to what."""

    work: Work
    first: WholeFile
    then: WholeFile
    called: tuple[str, ...] = ()
    """Parts of methods that must be among its calls, so that what it is for is tried at all."""

    @property
    def wanted(self) -> WholeFile:
        """What should be there in the end."""
        return self.then if self.work == "change" else self.first

    @property
    def has_plan(self) -> bool:
        """Whether a plan of what is wanted must have nothing to do in the end."""
        return self.work in {"up", "change"}

    def once(self, cloud: Watched) -> Coroutine[Any, Any, None]:
        """One run of it."""
        if self.work == "rollback":
            return _back(cloud, self.then)
        return _down(cloud, self.first) if self.work == "down" else _up(cloud, self.wanted)


def task(way: Way, work: Work, folder: Path, graph: str = "") -> Task:
    """One of the usual file's six, or of one of `GRAPHS`. `folder` is for weights of this machine."""
    made = GRAPHS.get(graph)
    first = whole_file(way, folder, made.first if made else {})
    then = whole_file(way, folder, made.then if made else {}, changed=True)
    return Task(work=work, first=first, then=then, called=made.called(work) if made else ())


def cells(task: Task, *, part: int = 0, of: int = 1, sample: bool = False) -> list[Cell]:
    """
    What came of every `of`-th call of a run, from the one after `part` on, in every kind.

    A sample takes every call, too, each in one kind, in turn. In the whole matrix, kinds that are the same for a read run once.
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
        self.child: Child | None = None
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
        except KeyboardInterrupt:
            why = "stopped"
        if self.child is None:
            assert not why
            assert self._seen == self._total, "the run is the one whose calls were counted"
            return
        if dead is not None and dead.after:
            act(self._cloud.handle(dead.request))
        self.child.tell(*self._outcome(why))

    def _outcome(self, why: str) -> tuple[int, str]:
        runs = 1
        while runs < RUNS and (why or self._is_mended_by_another()):
            if self._task.work == "rollback" and not self._should.against(_found(self._task, self._cloud)):
                why = ""  # Who looks at what serves goes back no second time, which would be forth.
                break
            runs, why = runs + 1, ""
            try:
                act(self._task.once(self._cloud))
            except HomeportError as error:
                why = _told(error)
        if why:
            return 0, why
        wrong = self._should.against(_found(self._task, self._cloud))
        if self.child is not None and self.child.kind == "second":
            wrong = [one for one in wrong if not one.startswith(TWICE.get(self.child.method, "\0"))]
        touched = [name for name, body in _of_users(self._cloud).items() if self._users.get(name) != body]
        return runs, "; ".join([*wrong, *(f"touched: {name}" for name in touched)])

    def _is_mended_by_another(self) -> bool:
        """Whether two who asked at once left what a plan sees and another run takes away; no other fault may."""
        second = self.child is not None and self.child.kind == "second"
        return second and self._task.has_plan and bool(act(_pending(self._cloud, self._task.wanted)))

    def _at_call(self, request: Request) -> Fault | None:
        found = find(request.host, request.verb, request.path)
        method = found.method.id if found is not None else registry_method(request)
        assert method
        self._seen[method] += 1
        nth = self._seen.total()
        reads = is_read(request.verb, method)
        for kind in self._kinds() if nth % self._of == self._part else ():
            alike = self._alike(kind, nth, method, reads=reads)
            if alike is not None:
                self.cells.append(alike)
                continue
            child = Child(nth, method, kind)
            if child.cell is not None:
                self.cells.append(child.cell)
                continue
            self.child, self._cloud.stops = child, False
            if kind in KILLS or (kind in STOPS and not PRESSES):
                raise Killed(request, after=KILLS.get(kind, False))
            for _ in range(STOPS.get(kind, 0)):
                PRESSES[-1]()
            return replace(FAULTS[kind]) if kind in FAULTS else None
        return None

    def _alike(self, kind: str, nth: int, method: str, *, reads: bool) -> Cell | None:
        """The cell that is the same, in the whole matrix: some of a read's, and a Ctrl-C before anything is begun, which ends the run as a kill does."""
        if self._sample:
            return None
        if kind in STOPS and not PRESSES:
            return same_as("killed", kind, self.cells, nth, method)
        return as_read(kind, self.cells, nth, method) if reads else None

    def _kinds(self) -> tuple[str, ...]:
        if not self._sample:
            return KINDS
        return (KINDS[self._seen.total() % len(KINDS)],)


async def _up(cloud: Watched, wish: WholeFile) -> None:
    presses.set(PRESSES)
    async with _google(cloud) as google:
        plan = await wish.plan(google, cloud.prove)
        async with patient(Silent()) as halt:
            await apply(plan, Silent(), halt)


async def _down(cloud: Watched, wish: WholeFile) -> None:
    presses.set(PRESSES)
    async with _google(cloud) as google:
        await deployment(google, wish.spec).down(purge=True)


async def _back(cloud: Watched, wish: WholeFile) -> None:
    presses.set(PRESSES)
    async with _google(cloud) as google:
        several = SeveralRegions(google=google, spec=wish.spec, spec_file=SPEC_FILE, via="")
        made = Deployment(target=several) if wish.further else deployment(google, wish.spec)
        await made.rollback()


def _google(cloud: Cloud) -> Google:
    return Google(
        from_access_token(cloud.token(OWNER), OWNER),
        project=PROJECT,
        transport=Rehearsed(cloud),
        settings=PATIENCE,
    )


def _told(error: HomeportError) -> str:
    return f"{type(error).__name__}: {error}"


def _before(task: Task) -> Watched:
    random.seed(0)  # The jitter of waits: each run is the run whose calls were counted.
    Path("cloud").mkdir(exist_ok=True)
    cloud = Watched(delays=DELAYS, folder=Path("cloud"), steps=Carrying(), containers=Keeping())
    enable(cloud, "secretmanager", "dns", "compute")
    act(_live_in(cloud))
    for key in {file.spec.access.encryption_key for file in (task.first, task.then)} - {None, ""}:
        make_key(cloud, str(key).replace("{region}", REGION))
    cloud.clock.jump(_SOON_S)
    for file in {"up": (), "rollback": (task.first, task.then)}.get(task.work, (task.first,)):
        act(_up(cloud, file))
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
    ("POST", f"secretmanager.googleapis.com/v1/{_BASE}/secrets/users-own:addVersion", {"payload": {"data": "YSB0b2tlbg=="}}),
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
    """Names of things, grants, enabled APIs, builds that succeeded, and how many revisions there are but such as came before a grant was seen."""
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
    cloud.held_to_reads = True
    begun = len(cloud.log)
    drive(task.once(cloud), cloud, lambda _: None)
    methods = Counter(logged.method for logged in cloud.log[begun:])
    assert all(any(part in method for method in methods) for part in task.called), methods
    found = _found(task, cloud)
    assert found.against(found) == [], found.against(found)
    return found, methods


def _found(task: Task, cloud: Watched) -> Found:
    cloud.faults.clear()
    cloud.stops = False
    cloud.clock.jump(_SOON_S)
    cloud.clock.settle()
    pending = act(_pending(cloud, task.wanted)) if task.has_plan else ()
    amiss = (
        *(f"had traffic unverified: {one}" for early in cloud.early.values() for one in list(early)[1:]),
        *(f"traffic went nowhere: {one}" for one in cloud.dark),
    )
    return Found(pending=pending, there=Counter(_there(cloud)), amiss=amiss)


def _of_users(cloud: Cloud) -> dict[str, str]:
    """The user's things, by name; their grants are among all grants."""
    return {
        f"{kept.api}/{kept.name}": json.dumps(kept.body) for kept in things(cloud) if kept.id == "users-own"
    }


async def _pending(cloud: Watched, wish: WholeFile) -> tuple[str, ...]:
    async with _google(cloud) as google:
        plan = await wish.plan(google, cloud.prove)
    return tuple(f"{action.kind} {action.resource.id}" for action in plan.pending)


def _there(cloud: Watched) -> Iterator[str]:
    for kept in things(cloud):
        own = kept.body.get("displayName", "") if kept.api in {"monitoring", "billingbudgets"} else ""
        yield _BY_CHANCE.sub(
            r"\1", f"{kept.api}/{kept.name.rpartition('/')[0] + '/' + own if own else kept.name}"
        )
    for api, name, role, member in cloud.access.grants():
        yield f"{member} has {role} on {api}/{name}"
    for _, api in cloud.enabled:
        yield f"{_MANAGED.sub('home', api)} is enabled"
    for kept in cloud.store.of("cloudbuild", "cloudbuild.projects.locations.builds"):
        if kept.body["status"] not in {"FAILURE", "CANCELLED"}:
            yield f"build {kept.body['status']} {' '.join(kept.body['tags'])}"
    for kept in cloud.store.of("run", "run.projects.locations.services.revisions"):
        if ("Ready", "CONDITION_FAILED") not in {
            (one["type"], one["state"]) for one in kept.body["conditions"]
        }:
            yield "a revision"
    for service in cloud.models():
        traffic = sorted(shares(service.body).values())
        yield f"traffic of {service.name}: {traffic}, {len(receipts(service.body))} receipts"


_BY_CHANCE = re.compile(r"(default-route-|serverless-ipv4-|global/keys/k)\w+")
_MANAGED = re.compile(r"^home-\w+(?=\.apigateway\.)")
"""Names of which Google makes up a part."""
