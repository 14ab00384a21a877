"""What is checked, and what came of it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from homeport.catalog import Model
from homeport.endpoint import Endpoint
from homeport.json_types import Json, JsonObject

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What may not stand in XML, not even escaped: a model's answer can hold it."""


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOTED = "noted"
    """Seen to be otherwise than clients may expect, and not promised: told, and never counted as passed or failed."""
    SKIPPED = "skipped"
    """Not checked, with the reason. Never counted as passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSubject:
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
    weights_unlike: str = ""
    """Why they are not the weights that the catalog pins by their sha256; '' where they are, or where it pins none."""
    adapters: tuple[str, ...] = ()
    """The names under which LoRA adapters are served as models of their own."""
    sees: bool = False
    """Whether a chat may hold images."""
    hears: bool | None = False
    """Whether a chat may hold sound; None where its weights say so, and nobody here has tried the engine."""
    behind_gateway: bool = False
    """Whether homeport's gateway screens before it: it refuses pictures, sound and likelihoods of tokens, whatever the engine does."""
    applied_adapters: tuple[str, ...] = ()
    """The names of LoRA adapters that the engine applies to whatever is asked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check saw."""

    outcome: Outcome
    detail: str
    """One line: what was seen, or why it was skipped or failed."""
    evidence: Mapping[str, Json] = field(default_factory=dict)
    """What the detail rests on, as JSON: statuses, counts, excerpts."""


def passed(detail: str, /, **evidence: Json) -> Finding:
    """Return a finding: it is as promised."""
    return Finding(Outcome.PASSED, detail, evidence)


def failed(detail: str, /, **evidence: Json) -> Finding:
    """Return a finding: it is not as promised."""
    return Finding(Outcome.FAILED, detail, evidence)


def noted(detail: str, **evidence: Json) -> Finding:
    """Return a finding: it is otherwise than clients may expect, which was not promised."""
    return Finding(Outcome.NOTED, detail, evidence)


def skipped(reason: str, /, **evidence: Json) -> Finding:
    """Return a finding: it was not checked, or cannot be judged."""
    return Finding(Outcome.SKIPPED, reason, evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A check's finding, with its name and time."""

    name: str
    title: str
    outcome: Outcome
    detail: str
    seconds: float
    evidence: Mapping[str, Json]

    def as_json(self) -> JsonObject:
        """Return the result as `--json` prints it."""
        return {
            "name": self.name,
            "title": self.title,
            "outcome": self.outcome,
            "detail": self.detail,
            "seconds": round(self.seconds, 3),
            "evidence": dict(self.evidence),
        }


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
        """Tell whether no check failed and at least one passed."""
        outcomes = {result.outcome for result in self.results}
        return Outcome.PASSED in outcomes and Outcome.FAILED not in outcomes

    def as_json(self) -> JsonObject:
        """Return the report as `--json` prints it."""
        return {
            "endpoint": self.endpoint,
            "model": self.model,
            "engine": self.engine,
            "weights_digest": self.weights_digest,
            "started_at": self.started_at,
            "seconds": round(self.seconds, 3),
            "passed": self.passed,
            "results": [result.as_json() for result in self.results],
        }

    def as_junit(self) -> str:
        """Return the report as JUnit XML: one test case a check."""
        from xml.etree import ElementTree as ET

        counts = {outcome: str(sum(r.outcome is outcome for r in self.results)) for outcome in Outcome}
        suite = ET.Element(
            "testsuite",
            name=f"homeport verify {self.endpoint}",
            tests=str(len(self.results)),
            failures=counts[Outcome.FAILED],
            skipped=counts[Outcome.SKIPPED],
            errors="0",
            time=f"{self.seconds:.3f}",
            timestamp=self.started_at,
        )
        for result in self.results:
            case = ET.SubElement(
                suite,
                "testcase",
                classname=f"homeport.{self.engine}",
                name=result.name,
                time=f"{result.seconds:.3f}",
            )
            detail = _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", result.detail)
            if result.outcome in {Outcome.PASSED, Outcome.NOTED}:
                ET.SubElement(case, "system-out").text = detail
            else:
                tag = "failure" if result.outcome is Outcome.FAILED else "skipped"
                ET.SubElement(case, tag, message=detail)
        ET.indent(suite)
        # Declared here: ElementTree would name the locale's encoding. The caller writes the text as UTF-8.
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTimer:
    """When checking began."""

    at: str
    """ISO 8601, UTC."""
    ticks: float

    @classmethod
    def now(cls) -> RunTimer:
        """Return a timer of a report that begins."""
        return cls(at=datetime.now(UTC).isoformat(timespec="seconds"), ticks=time.monotonic())

    def report(self, subject: VerificationSubject, results: Iterable[Result]) -> Report:
        """Return the report of what was checked since."""
        return Report(
            endpoint=subject.endpoint.name,
            model=subject.endpoint.model,
            engine=subject.engine,
            weights_digest=subject.weights_digest,
            started_at=self.at,
            seconds=time.monotonic() - self.ticks,
            results=tuple(results),
        )
