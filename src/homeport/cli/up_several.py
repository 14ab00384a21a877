"""homeport up FILE FILE …: several endpoints on this machine, counted together and brought up one after the other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from homeport.results import UpResult
    from homeport.terminal import Terminal


def bring_up(terminal: Terminal, files: tuple[Path, ...], up: Callable[[Path], UpResult]) -> int:
    """
    Return the exit code of bringing up all `files`: 0, or 3 where a check of one has failed.

    Raises before anything is started where they do not go together. Where one cannot be brought up, those before it stay.
    """
    from homeport.cli.session import with_file
    from homeport.cli.show import up_text
    from homeport.cli.show_report import report_summary
    from homeport.errors import HomeportError, VerificationFailed
    from homeport.targets.local.together import ensure_together

    plans = {file: with_file(terminal, file, "local", lambda deployment: deployment.plan()) for file in files}
    for note in ensure_together(plans):
        terminal.note(note)
    results: list[UpResult] = []
    for file, plan in plans.items():
        terminal.say(f"{plan.name} ({file})")
        try:
            results.append(up(file))
        except HomeportError:
            stay = ", ".join(result.endpoint.name for result in results)
            terminal.say(
                f"{stay} stay up; `homeport down NAME` takes one away" if stay else "nothing was brought up"
            )
            raise
        report = results[-1].report
        if report is not None:
            terminal.say(f"  {report_summary(report)}")
    terminal.result("\n\n".join(map(up_text, results)), [result.as_json() for result in results])
    failed = any(result.report is not None and not result.report.passed for result in results)
    return VerificationFailed.exit_code if failed else 0
