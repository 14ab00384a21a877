"""homeport down"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import (
    CliContext,
    file_option,
    json_option,
    name_argument,
    on_option,
    project_option,
    yes_option,
)


@click.command("down")
@name_argument
@file_option
@on_option
@json_option
@yes_option
@click.option("--purge", is_flag=True, help="Remove its weights, too; on Cloud Run also the hub's token.")
@project_option
@click.pass_obj
def command(
    app: CliContext,
    /,
    name: str | None,
    file: Path,
    on: str,
    json_output: bool,
    yes: bool,
    purge: bool,
    project: str,
) -> None:
    """
    End an endpoint, with all its processes: shown first, then asked. Weights stay, unless --purge.

    On Cloud Run everything that carries its mark goes, in whichever region; with a NAME no file is needed.
    """
    from homeport import lifecycle
    from homeport.cli.approval import asking
    from homeport.cli.context import meant
    from homeport.cli.show import teardown_text

    terminal = app.terminal(json_output=json_output)
    approve = asking(terminal, yes=yes, text=teardown_text, question="end it?", default=False)
    if on == "cloudrun":
        from homeport.cli.cloud import taken_down

        gone = taken_down(terminal, name, file, project=project, purge=purge, approve=approve)
        terminal.close()
        text = "\n".join(f"removed {what}" for what in gone) or "nothing of it is there"
        kept = "" if purge else "; weights and the hub's token stay, if there are any: --purge removes them"
        terminal.result(text, {"removed": list(gone), "left": []})
        terminal.say(f"left: nothing{kept}")
        return
    chosen = meant(name, file)
    gone = lifecycle.run(lifecycle.take_down(chosen, purge=purge, approve=approve, progress=terminal))
    text = "\n".join(f"removed {what}" for what in gone) or f"{chosen} does not run; nothing to remove"
    terminal.result(text, {"name": chosen, "removed": list(gone)})
