"""An endpoint on this machine: what `Deployment` asks of this target."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from homeport.errors import NotFound, NotRunning, Unsupported
from homeport.home import Home
from homeport.naming import is_of
from homeport.ownership import ensure_owner, named
from homeport.progress import Progress
from homeport.reconcile import Plan
from homeport.reconcile.teardown import Teardown
from homeport.resources.local import candidate, endpoint_record
from homeport.resources.local.endpoint_record import EndpointRecord, Unreadable
from homeport.spec import FILE_NAME, Spec, ensure_no_weights, parse, with_local
from homeport.targets.base import Capability, OnResult, OpenOptions, UpOptions, VerifyOptions
from homeport.targets.local.rollout import LocalRollout
from homeport.targets.local.target import LocalTarget, remembered_target

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.listing import Listing
    from homeport.observe.check import ObserveFinding
    from homeport.results import Removal, Rollback, Status
    from homeport.targets.local.swap import LocalSwap
    from homeport.task import Task
    from homeport.usage.report import By, UsageReport
    from homeport.verify import Report

CAPABILITIES = frozenset(
    {
        Capability.BY_NAME,
        Capability.LISTING,
        Capability.MACHINE,
        Capability.PORT,
        Capability.ROLLBACK,
        Capability.SWAP,
        Capability.TAKE_OVER,
        Capability.TOGETHER,
        Capability.UNVERIFIED,
    }
)
TABLES = ()
FIRST_STEP = "homeport up"
_POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class LocalLifecycle:
    """One file's endpoint on this machine, or one that is known by its name alone."""

    kind: ClassVar[str] = "local"
    capabilities: ClassVar[frozenset[Capability]] = CAPABILITIES

    graph: LocalTarget
    """What the file says, or what the record says of an endpoint that is known by its name."""
    by_name: bool = False
    """Whether it was asked for by name: then it may be any file's."""
    named_in_file: bool = True
    """Whether the file in this folder is that of the endpoint that was named."""
    named_as: str = "homeport status NAME"
    """The command by which it is asked for by name, for hints."""
    swapping: bool = False
    """Whether nothing unverified may take the place of what serves."""

    @property
    def name(self) -> str:
        """Return the endpoint's name."""
        return self.graph.spec.endpoint_name

    @property
    def spec(self) -> Spec:
        """Return the spec that the file holds."""
        return self.graph.spec

    @property
    def spec_file(self) -> Path:
        """Return the path of the file."""
        return self.graph.spec_file

    async def resolve(
        self, options: UpOptions, progress: Progress, on_result: OnResult | None
    ) -> LocalRollout | LocalSwap:
        """Return what the spec comes to."""
        if self.swapping:
            from homeport.targets.local.swap import LocalSwap

            return LocalSwap(self.graph, on_result)
        return LocalRollout(self.graph, verified=options.verify)

    async def endpoint(self) -> Endpoint:
        """Return the endpoint with its key. Raises `NotRunning`; `WrongKey` or `SpecError` where the key is not here."""
        from homeport.targets.local import verification

        started = self._started()
        return await verification.endpoint_of(started, verification.running(started))

    async def verify(self, options: VerifyOptions, progress: Progress, on_result: OnResult | None) -> Report:
        """Return the report of all checks on what runs. A whole one is kept as the receipt."""
        from homeport.targets.local import verification
        from homeport.verify.check import refuse_unknown

        refuse_unknown(options.only, check_names(self.spec.task))
        return await verification.check(self._started(), only=options.only, on_result=on_result)

    async def status(self, *, usage: bool = True) -> Status:
        """Return how the endpoint is now, with `usage` also what it was used for. Raises `NotRunning` where there is none."""
        from homeport.targets.local.status import look

        self._ensure_mine()
        status = await look(self.name, self._remembered(), self.graph.home)
        return status if usage else replace(status, usage=None)

    async def logs(self, *, lines: int | None, follow: bool) -> AsyncIterator[str]:
        """Yield the text of the engine's log, which stays when the endpoint is gone. Raises `NotRunning`."""
        self._ensure_mine()
        log = self.graph.folder / "engine.log"
        if not log.exists():
            raise NotRunning(
                f"no endpoint called {self.name} has run here", hint="`homeport status` lists those that run"
            )
        with log.open(errors="replace") as file:
            for line in file if lines is None else deque(file, maxlen=lines):
                yield line
            while follow:
                piece = file.read()
                if piece:
                    yield piece
                else:
                    await asyncio.sleep(_POLL_S)

    async def take_down(
        self, *, purge: bool, approve: Callable[[Teardown], bool], progress: Progress
    ) -> Removal:
        """End all its processes; with `purge`, remove its weights, too, where no other endpoint serves them."""
        from homeport.results import Removal
        from homeport.targets.local.teardown import take_down

        self._ensure_mine()
        self._ensure_known()
        gone = await take_down(
            self.name, purge=purge, home=self.graph.home, progress=progress, approve=approve
        )
        return Removal(name=self.name, gone=gone)

    async def roll_back(self, progress: Progress) -> Rollback:
        """
        Let what was verified before serve again, with its model and settings, at the address of what serves now.

        Raises `NotFound` where nothing was; what `swap` raises where it does not serve any more.
        """
        from homeport.results import Rollback
        from homeport.targets.local.swap import LocalSwap

        self._ensure_mine()
        self._ensure_known()
        folder, now = self.graph.folder, endpoint_record.load(self.graph.folder)
        verified = endpoint_record.verified(folder)
        if verified is None or not (self.by_name or verified.belongs_to(self.spec_file)):
            raise self._nothing_before()
        old = remembered_target(verified, self.name, self.graph.home)
        port = (now or verified).launch["port"]
        if now is None or old.spec.local.port not in {0, port}:
            old = replace(old, spec=with_local(old.spec, port=port))
        back = LocalSwap(old, None)
        plan = await back.plan()
        # A swap that was killed while it ended this very engine has kept it already, and not replaced it yet.
        if endpoint_record.verified_before(folder) is None and not _starts(plan):
            raise self._nothing_before()
        back.ensure_possible(plan)
        changed = tuple(await back.apply(plan, progress))
        return Rollback(
            serving=str(verified.launch["model"]),
            changed=changed,
            report=await back.verify(None),
            timeline=back.timeline() if changed else {},
        )

    def _nothing_before(self) -> NotFound:
        """Return the error of a rollback to nothing, once what a killed swap left on a spare port has ended."""
        candidate.remove(self.name, self.graph.endpoint_folder)
        if endpoint_record.load(self.graph.folder) is None:
            return NotFound(
                f"nothing of {self.name} was verified before, and nothing of it runs here",
                hint="`homeport up` starts one; a `down` takes what could be gone back to with it",
            )
        return NotFound(
            f"nothing of {self.name} was verified before what serves now",
            hint="`homeport swap` and `homeport up` keep what they replace, where it was verified",
        )

    async def expected_cold_start(self) -> str:
        """Raise `Unsupported`: nothing here starts from zero. `Deployment` refuses it before."""
        raise Unsupported("nothing here starts from zero")

    async def export(self, kind: str, progress: Progress) -> dict[str, str]:
        """Raise `Unsupported`: `Deployment` refuses it before."""
        raise Unsupported("nothing is exported from this machine")

    async def observed(self) -> tuple[ObserveFinding, ...]:
        """Raise `Unsupported`: `Deployment` refuses it before."""
        raise Unsupported("nothing is measured by this machine itself")

    def with_model(self, model: str) -> LocalLifecycle:
        """Return this with another model. Raises `SpecError` where the file says which weights, too."""
        ensure_no_weights(self.spec, model)
        spec = parse({**self.spec.model_dump(), "model": model}, where=str(self.spec_file))
        return replace(self, graph=replace(self.graph, spec=spec), swapping=True)

    def access(self) -> Mapping[str, str]:
        """Return who may use it: label and words."""
        record = endpoint_record.load(self.graph.folder)
        keyed = record is not None and record.launch["keyed"]
        return {
            "key": "wanted: `homeport env` prints it"
            if keyed
            else "none; all that runs on this machine can use it"
        }

    def next_steps(self) -> str:
        """Return what can be done with it."""
        if self.spec.task == "embed":
            return "next: homeport env · homeport status · homeport down; POST /v1/embeddings gives vectors"
        return 'next: homeport chat "…" · homeport env · homeport status · homeport down'

    def _ensure_mine(self) -> None:
        """Raise `NotManaged` where another file owns the endpoint, unless it was asked for by name."""
        if not self.by_name:
            hint = (
                f"`{self.named_as.replace('NAME', self.name)}` acts on it all the same; another `name` gives this file "
                "an endpoint of its own; `homeport up --take-over` makes that one this file's"
            )
            ensure_owner(self.spec, self.spec_file, self.graph.home, hint=hint)

    def _ensure_known(self) -> None:
        """Raise `NotRunning` for a name that neither the file here nor anything on this machine knows."""
        if self.by_name and not self.named_in_file and not self.graph.endpoint_folder.exists():
            raise _unknown(self.name, self.graph.home)

    def _remembered(self) -> EndpointRecord | Unreadable:
        record = endpoint_record.read(self.graph.folder)
        if record is None:
            raise _unknown(self.name, self.graph.home)
        return record

    def _started(self) -> LocalTarget:
        """Return the target as the endpoint was last started, whatever the file says by now."""
        self._ensure_mine()
        remembered = endpoint_record.load(self.graph.folder)
        if remembered is None:
            raise _unknown(self.name, self.graph.home)
        return remembered_target(remembered, self.name, self.graph.home)


def _starts(plan: Plan) -> bool:
    """Return True if the plan starts an engine."""
    return any(action.resource.kind == "process" for action in plan.pending)


@asynccontextmanager
async def open_target(spec: Spec, spec_file: Path, options: OpenOptions) -> AsyncIterator[LocalLifecycle]:
    """Give the endpoint of `spec` on this machine. A spec without a name is called like the folder of its file."""
    loaded = named(spec, spec_file, options.home)
    if options.port is not None:
        loaded = with_local(loaded, port=options.port)
    graph = LocalTarget(spec=loaded, spec_file=spec_file, home=options.home, take_over=options.take_over)
    yield LocalLifecycle(graph=graph, named_as=options.named_as)


@asynccontextmanager
async def open_named(name: str, file: Path, options: OpenOptions) -> AsyncIterator[LocalLifecycle]:
    """
    Give the endpoint called `name` as it was last started, from any directory.

    Where its record is gone or unreadable, what can be done without it still can: `status`, `logs`, `down`.
    """
    remembered = endpoint_record.read(options.home.endpoint(name))
    if isinstance(remembered, EndpointRecord):
        graph = remembered_target(remembered, name, options.home)
    else:
        nowhere = options.home.endpoint(name) / FILE_NAME
        graph = LocalTarget(spec=Spec(name=name), spec_file=nowhere, home=options.home)
    named_in_file = await asyncio.to_thread(is_of, file, name)
    yield LocalLifecycle(graph=graph, by_name=True, named_in_file=named_in_file)


def check_names(task: Task | None = None) -> list[str]:
    """Return the names of all checks of an endpoint here that serves for `task`; for any where it is None."""
    from homeport.verify.runner import names_of

    return names_of(task)


def check_of(name: str) -> str:
    """Return the name: there is one place."""
    return name


def names(options: OpenOptions) -> list[str]:
    """Return the names of the endpoints that were started here and not taken down, unreadable records included."""
    home = options.home
    return [name for name in home.endpoints() if endpoint_record.read(home.endpoint(name)) is not None]


async def statuses(options: OpenOptions) -> list[Status]:
    """Return every endpoint that was started here and not taken down, as it is now."""
    from homeport.targets.local.status import look

    home = options.home
    records = [(name, endpoint_record.read(home.endpoint(name))) for name in home.endpoints()]
    return [await look(name, record, home) for name, record in records if record is not None]


async def listing(file: Path, options: OpenOptions) -> Listing:
    """Return every endpoint that was started here and not taken down."""
    from homeport.listing import Listing, of_status

    del file
    current = await statuses(options)
    return Listing(endpoints=tuple(of_status(status) for status in current), unread=())


async def usage(file: Path, options: OpenOptions, *, by: By, days: int, name: str | None) -> UsageReport:
    """Return what endpoints were used for here, also those that are down. Raises `NotRunning` for a name of which nothing is known."""
    from homeport.targets.local.usage import usage as kept

    del file
    return kept(options.home, by=by, days=days, name=name)


def place(env: Mapping[str, str]) -> Mapping[str, str]:
    """Return nothing: there is one place."""
    del env
    return {}


def _unknown(name: str, home: Home) -> NotRunning:
    running = [other for other in home.endpoints() if endpoint_record.read(home.endpoint(other)) is not None]
    hint = f"running here: {', '.join(running)}" if running else "`homeport up` starts one"
    return NotRunning(f"no endpoint called {name} runs here", hint=hint)
