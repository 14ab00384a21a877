"""How long an engine takes for one step, by what is in it: a step reads the weights and the KV cache once for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

MOST_BATCH = 1024
"""Requests at once for which steps are known."""


FOREVER = 1 << 60
"""Steps."""


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """
    Seconds of a step: `overhead_s` plus the longer of what memory and what arithmetic take.

    Memory: `weights_s(batch)` for the weights, `cached_token_s` for each token in the cache, `window_s` for each
    request's sliding windows. Arithmetic: `token_s` for each token that passes the model, `pair_s` for each pair of
    a prompt's token and one before it.
    """

    overhead_s: float
    weights_s: Callable[[int], float]
    """By the tokens of the step: a mixture of experts reads more of itself for more tokens."""
    cached_token_s: float
    window_s: float
    token_s: float
    pair_s: float
    how: str
    """The arithmetic in words, with where its figures are from."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a step that would take no time."""
        if self.overhead_s + self.weights_s(1) + self.token_s <= 0:
            raise ValueError("a step must take some time")

    def prefill(self, prompt_tokens: int, pairs: float, decoding: int, cached: int) -> float:
        """Return the seconds of a step that reads `prompt_tokens` of prompts beside `decoding` requests."""
        tokens = prompt_tokens + decoding
        weights = (
            self.all_weights_s if tokens >= MOST_BATCH else self.tables[tokens][0] - self.window_s * tokens
        )
        memory = weights + self.cached_token_s * cached + self.window_s * decoding
        arithmetic = self.token_s * tokens + self.pair_s * pairs
        return self.overhead_s + max(memory, arithmetic)

    def decode(self, batch: int, cached: int) -> tuple[float, float, int]:
        """
        Return the pace of steps in which `batch` requests decode, from `cached` tokens in the cache on.

        It is the seconds of any such step, those more for each token in the cache, and for how many steps that holds:
        from then on the cache's size decides.
        """
        fixed, arithmetic = self.tables[batch]
        per_token = self.cached_token_s
        short = arithmetic - fixed - per_token * cached
        if short <= 0:
            return self.overhead_s + fixed, per_token, FOREVER
        holds = int(short / (per_token * batch)) + 1 if per_token else FOREVER
        return self.overhead_s + arithmetic, 0.0, holds

    @cached_property
    def tables(self) -> list[tuple[float, float]]:
        """Return for each batch the seconds of memory beside the cache, and of arithmetic."""
        return [
            (self.weights_s(batch) + self.window_s * batch, self.token_s * batch)
            for batch in range(MOST_BATCH + 1)
        ]

    @cached_property
    def all_weights_s(self) -> float:
        """Return the seconds in which a step with many tokens reads the weights."""
        return self.weights_s(MOST_BATCH)


def paced(seconds: float, *, token_s: float = 0.0, how: str = "a fixed pace") -> StepTime:
    """Return steps of always `seconds`, and `token_s` more for each token in them, of prompts and of answers."""
    return StepTime(
        overhead_s=seconds,
        weights_s=lambda _: 0.0,
        cached_token_s=0.0,
        window_s=0.0,
        token_s=token_s,
        pair_s=0.0,
        how=how,
    )
