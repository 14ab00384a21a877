"""Who deploys, by either way."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloud import act
from copied_up import CopiedUp, NotCopied, before
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, apply, make_plan
from homeport.resources.google.release import Release
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of
from homeport.targets.cloudrun.verification.revision import receipt_of
from homeport.verify import Outcome, Report, Result
from on_cloudrun import deployment
from places import TAUGHT, TAUGHT_FOLDER

PATH = "v2/projects/rehearsal/locations/europe-west4/services/home"

UNPROVEN = Report(
    endpoint="home", model="gemma-4-taught", engine="vllm", weights_digest="", started_at="", seconds=1.0,
    results=tuple(
        Result(name=name, title="", outcome=Outcome.FAILED, detail="it does not answer", seconds=1.0, evidence={})
        for name in ("chat", "stream")
    ),
)  # fmt: skip

WAYS = {"ollama": TAUGHT, "vllm": TAUGHT_FOLDER}
_MOST = 8
_UPS: OrderedDict[tuple[type, bytes, str], CopiedUp] = OrderedDict()
"""What first `up`s came to, by the kind of deployer, how it was before and the file; the last few, since tests of one kind
follow each other."""


@dataclass(frozen=True, slots=True)
class AppliedPlan:
    """The plan that was applied; unpacked into two, also the one after it, for which all that is live is read once more."""

    plan: Plan
    planned_again: Callable[[], Plan]

    def __iter__(self) -> Iterator[Plan]:
        yield self.plan
        yield self.planned_again()


def applied(targeted: Callable[[], Awaitable[CloudRunTarget]]) -> AppliedPlan:
    """Apply what a target comes to."""

    async def planned() -> Plan:
        target = await targeted()
        return await make_plan("home", "cloudrun", target.resources(), await unwanted_of(target))

    async def work() -> Plan:
        plan = await planned()
        await apply(plan, Silent())
        return plan

    return AppliedPlan(act(work()), lambda: act(planned()))


class Deployer:
    """Applies files to one cloud. What is released is taken to be proven, unless it is named in `broken`."""

    def __init__(self, engine: str) -> None:
        self.cloud = Cloud(delays=AT_ONCE)
        self.engine = engine
        self.broken = False
        self.proven: list[str] = []
        self.asked: list[str] = []
        """The addresses at which it was proven."""

    def target(
        self, google: Google, chosen: ResolvedModel, wanted: spec.Spec, *, canary: tuple[int, ...] = ()
    ) -> CloudRunTarget:
        async def prove(service: Body, revision: str, url: str) -> Receipt:
            assert url.startswith("https://")
            self.asked.append(url)
            self.proven.append(revision)
            if self.broken:
                return receipt_of(UNPROVEN, service, revision)
            return Receipt(at=f"2026-11-25T00:00:{len(self.proven):02}", passed=True, counts={"passed": 20})

        return CloudRunTarget(
            google=google, spec=wanted, spec_file=Path("/x/homeport.toml"), chosen=chosen, prove=prove, canary=canary
        )  # fmt: skip

    async def finished(self, target: CloudRunTarget) -> CloudRunTarget:
        """The target with what has to be asked for first."""
        return target

    def wanted(self, **engine: Any) -> spec.Spec:  # Any: values of homeport.toml
        return spec.parse(
            {
                "name": "home",
                "model": f"file:{WAYS[self.engine]}",
                "engine": {"kind": self.engine, "context": 1024, **engine},
                "cloudrun": {},
                "access": {"callers": ["user:friend@example.com"]},
            }
        )

    def up(self, wanted: spec.Spec, *, canary: tuple[int, ...] = ()) -> AppliedPlan:
        """The plan that was applied, and the one after it."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

        async def targeted() -> CloudRunTarget:
            return await self.finished(self.target(google_for(self.cloud), chosen, wanted, canary=canary))

        return applied(targeted)

    def deployed(self, wanted: spec.Spec) -> None:
        """
        Let that file be deployed, as by `up`: where another test of this process has begun so, its cloud is copied.

        For tests whose own matter comes after it. Whoever replaces what `up` is made of says `up`.
        """
        try:
            # What a file says by itself is another matter than what it comes to: the region may be chosen.
            said = wanted.model_dump_json(), wanted.model_dump_json(exclude_unset=True)
            key = type(self), before(self), "\n".join(said)
        except NotCopied:
            self.up(wanted)
            return
        if key in _UPS:
            _UPS.move_to_end(key)
            _UPS[key].given(self)
            return
        self.up(wanted)
        with suppress(NotCopied):
            _UPS[key] = CopiedUp(self)
        while len(_UPS) > _MOST:
            _UPS.popitem(last=False)

    def down(self, wanted: spec.Spec, *, purge: bool) -> tuple[str, ...]:
        async def work() -> tuple[str, ...]:
            google = google_for(self.cloud)
            return (await deployment(google, wanted).down(purge=purge)).gone

        return act(work())

    def roll_back(self) -> str:
        async def prove(*_: object) -> Receipt:
            raise AssertionError

        async def work() -> str:
            return await Release(
                google=google_for(self.cloud), name="home", path=PATH, prove=prove
            ).roll_back()

        return act(work())

    def route(self, traffic: list[dict[str, Any]]) -> None:  # Any: JSON
        """Give the service that traffic, as another could."""

        async def work() -> None:
            google = google_for(self.cloud)
            begun = await google.patch("run", PATH, {"traffic": traffic}, updateMask="traffic")
            await google.finish("run", begun, key="route", deadline=60)

        act(work())

    @property
    def service(self) -> Any:  # Any: JSON
        kept = self.cloud.store.get("run", PATH.removeprefix("v2/"))
        return kept.body if kept else None

    @property
    def objects(self) -> set[str]:
        """The names of all objects of all buckets."""
        return {kept.body["name"] for kept in self.cloud.store.of("storage", "storage.objects")}
