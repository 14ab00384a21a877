"""How long requests are, where no trace says it: fixed, or spread as conversations are."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from homeport.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of prompts and answers: each `input` and `output` on average, lognormal with `spread`."""

    input: int
    output: int
    spread: float = 0.0
    """The coefficient of variation: standard deviation ÷ mean; 0 makes all alike. Conversations have about 1."""

    def __post_init__(self) -> None:
        """Refuse what no request can have."""
        if min(self.input, self.output) < 1:
            raise SpecError(
                f"a request of {self.input} tokens in and {self.output} out cannot be",
                hint="say 1 or more of both",
            )
        if not (self.spread >= 0 and math.isfinite(self.spread)):
            raise SpecError(f"spread: should be 0 or more, but is {self.spread!r}")

    def drawn(self, seed: int = 0) -> Iterator[tuple[int, int]]:
        """Yield tokens in and out, without end; the same for the same seed. None is below 1."""
        chance = random.Random(seed)  # noqa: S311 - traffic, not a secret
        while True:
            yield self._one(chance, self.input), self._one(chance, self.output)

    def _one(self, chance: random.Random, mean: int) -> int:
        if not self.spread:
            return mean
        # A lognormal of this mean and coefficient of variation: σ² = ln(1 + spread²), μ = ln(mean) - σ²/2.
        variance = math.log1p(self.spread * self.spread)
        return max(1, round(chance.lognormvariate(math.log(mean) - variance / 2, math.sqrt(variance))))
