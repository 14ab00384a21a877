"""What checks found, as people read it."""

from __future__ import annotations

from homeport.printable import printable
from homeport.verify import Outcome, Report, Result

_MARKS = {Outcome.PASSED: "✓", Outcome.FAILED: "✗", Outcome.NOTED: "!", Outcome.SKIPPED: "–"}


def result_line(result: Result) -> str:
    """Describe the outcome of one check, in a line."""
    detail = printable(" ".join(result.detail.split()), keep="")
    return f"  {_MARKS[result.outcome]} {result.title}: {detail} ({result.seconds:.1f} s)"


def report_summary(report: Report) -> str:
    """Return how many checks passed, failed and were skipped."""
    counts = {outcome: sum(result.outcome is outcome for result in report.results) for outcome in Outcome}
    verdict = "verified" if report.passed else "NOT verified"
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in Outcome if counts[outcome]]
    return f"{verdict}: {', '.join(parts)} in {report.seconds:.0f} s"
