"""Result of a bench: what was measured, of what, with what; kept as JSON beside the endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from homeport.bench.level import LevelResult
from homeport.json_types import JsonObject
from homeport.targets import registry
from homeport.words import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class KneeResult:
    """The least load that gives all but a twentieth of the most goodput, of those that were measured."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    users: int
    goodput: float
    """Requests a second within the objectives, the most that were seen."""
    searched: bool
    """Whether the search found it; else it may lie elsewhere."""
    why: str
    """Why it did not, or ''."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """With what it was measured."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    endpoint: str
    model: str
    on: str
    """The target, such as `local`."""
    engine: str
    """'' where nobody told."""
    engine_version: str
    max_instances: int | None
    """How many instances may have answered; None where that is not known."""
    machine: str
    """Where the client ran, in words; for an endpoint on this machine, the engine as well."""
    homeport: str
    input: int | None
    """Tokens of each prompt; None where each has a length of its own, as in the trace."""
    output: int | None
    """Tokens of each answer; None where each has a length of its own, as in the trace."""
    template_tokens: int
    """Tokens of each prompt that are the chat template's."""
    exact_prompts: bool
    """Whether the engine's count of tokens made the prompts; else their lengths are a guess."""
    ignores_eos: bool
    """Whether the server takes `ignore_eos`, with which answers have their full length."""
    shared: int
    slo: str
    seed: int
    started_at: str
    gpu: str | None = None
    """The GPU of an instance, such as nvidia-l4; None where it is not known, as in a file of before this was written down."""
    rehearsed: bool | None = None
    """Whether this machine stood in for the target, of which the figures then say nothing; None in a file of before this was written down."""
    arrivals: str | None = None
    """A digest of the times and lengths of an open loop's requests; None without one, and in a file of before this was written down."""

    @property
    def lengths(self) -> str:
        """Return the lengths of its requests in words."""
        if self.input is None or self.output is None:
            return "lengths as the trace"
        return f"{self.input} tokens in and {self.output} out"

    @property
    def where(self) -> str:
        """Return the target in words."""
        if self.rehearsed is None and self.on in registry.CLOUDS:
            return f"{self.on}, perhaps rehearsed"
        return f"{self.on}, rehearsed" if self.rehearsed else self.on


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """The first requests, which are in no other figure: an engine compiles, allocates and caches with them."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    requests: int
    first_ttft_s: float | None
    """Of the very first one."""
    last_ttft_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchResult:
    """All of it. `version` goes up when its shape changes so that older readers would be wrong."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    version: int
    setting: Setting
    warm_up: WarmUp
    levels: tuple[LevelResult, ...]
    """Each load that was measured, by users where there are some."""
    knee: KneeResult | None
    engine_metrics: Mapping[str, float]
    """What the engine itself counted over all of it, as far as it tells: counters of its metrics, by how much they grew."""

    @property
    def valid(self) -> bool:
        """Tell whether each load is a result: the best of them, as the knee, is one only beside those that it is compared with."""
        return all(level.valid for level in self.levels)

    @property
    def said_of_knee(self) -> str:
        """Return the knee in a sentence, or why there is none; '' where none was sought."""
        knee = self.knee
        if knee is None:
            return ""
        if not knee.searched:
            most = max(level.users or 0 for level in self.levels)
            return f"No knee found up to {counted(most, 'user')}: {knee.why}."
        return f"The knee: {counted(knee.users, 'user')}; more of them give no more than {knee.goodput:.3g} requests a second."

    @property
    def best(self) -> LevelResult | None:
        """Return the load at the knee; else the one with the most tokens a second."""
        knee = self.knee
        if knee is not None:
            return next((level for level in self.levels if level.users == knee.users), None)
        return max(self.levels, key=lambda level: level.rates["output_tokens"].mean, default=None)

    def as_json(self) -> JsonObject:
        """Return it as `--json` prints it and as it is kept."""
        document: JsonObject = TypeAdapter(BenchResult).dump_python(self, mode="json")
        return document
