"""
One file on one target, and the verbs: the same, with the same results, for every target.

    async with deployment.opened("homeport.toml", on="cloudrun") as opened:
        result = await opened.up()
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from homeport import naming
from homeport.errors import ApprovalDeclined, HomeportError, NotRunning, SpecError, Unsupported
from homeport.home import find_home
from homeport.progress import Progress, Silent
from homeport.reconcile import Plan
from homeport.reconcile.teardown import Teardown
from homeport.spec import FILE_NAME, Spec, load
from homeport.targets import registry
from homeport.targets.base import HINTS, Capability, OnResult, OpenOptions, Target, UpOptions, VerifyOptions

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.listing import Listing
    from homeport.observe.check import ObserveFinding
    from homeport.results import Removal, Rollback, Status, UpResult
    from homeport.usage.report import By, UsageReport
    from homeport.verify import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One file on one target."""

    target: Target

    async def plan(self, *, model: str | None = None, progress: Progress | None = None) -> Plan:
        """
        Return what `up` would do, or with a `model` what `swap` to it would.

        Changes nothing. Raises what these would raise before they ask.
        """
        target = self.target if model is None else self._swapped_to(model)
        return await (await target.resolve(UpOptions(), progress or Silent(), None)).plan()

    async def up(
        self,
        options: UpOptions | None = None,
        *,
        on_plan: Callable[[Plan], None] = lambda _: None,
        approve: Callable[[Plan], bool] = lambda _: True,
        progress: Progress | None = None,
        on_result: OnResult | None = None,
    ) -> UpResult:
        """
        Make the endpoint what the file says, and prove that it works.

        `on_plan` sees every plan first, and what it raises ends it all. `approve` sees the plan where anything has to be done; without its yes `ApprovalDeclined` is raised, and
        nothing was touched. What stands in the way is raised, all of it at once, before anybody is asked.
        """
        options = options or UpOptions()
        self.require({Capability.CANARY: options.canary, Capability.UNVERIFIED: not options.verify})
        progress = progress or Silent()
        desired = await self.target.resolve(options, progress, on_result)
        plan = await desired.plan()
        on_plan(plan)
        changed: Mapping[str, float] = {}
        desired.ensure_possible(plan)
        if plan.pending:
            if not approve(plan):
                raise ApprovalDeclined("nothing was changed")
            changed = await desired.apply(plan, progress)
        from homeport.results import UpResult  # Late: while it was applied, an engine could begin to load.

        endpoint = await self.target.endpoint()
        report = await desired.verify(on_result)
        return UpResult(
            endpoint=endpoint,
            plan=plan,
            changed=tuple(changed),
            report=report,
            timeline=desired.timeline() if changed else {},
            access=self.target.access(),
            next_steps=self.target.next_steps(),
        )

    async def swap(
        self,
        model: str,
        options: UpOptions | None = None,
        *,
        on_plan: Callable[[Plan], None] = lambda _: None,
        approve: Callable[[Plan], bool] = lambda _: True,
        progress: Progress | None = None,
        on_result: OnResult | None = None,
    ) -> UpResult:
        """Serve another model, verified before it takes over. Raises what `up` raises."""
        other = replace(self, target=self._swapped_to(model))
        return await other.up(
            options, on_plan=on_plan, approve=approve, progress=progress, on_result=on_result
        )

    async def rollback(self, *, progress: Progress | None = None) -> Rollback:
        """Let what was verified before serve again. Raises `NotFound` where there is nothing."""
        self.require({Capability.ROLLBACK: True})
        progress = progress or Silent()
        done = await self.target.roll_back(progress)
        try:
            return replace(done, endpoint=await self.target.endpoint())
        except HomeportError as error:  # No failure: who types a rollback again undoes it.
            progress.note(f"{done.serving} serves; where it answers could not be read: {error}")
            return done

    async def down(
        self,
        *,
        purge: bool = False,
        approve: Callable[[Teardown], bool] = lambda _: True,
        progress: Progress | None = None,
    ) -> Removal:
        """
        Remove the endpoint; with `purge` also what may serve another one, such as its weights.

        `approve` sees what would go. Raises `ApprovalDeclined`, or the first error where anything is left.
        """
        return await self.target.take_down(purge=purge, approve=approve, progress=progress or Silent())

    async def status(self, *, usage: bool = True) -> Status:
        """
        Return how the endpoint is now. Raises `NotRunning` or `NotFound` where there is none.

        Without `usage` nobody is asked what it was used for, which on Cloud Run may take seconds.
        """
        return await self.target.status(usage=usage)

    async def connect(self) -> Endpoint:
        """Return the endpoint that serves now. Raises `NotRunning` or `NotFound` where none does."""
        return await self.target.endpoint()

    async def verify(
        self,
        options: VerifyOptions | None = None,
        *,
        progress: Progress | None = None,
        on_result: OnResult | None = None,
    ) -> Report:
        """Return the report of all checks on what serves now. Raises `NotRunning` or `NotFound` where nothing does."""
        options = options or VerifyOptions()
        self.require({Capability.COLD_START: options.cold or options.idle_s is not None})
        return await self.target.verify(options, progress or Silent(), on_result)

    async def expected_cold_start(self) -> str:
        """Return how long a start from zero is expected to take, in words; '' where it cannot be told."""
        self.require({Capability.COLD_START: True})
        return await self.target.expected_cold_start()

    def logs(self, *, lines: int | None = None, follow: bool = False) -> AsyncIterator[str]:
        """Yield what the engine wrote, its last `lines` or all; with `follow` also what comes."""
        return self.target.logs(lines=lines, follow=follow)

    async def export(self, kind: str, *, progress: Progress | None = None) -> dict[str, str]:
        """Return what `up` would make as files of another tool, by name. Raises `Unsupported` where none can have it."""
        self.require({Capability.EXPORT: True})
        return await self.target.export(kind, progress or Silent())

    async def observed(self) -> tuple[ObserveFinding, ...]:
        """Return what the place itself has measured of the endpoint. Raises `Unsupported` where none measures."""
        self.require({Capability.OBSERVED: True})
        return await self.target.observed()

    def require(self, wanted: Mapping[Capability, object]) -> None:
        """Raise `Unsupported` for the first capability that is wanted (its value is true) and that the target lacks."""
        require(self.target.kind, wanted)

    def _swapped_to(self, model: str) -> Target:
        self.require({Capability.SWAP: True})
        naming.ensure_model(model)
        return self.target.with_model(model)


def require(kind: str, wanted: Mapping[Capability, object]) -> None:
    """Raise `Unsupported` for the first capability in `wanted` whose value is true and that the target lacks."""
    has = registry.module(kind).CAPABILITIES
    for capability, value in wanted.items():
        if value and capability not in has:
            others = [name for name in registry.TITLES if capability in registry.module(name).CAPABILITIES]
            raise Unsupported(
                f"{registry.TITLES[kind]} has no such thing as {capability.value}",
                hint=HINTS.get(capability) or f"leave it out: it is for --on {' or '.join(others)}",
            )


@asynccontextmanager
async def opened(
    spec: Spec | Path | str = FILE_NAME, *, on: str = "local", options: OpenOptions | None = None
) -> AsyncIterator[Deployment]:
    """
    Give the deployment of a spec, or of the file that holds one, while its connections are open.

    Raises `SpecError` for a file or target that is not there, `NoCredentials` where a target wants some,
    `Unsupported` for options that the target cannot honour.
    """
    options = options or OpenOptions(env=os.environ, home=find_home())
    module = registry.module(on)
    require(
        on,
        {
            Capability.PORT: options.port is not None,
            Capability.HUB_TOKEN: options.hub_token,
            Capability.TAKE_OVER: options.take_over,
        },
    )
    file = await asyncio.to_thread(Path(FILE_NAME if isinstance(spec, Spec) else spec).absolute)
    loaded = spec if isinstance(spec, Spec) else await asyncio.to_thread(load, file)
    async with module.open_target(loaded, file, options) as target:
        yield Deployment(target=target)


@asynccontextmanager
async def selected(
    name: str | None,
    file: Path,
    *,
    on: str = "local",
    options: OpenOptions | None = None,
    by_name: bool = False,
) -> AsyncIterator[Deployment]:
    """
    Give the deployment that is meant: the one called `name`; else that of `file`; else the only one there is.

    With `by_name` a name suffices on every target: for what needs no file, such as to take an endpoint down.
    Raises `NotRunning` where none or several could be meant, `SpecError` where only a name or a file could tell, and what
    `opened` raises.
    """
    options = options or OpenOptions(env=os.environ, home=find_home())
    module = registry.module(on)
    if name is not None:
        naming.ensure_possible(name)
    named = name is not None and (by_name or Capability.BY_NAME in module.CAPABILITIES)
    if not named and await asyncio.to_thread(file.exists):
        spec = await asyncio.to_thread(load, file)
        if name is not None and spec.name is not None and name != spec.name:
            raise Unsupported(
                f"on {registry.TITLES[on]} the file says which endpoint is meant, and {file} is that of {spec.name}, not "
                f"of {name}",
                hint="name its file with -f",
            )
        async with opened(file, on=on, options=options) as deployment:
            yield deployment
        return
    async with module.open_named(name or _only(module.names(options), on, file), file, options) as target:
        yield Deployment(target=target)


def ensure_checks(only: Iterable[str], on: str) -> None:
    """Raise `Unsupported` for a name in `only` that no check of the target has, whatever runs there."""
    from homeport.verify.check import refuse_unknown

    module = registry.module(on)
    refuse_unknown([module.check_of(name) for name in only], module.check_names() if only else ())


async def listing(
    *, on: str = "local", file: Path | None = None, options: OpenOptions | None = None
) -> Listing:
    """Return every endpoint of a target by its mark, and what could not be read."""
    options = options or OpenOptions(env=os.environ, home=find_home())
    return await registry.module(on).listing(file or Path(FILE_NAME), options)


async def usage(
    *,
    by: By,
    days: int,
    on: str = "local",
    name: str | None = None,
    file: Path | None = None,
    options: OpenOptions | None = None,
) -> UsageReport:
    """Return what endpoints of a target were used for in the last `days`, or the one called `name` alone, and what could not be read."""
    options = options or OpenOptions(env=os.environ, home=find_home())
    return await registry.module(on).usage(file or Path(FILE_NAME), options, by=by, days=days, name=name)


async def statuses(*, on: str = "local", options: OpenOptions | None = None) -> list[Status]:
    """Return every endpoint of a target, as it is now. Raises `Unsupported` where the target cannot list them."""
    module = registry.module(on)
    require(on, {Capability.LISTING: True})
    return await module.statuses(options or OpenOptions(env=os.environ, home=find_home()))


def _only(names: list[str] | None, on: str, file: Path) -> str:
    if names is None:
        raise SpecError(
            f"there is no {file}, and no NAME was given: which endpoint is meant?",
            hint=f"`homeport list{registry.flag(on)}` shows what there is; with -f the file of one may lie elsewhere",
        )
    if len(names) == 1:
        return names[0]
    where = registry.TITLES[on]
    if not names:
        raise NotRunning(
            f"no endpoint is known on {where}", hint=f"`homeport up{registry.flag(on)}` starts one"
        )
    raise NotRunning(
        f"several endpoints run on {where}: {', '.join(names)}", hint="name the one that you mean"
    )
