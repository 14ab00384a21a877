"""A deployment is made, or unmade, while one call of it goes wrong: every call once, in every way that calls do."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import httpx2

from cloud import Raw, act, enable, things
from deployment import NAME, PROJECT, Wish, deployment
from homeport.errors import HomeportError
from homeport.google import Google, Settings
from homeport.google.credentials import given
from homeport.google.discovery import find
from homeport.google.validation import by_documents
from homeport.progress import Silent
from homeport.reconcile import apply, destroy, make_plan
from homeport.rehearsal.cloud import OWNER, Cloud, Delays
from homeport.rehearsal.faults import Fault
from homeport.rehearsal.transport import Rehearsed

DELAYS = Delays(grants=20, accounts=4, apis=6, operations=0.2)
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
KINDS_OF_DOWN = ("503", "500 after", "dropped after", *KILLS)
"""The others come to the same code there, and a call costs a tenth of a second."""
Work = Literal["up", "down"]
RUNS = 3
"""The first, and two more."""


@dataclass(frozen=True)
class Cell:
    """What one fault at one call came to."""

    method: str
    runs: int
    """How many it took; 0 where all of them were not enough."""
    wrong: str
    """What is not as it should be at the end; '' for nothing."""


class Mortal(Rehearsed):
    """Ends everything at its n-th request, before or after it was answered, as `kill -9` would."""

    def __init__(self, cloud: Cloud, nth: int = 0, *, after: bool = False) -> None:
        super().__init__(cloud)
        self.seen = 0
        self.killed = self.method = ""
        self._nth, self._after, self._cloud_ = nth, after, cloud

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        task = asyncio.current_task()
        if self.killed and task is not None and not task.cancelling():
            await asyncio.Event().wait()  # The dead say nothing.
        if self.killed:
            raise httpx2.ConnectError("dead", request=request)
        self.seen += 1
        if self.seen != self._nth:
            return await super().handle_async_request(request)
        found = find(request.headers["host"], request.method, request.url.raw_path.decode().partition("?")[0])
        assert found is not None
        self.method = found.method.id
        if self._after:
            await super().handle_async_request(request)
        self.killed = "killed"
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()
        raise AssertionError


def calls(work: Work) -> int:
    """How many calls a deployment takes when nothing goes wrong."""
    cloud = _before(work)
    begun = len(cloud.log)
    assert _run(work, cloud, Mortal(cloud)) == ""
    return len(cloud.log) - begun


def cell(work: Work, kind: str, nth: int) -> Cell:
    """A deployment whose `nth` call goes wrong, run again until there is nothing to do."""
    cloud = _before(work)
    begun = len(cloud.log)
    doomed = transport = Mortal(cloud, nth if kind in KILLS else 0, after=KILLS.get(kind, False))
    if kind in FAULTS:
        cloud.faults.append(replace(FAULTS[kind], nth=nth))
    runs, why = 0, ""
    for turn in range(1, RUNS + 1):
        why = _run(work, cloud, transport)
        transport = Mortal(cloud)
        if not why:
            runs = turn
            break
    return Cell(doomed.method or cloud.log[begun + nth - 1].method, runs, why or _wrong(work, cloud))


def _before(work: Work) -> Cloud:
    random.seed(0)  # The jitter of waits: until its n-th call a run is the run whose calls were counted.
    cloud = cloud_of_a_user()
    if work == "down":
        assert _run("up", cloud, Mortal(cloud)) == ""
    return cloud


def cloud_of_a_user() -> Cloud:
    """A cloud in which a user has things of their own, some of them on the same policies."""
    cloud = Cloud(delays=DELAYS)
    enable(cloud, "secretmanager", "dns", "compute")
    act(_live_in(cloud))
    return cloud


async def _live_in(cloud: Cloud) -> None:
    raw = Raw(cloud)
    for verb, url, body in _OF_THE_USER:
        answer = await raw.send(verb, url, body)
        assert answer.status == 200, answer.body
    await asyncio.sleep(120)


_BASE = f"projects/{PROJECT}"
_OF_THE_USER: list[tuple[str, str, Any]] = [
    ("POST", f"storage.googleapis.com/storage/v1/b?project={PROJECT}", {"name": "users-own"}),
    ("POST", f"secretmanager.googleapis.com/v1/{_BASE}/secrets?secretId=users-own", {"replication": {"automatic": {}}}),
    ("POST", f"compute.googleapis.com/compute/v1/{_BASE}/global/networks", {"name": "users-own", "autoCreateSubnetworks": False}),
    ("POST", f"cloudresourcemanager.googleapis.com/v3/{_BASE}:setIamPolicy",
     {"policy": {"bindings": [{"role": "roles/owner", "members": [f"user:{OWNER}"]},
                              {"role": "roles/viewer", "members": ["user:friend@example.com"]}]}}),
]  # fmt: skip


def _run(work: Work, cloud: Cloud, transport: Mortal) -> str:
    """One run; returns why it did not come to an end, '' where it did."""

    async def run() -> None:
        async with Google(
            given(f"rehearsal.{OWNER}", OWNER), project=PROJECT, transport=transport, settings=PATIENCE,
            validator=by_documents(),
        ) as google:  # fmt: skip
            wanted = deployment(google, Wish())
            if work == "up":
                await apply(await make_plan(NAME, "cloudrun", wanted), Silent())
                return
            ended = await destroy([one for one in wanted if one.id != "apis"], Silent())
            for error in ended.errors:
                raise error
            assert not ended.left

    try:
        act(run())
    except HomeportError as error:
        return f"{type(error).__name__}: {error}"
    except RuntimeError:
        if transport.killed:
            return transport.killed
        raise
    return ""


def _wrong(work: Work, cloud: Cloud) -> str:
    cloud.faults.clear()
    names, wanted = Counter(_names(cloud)), _wanted(work)
    policy = cloud.access.policy("cloudresourcemanager", f"projects/{PROJECT}")["bindings"]
    friend = any("user:friend@example.com" in binding["members"] for binding in policy)
    return "; ".join(
        [*(f"pending: {one}" for one in (_pending(cloud) if work == "up" else ())),
         *(f"too much: {one}" for one in names - wanted), *(f"gone: {one}" for one in wanted - names),
         *(() if friend else ("the user's grant is gone",))]
    )  # fmt: skip


def _pending(cloud: Cloud) -> list[str]:
    async def pending() -> list[str]:
        google = Google(given(f"rehearsal.{OWNER}", OWNER), project=PROJECT, transport=Rehearsed(cloud))
        plan = await make_plan(NAME, "cloudrun", deployment(google, Wish()))
        return [f"{action.kind} {action.resource.id}" for action in plan.pending]

    return act(pending())


def _names(cloud: Cloud) -> Iterator[str]:
    for kept in things(cloud):
        yield _BY_CHANCE.sub(r"\1", f"{kept.api}/{kept.name}")


_BY_CHANCE = re.compile(r"(default-route-)\w+")
"""Names of which Google makes up a part."""


@cache
def _wanted(work: Work) -> Counter[str]:
    """The names that are there when nothing went wrong."""
    cloud = _before(work)
    assert _run(work, cloud, Mortal(cloud)) == ""
    return Counter(_names(cloud))
