"""
What a target is: a place where an endpoint is served.

Each target is a package whose `open_target` gives a `Target` for one file. `Deployment` has the verbs; a target says
what differs from place to place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Protocol

from homeport.reconcile import Plan
from homeport.reconcile.teardown import Teardown
from homeport.secret import Secret
from homeport.spec import Spec

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.home import Home
    from homeport.listing import Listing
    from homeport.metrics.live import LiveListing
    from homeport.observe.check import ObserveFinding
    from homeport.progress import Progress
    from homeport.results import Removal, Rollback, Status
    from homeport.task import Task
    from homeport.usage.report import By, UsageReport
    from homeport.verify import Report, Result

OnResult = Callable[["Result"], None]
"""Hears of each check as it ends."""


class Capability(StrEnum):
    """What not every target can do, in the words in which it is refused."""

    AGENT = "a service for the agent of the file (agent up)"
    BY_NAME = "finding an endpoint by its name alone"
    CANARY = "moving traffic step by step (--canary)"
    CONTRACT = "being held to what homeport relies on (doctor --contract)"
    COLD_START = "measuring a start from zero (--cold, --idle)"
    EXPORT = "writing files of another tool (export)"
    HUB_TOKEN = "keeping the hub's token (--hub-token-stdin)"  # noqa: S105 - words
    LISTING = "telling of every endpoint at once"
    MACHINE = "a look at what an engine needs (doctor)"
    OBSERVED = "being measured by the place itself (observe check)"
    PLACE = "a project and a region (--project, --region)"
    PORT = "choosing the port (--port)"
    PROXY = "a local port that adds an identity (proxy)"
    ROLLBACK = "going back to what was verified before (rollback)"
    SWAP = "serving another model beside the old one (swap)"
    TAKE_OVER = "taking an endpoint over from another file (--take-over)"
    TOGETHER = "bringing up several files at once (up FILE FILE)"
    UNVERIFIED = "serving without verification (--no-verify)"


HINTS: Mapping[Capability, str] = MappingProxyType(
    {
        Capability.AGENT: "`homeport agent serve` runs it here; `--on cloudrun` gives it a service",
        Capability.MACHINE: "leave --on out: `homeport doctor` looks at this machine; --contract holds a target to what homeport relies on",
        Capability.TOGETHER: "several come up together on this machine alone; bring them up one after the other",
        Capability.PORT: "its address is its own; `homeport proxy --port` chooses the port of a local way to it",
        Capability.UNVERIFIED: "leave it out: nothing has traffic there that was not verified",
        Capability.TAKE_OVER: "leave it out: there the file's name is the endpoint",
    }
)
"""What to do instead, where that is more than to leave it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOptions:
    """What a target is opened with."""

    env: Mapping[str, str]
    home: Home
    port: int | None = None
    """Stands in for the file's; needs `Capability.PORT`."""
    hub_token: Secret | None = None
    """Given by hand; needs `Capability.HUB_TOKEN`."""
    project: str = ""
    """Stands in for the file's, where the target has projects."""
    take_over: bool = False
    """Whether an endpoint that another file owns becomes this file's; needs `Capability.TAKE_OVER`."""
    named_as: str = "homeport status NAME"
    """The command by which a user names an endpoint, whatever file owns it; for hints."""
    ask_hub_token: Callable[[str], Secret | None] | None = None
    """Asks a person for a token that may read the page that it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    """How `up` goes about it."""

    verify: bool = True
    """False needs `Capability.UNVERIFIED`."""
    canary: tuple[int, ...] = ()
    """Percents of traffic on the way to all of it; needs `Capability.CANARY`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyOptions:
    """How `verify` goes about it."""

    only: tuple[str, ...] = ()
    """Names of checks; all where empty."""
    cold: bool = False
    """Measure a start from zero, too; needs `Capability.COLD_START`."""
    idle_s: float | None = None
    """How long nobody may call it before; by default as long as the target keeps an idle instance."""


class Desired(Protocol):
    """One spec, resolved: what is wanted, and how it is made so."""

    async def plan(self) -> Plan:
        """Return what `up` would do. Reads only."""

    def ensure_possible(self, plan: Plan) -> None:
        """Raise what stands in the way of the plan, before anybody is asked and anything is made."""

    async def apply(self, plan: Plan, progress: Progress) -> Mapping[str, float]:
        """Do what the plan says. Returns the seconds of each resource that was touched, by id."""

    async def verify(self, on_result: OnResult | None) -> Report | None:
        """Return the report of what was changed; None where the last verification holds or none was wanted."""

    def timeline(self) -> Mapping[str, float]:
        """Return the seconds of each part of the start that was applied; {} where this place does not tell them."""


class Target(Protocol):
    """One endpoint in one place."""

    kind: ClassVar[str]
    """The target's name, as `--on` has it."""
    capabilities: ClassVar[frozenset[Capability]]

    @property
    def name(self) -> str:
        """Return the endpoint's name."""

    @property
    def spec(self) -> Spec:
        """Return the spec that the file holds."""

    @property
    def spec_file(self) -> Path:
        """Return the absolute path of the file; sources that are relative paths start from its folder."""

    async def resolve(self, options: UpOptions, progress: Progress, on_result: OnResult | None) -> Desired:
        """Return what the spec comes to here. Raises what can be refused before anything is read."""

    async def endpoint(self) -> Endpoint:
        """Return the endpoint that serves now. Raises `NotRunning` or `NotFound` where none does."""

    async def verify(self, options: VerifyOptions, progress: Progress, on_result: OnResult | None) -> Report:
        """Return the report of all checks on what serves now."""

    async def status(self, *, usage: bool = True) -> Status:
        """Return how the endpoint is now, with `usage` also what it was used for. Raises `NotRunning` or `NotFound` where there is none."""

    def logs(self, *, lines: int | None, follow: bool) -> AsyncIterator[str]:
        """Yield what the engine wrote; with `follow` also what comes, until the caller stops."""

    async def take_down(
        self, *, purge: bool, approve: Callable[[Teardown], bool], progress: Progress
    ) -> Removal:
        """Remove what carries the endpoint's mark. Raises `ApprovalDeclined`, or the first error."""

    async def expected_cold_start(self) -> str:
        """Return how long a start from zero takes, in words; '' where unknown. Needs `Capability.COLD_START`."""

    async def roll_back(self, progress: Progress) -> Rollback:
        """Let what was verified before serve again. Returns what that came to, without the endpoint. Needs `Capability.ROLLBACK`."""

    async def export(self, kind: str, progress: Progress) -> dict[str, str]:
        """Return what `up` would make as files of another tool, by name. Needs `Capability.EXPORT`."""

    async def observed(self) -> tuple[ObserveFinding, ...]:
        """Return what the place itself has measured of the endpoint, and what is wrong with that. Needs `Capability.OBSERVED`."""

    def with_model(self, model: str) -> Target:
        """Return this target with another model in its spec. Raises `SpecError` where that cannot be."""

    def access(self) -> Mapping[str, str]:
        """Return who may use the endpoint: label and words."""

    def next_steps(self) -> str:
        """Return what can be done with the endpoint once it serves, in words, with the commands."""


class TargetModule(Protocol):
    """What the package of each target offers."""

    CAPABILITIES: frozenset[Capability]
    TABLES: tuple[str, ...]
    """The tables of a file that `init` leaves off for every other target; the first of them says where an endpoint stands."""
    FIRST_STEP: str
    """The command that comes after `init`."""

    def place(self, env: Mapping[str, str]) -> Mapping[str, str]:
        """Return what a file says of where an endpoint stands, by its keys, where nobody says anything; '' is left to be said."""

    def open_target(
        self, spec: Spec, spec_file: Path, options: OpenOptions
    ) -> AbstractAsyncContextManager[Target]:
        """Give the target of a spec while its connections are open."""

    def open_named(self, name: str, file: Path, options: OpenOptions) -> AbstractAsyncContextManager[Target]:
        """
        Give the target of the endpoint called `name`, whatever file made it.

        What is asked of it needs no more than that it carries its name: `status` and `take_down`. `file` may tell where
        it is, and need not be there.
        """

    async def statuses(self, options: OpenOptions) -> list[Status]:
        """Return every endpoint that is there, as it is now. Needs `Capability.LISTING`."""

    async def listing(self, file: Path, options: OpenOptions) -> Listing:
        """Return every endpoint that can be found, and what could not be read. `file` need not be there."""

    async def usage(
        self, file: Path, options: OpenOptions, *, by: By, days: int, name: str | None
    ) -> UsageReport:
        """Return what endpoints were used for in the last `days`, or the one called `name` alone. `file` need not be there."""

    def check_names(self, task: Task | None = None) -> list[str]:
        """Return the names of all checks of an endpoint there that serves for `task`; for any where it is None."""

    def check_of(self, name: str) -> str:
        """Return the check that a name means which a user gave: without what some targets say of where it is made."""

    def names(self, options: OpenOptions) -> list[str] | None:
        """Return the names of the endpoints there; None where that cannot be told without asking somebody, which is not none."""


class LiveModule(Protocol):
    """What the package of each target offers to those who look again and again, in its module `live`."""

    async def endpoints(self, file: Path, options: OpenOptions) -> LiveListing:
        """Return every endpoint with what it tells now, and what could not be read. It wakes none, and asks none for a token."""
