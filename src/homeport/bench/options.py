"""What a bench does."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from homeport.bench.slo import Slo
from homeport.errors import SpecError
from homeport.traffic import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLoad:
    """An open loop: what it is, in words, and when its requests come."""

    title: str
    of_trace: bool
    """Whether its requests have lengths of their own, as a trace has them, even if all are alike; else those of the options."""
    arrivals: tuple[Arrival, ...]

    def __post_init__(self) -> None:
        """Raise `SpecError` for no requests at all."""
        if not self.arrivals:
            raise SpecError(
                f"{self.title}: none of its requests is due", hint="give it more time, or a higher rate"
            )

    @property
    def median(self) -> tuple[int, int]:
        """Return tokens in and out of the request that is in the middle by all of its tokens."""
        lengths = sorted((arrival.input + arrival.output, arrival.input) for arrival in self.arrivals)
        tokens, of_prompt = lengths[len(lengths) // 2]
        return of_prompt, tokens - of_prompt

    @property
    def digest(self) -> str:
        """Return what two loads share only where all of their times and lengths are the same."""
        lines = "".join(f"{one.seconds!r},{one.input},{one.output}\n" for one in self.arrivals)
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"


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

    @property
    def of_trace(self) -> bool:
        """Tell whether the requests have lengths of their own, those of a trace, instead of `input` and `output`."""
        return self.open_load is not None and self.open_load.of_trace
