"""Proof that an endpoint is what it promises: small independent checks, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from homeport.catalog import Model
from homeport.endpoint import Endpoint


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not checked, with the reason. Never counted as passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An endpoint together with what it promises; what the checks hold it to."""

    endpoint: Endpoint
    model: Model
    engine: str
    """llamacpp, vllm or ollama."""
    context: int
    """Tokens that one request may use, prompt and answer together."""
    parallel: int
    """Requests served at once."""
    tools: bool
    """Whether tool calls are promised: the model was trained for them and the engine parses them."""
    weights_path: str
    """What the engine was told to load."""
    weights_digest: str
    """The manifest's digest, or '' where the engine keeps its weights itself (Ollama's library)."""
    weights_intact: bool
    """Whether the files on disk are, by size and time of change, those that were checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one check found."""

    name: str
    title: str
    outcome: Outcome
    detail: str
    """One line: what was seen, or why it was skipped or failed."""
    seconds: float
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """What the detail rests on, as JSON: statuses, counts, excerpts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All results, in the order of the checks."""

    endpoint: str
    model: str
    engine: str
    weights_digest: str
    started_at: str
    """ISO 8601, UTC."""
    seconds: float
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """No check failed, and at least one passed."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        raise NotImplementedError

    def as_junit(self) -> str:
        """The report as JUnit XML: one test case a check."""
        raise NotImplementedError


async def verify(subject: Subject, *, only: tuple[str, ...] = ()) -> Report:
    """The report of all checks, or of those named in `only`."""
    raise NotImplementedError
