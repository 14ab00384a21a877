"""Facts of a plan for this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from homeport.engines.footprint import gib
from homeport.reconcile.fact import Fact

if TYPE_CHECKING:
    from homeport.spec import Spec


_LATER = "where memory holds both, judged once its weights are here, the new engine is verified on a spare port first"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFact(Fact):
    """The engine that is installed here."""

    key: ClassVar[str] = "engine"
    label: ClassVar[str] = "engine"
    name: str
    version: str

    @property
    def text(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextFact(Fact):
    """How long a request may be, and how many are served at once."""

    key: ClassVar[str] = "context"
    label: ClassVar[str] = "context"
    context_tokens: int
    parallel: int

    @property
    def text(self) -> str:
        return f"{self.context_tokens} tokens a request, {self.parallel} requests at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitsFact(Fact):
    """Whether the model fits the memory of this machine."""

    key: ClassVar[str] = "fits"
    label: ClassVar[str] = "fits"
    fits: bool | None
    needs_bytes: int | None
    of: Literal["gpu", "host"] | None
    memory_bytes: int | None
    free_bytes: int | None
    """Of the host's; None for a GPU's."""
    unknown: str = ""
    """Why it is not known; '' where it is."""

    @property
    def text(self) -> str:
        if self.needs_bytes is None or self.memory_bytes is None:
            return f"not known{self.unknown}"
        needs = f"yes: about {gib(self.needs_bytes)} of {gib(self.memory_bytes)}"
        if self.of == "gpu" or self.free_bytes is None:
            return f"{needs} of the GPU's memory"
        return f"{needs}, of which {gib(self.free_bytes)} are free"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListensFact(Fact):
    """The address that the engine listens on."""

    key: ClassVar[str] = "listens_on"
    label: ClassVar[str] = "listens on"
    host: str
    port: int | None
    """None for any that is free."""

    @property
    def text(self) -> str:
        return f"{self.host}:{self.port or 'any free port'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFact(Fact):
    """Where the endpoint's key comes from."""

    key: ClassVar[str] = "key"
    label: ClassVar[str] = "key"
    reference: str
    """As `local.api_key` says it; a key itself is never in a plan."""
    words: str

    @property
    def text(self) -> str:
        return self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartFact(Fact):
    """What happens when the engine dies, goes deaf or takes too much memory."""

    key: ClassVar[str] = "on_failure"
    label: ClassVar[str] = "on failure"
    restart: Literal["on-failure", "never"]
    most_restarts: int
    """Within `within_s`."""
    within_s: float
    memory_limit_bytes: int | None
    """Of its own memory, beyond which it is ended; None where what it takes is not known."""

    @property
    def text(self) -> str:
        restarts = (
            f"started again, {self.most_restarts} times in {self.within_s / 60:.0f} minutes at most"
            if self.restart == "on-failure"
            else "it stays so"
        )
        if self.memory_limit_bytes is None:
            return f"{restarts}; no limit of memory: what it takes of its own is not known"
        return f"{restarts}; ended beyond {gib(self.memory_limit_bytes)} of memory of its own"


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOverFact(Fact):
    """How another engine takes the place of the one that serves."""

    key: ClassVar[str] = "takes_over"
    label: ClassVar[str] = "takes over"
    beside: bool | None
    """Whether the new one is verified on a spare port before the old one stops; None until its weights are here."""
    reason: Literal["both-fit", "both-do-not-fit", "need-not-known", "gpu-not-known", "weights-not-here"]
    needs_bytes: int | None = None
    """Memory that the new one takes; None where that is not known."""
    free_bytes: int | None = None
    """Memory that the old one leaves; None where that is not known."""

    @property
    def text(self) -> str:
        first = "the old engine stops first, and is started again if the new one fails"
        if self.needs_bytes is not None and self.free_bytes is not None:
            needs, free = gib(self.needs_bytes), gib(self.free_bytes)
            if self.beside:
                return f"the new engine is verified on a spare port first: it takes about {needs}, {free} are free"
            return f"{first}: both do not fit, it takes about {needs} and {free} are free"
        if self.reason == "weights-not-here":
            return f"{_LATER}; else {first}"
        if self.reason == "gpu-not-known":
            return f"{first}: what the old one leaves of the GPU's memory is not known"
        return f"{first}: how much memory the new one takes is not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallersElsewhereFact(Fact):
    """The counts by caller of the file, which are made on Cloud Run alone."""

    key: ClassVar[str] = "callers_here"
    label: ClassVar[str] = "callers"

    @property
    def text(self) -> str:
        return "observe.callers counts on Cloud Run alone: all who ask here share a key, or need none"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentElsewhereFact(Fact):
    """The agent of the file, which `up` serves on Cloud Run alone."""

    key: ClassVar[str] = "agent_here"
    label: ClassVar[str] = "agent"

    @property
    def text(self) -> str:
        return "none here: [agent] is for Cloud Run; `homeport agent serve` runs one on this machine"


def elsewhere(spec: Spec) -> Iterator[Fact]:
    """Yield what the file wants and `up` makes on Cloud Run alone."""
    if spec.agent:
        yield AgentElsewhereFact()
    if spec.observe and spec.observe.callers:
        yield CallersElsewhereFact()
