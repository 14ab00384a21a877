"""homeport cold-start"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from homeport.cli.context import CliContext, json_option


@click.group("cold-start")
def command() -> None:
    """Correct the expected cold start, which comes from published figures, by starts that you measured."""


@command.command("calibrate")
@click.argument("reports", nargs=-1, required=True, type=click.Path(dir_okay=False, path_type=Path))
@json_option
@click.pass_obj
def calibrate(app: CliContext, reports: tuple[Path, ...], json_output: bool) -> int:
    """
    Fold REPORTS of `homeport verify --cold --json` into what plan, fit, capacity and verify expect.

    Each start counts once. The factor of an engine and a way of its weights is the geometric mean of measured over expected.
    """
    from homeport.fit.own_starts import fold_in, read_report

    terminal = app.terminal(json_output=json_output)
    corrections = fold_in([read_report(path) for path in reports])
    lines = [
        f"{correction.engine}, weights {correction.delivery}: {correction.starts} start{'s' if correction.starts > 1 else ''} of your own; times "
        f"{correction.factor_before:.2f} before, times {correction.factor:.2f} now; half of them are off by at most {correction.error:.0%}, before "
        f"{correction.error_before:.0%}"
        for correction in corrections
    ]
    terminal.result("\n".join(lines), [asdict(correction) for correction in corrections])
    return 0


@command.command("list")
@json_option
@click.pass_obj
def list_(app: CliContext, json_output: bool) -> int:
    """List the starts that were folded in."""
    from homeport.fit.own_starts import folded_starts

    starts = folded_starts()
    lines = [
        f"{start.started_at} {start.endpoint}: {start.seconds:.1f} s, times {start.ratio:.2f}; {start.engine}, weights {start.delivery}"
        for start in starts
    ]
    nothing = "no start of yours was folded in; `homeport verify --on cloudrun --cold --json > FILE.json` measures one"
    app.terminal(json_output=json_output).result(
        "\n".join(lines) or nothing, [asdict(start) for start in starts]
    )
    return 0


@command.command("forget")
@json_option
@click.pass_obj
def forget_(app: CliContext, json_output: bool) -> int:
    """Forget them: what is expected comes from published figures alone again."""
    from homeport.fit.own_starts import forget

    gone = forget()
    words = "forgotten" if gone else "nothing to forget: no start of yours was folded in"
    app.terminal(json_output=json_output).result(words, {"forgotten": gone})
    return 0
