"""What a bench does."""

from __future__ import annotations

from dataclasses import dataclass, field

from homeport.bench.slo import Slo
from homeport.errors import SpecError
from homeport.traffic import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """An open loop: what it is, in words, and when its requests come."""

    title: str
    arrivals: tuple[Arrival, ...]

    def __post_init__(self) -> None:
        """Raise `SpecError` for no requests at all."""
        if not self.arrivals:
            raise SpecError(
                f"{self.title}: none of its requests is due", hint="give it more time, or a higher rate"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchOptions:
    """How much is measured, of what."""

    input: int = 256
    """Tokens of a prompt, those of the chat template included."""
    output: int = 64
    """Tokens of an answer."""
    seconds: float = 60.0
    """About how long all of it may take, start excluded."""
    repetitions: int = 3
    """Of each load that has a figure in the end."""
    most_users: int = 64
    """Where the search for the knee ends."""
    users: tuple[int, ...] = ()
    """Closed loops of so many users, one after the other, instead of the search for the knee."""
    open_load: OpenLoad | None = None
    """An open loop instead."""
    slo: Slo = field(default_factory=lambda: Slo({}))
    shared: int = 0
    """Tokens at their beginning that all prompts share."""
    seed: int = 0
