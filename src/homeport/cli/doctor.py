"""homeport doctor"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, json_option, on_option, project_option

if TYPE_CHECKING:
    from homeport.terminal import Terminal


@click.command("doctor")
@on_option
@click.option(
    "--contract", is_flag=True, help="Hold Google Cloud to what homeport relies on: with --on cloudrun."
)
@project_option
@json_option
@click.pass_obj
def command(app: CliContext, on: str, contract: bool, project: str, json_output: bool) -> int:
    """
    Show what this machine has and lacks. Exits with 14 where no engine can run.

    With --on cloudrun --contract it tries, in a project of yours, what homeport relies on in Google Cloud, in about
    ten minutes and for less than two dollars, and removes what it made; --json is a report to send. Exits with 3 where
    Google does otherwise.
    """
    from homeport.deployment import require
    from homeport.targets.base import Capability

    require(on, {Capability.CONTRACT: contract, Capability.MACHINE: not contract})
    terminal = app.terminal(json_output=json_output)
    return _contract(terminal, project) if contract else _machine(terminal)


def _machine(terminal: Terminal) -> int:
    from homeport import doctor
    from homeport.errors import EngineMissing

    findings = doctor.examine()
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


def _contract(terminal: Terminal, project: str) -> int:
    import os

    from homeport import contract, google, sync
    from homeport.errors import SpecError, VerificationFailed

    marks = {
        contract.ClauseVerdict.HOLDS: "✓",
        contract.ClauseVerdict.BROKEN: "✗",
        contract.ClauseVerdict.TOLD: "·",
        contract.ClauseVerdict.NOT_TRIED: "–",
    }

    def tell(clause: contract.ClauseFinding) -> None:
        # What may be left is said at once: after a break-off there is no result that would name it.
        left = f": {clause.detail}" if clause.left else ""
        terminal.say(f"{marks[clause.verdict]} {clause.text}{left}")

    async def held() -> list[contract.ClauseFinding]:
        async with await google.from_env(os.environ, project=project) as door:
            if not door.project:
                raise SpecError(
                    "no project is named", hint="give --project PROJECT, or export GOOGLE_CLOUD_PROJECT=…"
                )
            return await contract.hold(door, tell)

    findings = sync.run(held())
    lines = [
        f"{marks[finding.verdict]} {finding.text}: {finding.detail}" for finding in findings if finding.detail
    ]
    count = sum(finding.verdict is contract.ClauseVerdict.HOLDS for finding in findings)
    lines += [f"{count} of {contract.RELIED_ON} clauses hold", "not tried here, with what it would need:"]
    lines += [f"  {question}: {need}" for question, need in contract.UNTRIED]
    untried = [{"question": question, "needs": need} for question, need in contract.UNTRIED]
    data = {"clauses": [finding.as_json() for finding in findings], "untried": untried}
    terminal.result("\n".join(lines), data)
    broken = any(finding.verdict is contract.ClauseVerdict.BROKEN for finding in findings)
    return VerificationFailed.exit_code if broken else 0
