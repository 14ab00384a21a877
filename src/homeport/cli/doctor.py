"""homeport doctor"""

from __future__ import annotations

import click

from homeport.cli.context import CliContext, json_option


@click.command("doctor")
@json_option
@click.pass_obj
def command(app: CliContext, json_output: bool) -> int:
    """Show what this machine has and lacks. Exits with 14 where no engine can run."""
    from homeport import doctor
    from homeport.errors import EngineMissing

    findings = doctor.examine()
    terminal = app.terminal(json_output=json_output)
    marks = {
        doctor.DoctorVerdict.GOOD: "✓",
        doctor.DoctorVerdict.LACKING: "✗",
        doctor.DoctorVerdict.OPTIONAL: "–",
    }
    width = max(len(finding.what) for finding in findings)
    lines = [
        f"{marks[f.verdict]} {f.what.ljust(width)}  {f.detail}" + (f"\n    do: {f.hint}" if f.hint else "")
        for f in findings
    ]
    terminal.result("\n".join(lines), [finding.as_json() for finding in findings])
    lacking = any(finding.verdict is doctor.DoctorVerdict.LACKING for finding in findings)
    return EngineMissing.exit_code if lacking else 0
