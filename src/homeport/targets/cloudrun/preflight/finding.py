"""What was found before anything was created."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from homeport.errors import ApiDisabled, HomeportError, PermissionDenied
from homeport.json_types import Json, JsonObject

_OF_A_REGION = frozenset({"region", "quota", "bucket", "repository", "service", "subnetwork"})
"""Subjects that are another thing in each region, though the same may be said of it."""


class PreflightVerdict(StrEnum):
    """What came of looking."""

    OK = "ok"
    PROBLEM = "problem"
    """A deployment would fail, or would not be what was asked for."""
    WARNING = "warning"
    """It may go wrong, or will at a later step."""
    NOT_CHECKED = "not checked"
    """Nobody knows: `text` says why. Never counted as fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightFinding:
    """One thing that was looked at."""

    subject: str
    """What it is about, such as `billing` or `quota/CpuAllocPerProjectRegion`."""
    verdict: PreflightVerdict
    text: str
    """What was found, or why it was not checked."""
    hint: str = ""
    """What to do: the exact command or key; '' where nothing is to be done."""
    data: Mapping[str, Json] = field(default_factory=dict)
    """What the text rests on."""

    def as_json(self) -> JsonObject:
        """Return the finding as `--json` prints it."""
        return {
            "subject": self.subject,
            "verdict": self.verdict.value,
            "text": self.text,
            "hint": self.hint,
            "data": dict(self.data),
        }


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was looked at, in the order of the checks."""

    all: tuple[PreflightFinding, ...]

    @property
    def problems(self) -> tuple[PreflightFinding, ...]:
        """Return the findings that must be mended first."""
        return self._of(PreflightVerdict.PROBLEM)

    @property
    def warnings(self) -> tuple[PreflightFinding, ...]:
        """Return the findings that may go wrong."""
        return self._of(PreflightVerdict.WARNING)

    @property
    def unchecked(self) -> tuple[PreflightFinding, ...]:
        """Return the findings that could not be checked."""
        return self._of(PreflightVerdict.NOT_CHECKED)

    @property
    def quotas(self) -> tuple[str, ...]:
        """Return what the project's quotas leave, of those that suffice: what does not is a problem."""
        enough = {PreflightVerdict.OK, PreflightVerdict.WARNING}
        return tuple(
            finding.text.partition(";")[0]
            for finding in self.all
            if finding.subject.startswith("quota/") and finding.verdict in enough
        )

    def and_in(self, region: str, there: Findings) -> Findings:
        """Return these with what was found of a further region, which says so; what was found of both alike is there once."""
        known = {(finding.subject, finding.text) for finding in self.all}
        more = (
            replace(finding, subject=f"{finding.subject} in {region}")
            for finding in there.all
            if (finding.subject, finding.text) not in known
            or finding.subject.partition("/")[0] in _OF_A_REGION
        )
        return Findings((*self.all, *more))

    def stop(self) -> None:
        """Raise `HomeportError` with all findings that stand in the way, if any do."""
        if not self.problems:
            return
        lines = "".join(f"\n  {finding.subject}: {finding.text}" for finding in self.problems)
        raise HomeportError(
            f"it cannot be deployed as it is:{lines}",
            hint="; ".join(dict.fromkeys(finding.hint for finding in self.problems if finding.hint)),
        )

    def as_json(self) -> JsonObject:
        """Return the findings as `--json` prints them."""
        return {
            "problems": len(self.problems),
            "warnings": len(self.warnings),
            "not_checked": len(self.unchecked),
            "findings": [finding.as_json() for finding in self.all],
        }

    def _of(self, verdict: PreflightVerdict) -> tuple[PreflightFinding, ...]:
        return tuple(finding for finding in self.all if finding.verdict is verdict)


def ok(subject: str, text: str, **data: Json) -> PreflightFinding:
    """Return a finding: it is as it must be."""
    return PreflightFinding(subject=subject, verdict=PreflightVerdict.OK, text=text, data=data)


def problem(subject: str, text: str, hint: str, **data: Json) -> PreflightFinding:
    """Return a finding: it must be mended first."""
    return PreflightFinding(
        subject=subject, verdict=PreflightVerdict.PROBLEM, text=text, hint=hint, data=data
    )


def warning(subject: str, text: str, hint: str, **data: Json) -> PreflightFinding:
    """Return a finding: it may go wrong."""
    return PreflightFinding(
        subject=subject, verdict=PreflightVerdict.WARNING, text=text, hint=hint, data=data
    )


def not_checked(subject: str, why: str, hint: str = "", **data: Json) -> PreflightFinding:
    """Return a finding that says that it could not be checked, and why."""
    return PreflightFinding(
        subject=subject, verdict=PreflightVerdict.NOT_CHECKED, text=why, hint=hint, data=data
    )


def unseen(subject: str, error: HomeportError) -> PreflightFinding:
    """Return what could not be looked at for this error: an API that is off, something that the caller may not see."""
    if isinstance(error, ApiDisabled):
        return not_checked(subject, f"its API is off: {error}", error.hint)
    if isinstance(error, PermissionDenied):
        return not_checked(subject, f"you may not see it: {error}", error.hint)
    return not_checked(subject, f"it could not be read: {error}", error.hint)
