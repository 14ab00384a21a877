"""A deployment is made while one call of it goes wrong: every call once, in every way that calls go wrong."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from cloud import Raw, act, enable
from deployment import APIS, NAME, PROJECT, Wish, deployment
from homeport.errors import HomeportError
from homeport.google import Google, Settings
from homeport.google.credentials import given
from homeport.google.validation import by_documents
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.rehearsal.cloud import OWNER, Cloud, Delays, Dropped
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
        self.killed = ""
        self._nth, self._after, self._cloud_ = nth, after, cloud

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.killed:
            raise httpx2.ConnectError("dead", request=request)
        self.seen += 1
        if self.seen != self._nth:
            return await super().handle_async_request(request)
        if self._after:
            await super().handle_async_request(request)
        self.killed = "killed"
        asyncio.get_running_loop().stop()
        await asyncio.Event().wait()
        raise AssertionError


def calls() -> list[str]:
    """The methods of all calls that a deployment makes when nothing goes wrong, in their order."""
    cloud = cloud_of_a_user()
    before = len(cloud.log)
    assert _run(cloud, Mortal(cloud)) == ""
    return [logged.method for logged in cloud.log[before:]]


def cell(kind: str, nth: int) -> Cell:
    """A deployment whose `nth` call goes wrong, run again until it is converged."""
    cloud = cloud_of_a_user()
    mine = set(_names(cloud))
    begun = len(cloud.log)
    transport = Mortal(cloud)
    if kind in KILLS:
        transport = Mortal(cloud, nth, after=KILLS[kind])
    else:
        cloud.faults.append(replace(FAULTS[kind], nth=nth))
    runs, why = 0, ""
    for turn in range(1, RUNS + 1):
        why = _run(cloud, transport)
        transport = Mortal(cloud)
        if not why:
            runs = turn
            break
    method = cloud.log[begun + nth - 1].method if len(cloud.log) >= begun + nth else ""
    return Cell(method, runs, why or _wrong(cloud, mine))


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


def _run(cloud: Cloud, transport: Mortal) -> str:
    """One run of `up`; returns why it did not come to an end, '' where it did."""

    async def up() -> None:
        async with Google(
            given(f"rehearsal.{OWNER}", OWNER), project=PROJECT, transport=transport, settings=PATIENCE,
            validator=by_documents(),
        ) as google:  # fmt: skip
            await apply(await make_plan(NAME, "cloudrun", deployment(google, Wish())), Silent())

    try:
        act(up())
    except HomeportError as error:
        return f"{type(error).__name__}: {error}"
    except RuntimeError:
        if transport.killed:
            return transport.killed
        raise
    return ""


def _wrong(cloud: Cloud, users: set[str]) -> str:
    async def pending() -> list[str]:
        google = Google(given(f"rehearsal.{OWNER}", OWNER), project=PROJECT, transport=Rehearsed(cloud))
        plan = await make_plan(NAME, "cloudrun", deployment(google, Wish()))
        return [f"{action.kind} {action.resource.id}" for action in plan.pending]

    cloud.faults.clear()
    left = act(pending())
    names = Counter(_names(cloud))
    extra = names - _clean()
    missing = users - set(names)
    policy = cloud.access.policy("cloudresourcemanager", f"projects/{PROJECT}")["bindings"]
    friend = any("user:friend@example.com" in binding["members"] for binding in policy)
    return "; ".join(
        [*(f"pending: {one}" for one in left), *(f"twice: {one}" for one in extra),
         *(f"gone: {one}" for one in missing), *(() if friend else ("the user's grant is gone",))]
    )  # fmt: skip


def _names(cloud: Cloud) -> Iterator[str]:
    """Everything that exists but what is only remembered: operations, and builds, which each attempt leaves."""
    for kept in cloud.store.everything():
        if "operations" not in kept.collection and "builds" not in kept.collection:
            yield _BY_CHANCE.sub(r"\1", f"{kept.api}/{kept.name}")


_BY_CHANCE = re.compile(r"(default-route-|/revisions/\w+-\d{5}-)\w+")
"""Names of which Google makes up a part."""
_CLEAN: Counter[str] = Counter()


def _clean() -> Counter[str]:
    """The names that a deployment leaves when nothing goes wrong."""
    if not _CLEAN:
        cloud = cloud_of_a_user()
        assert _run(cloud, Mortal(cloud)) == ""
        _CLEAN.update(_names(cloud))
    return _CLEAN


__all__ = ["APIS", "KINDS", "Cell", "Dropped", "calls", "cell"]
