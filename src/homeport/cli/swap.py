"""homeport swap"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, hub_token_option, json_option, on_option, yes_option


@click.command("swap")
@click.argument("model")
@file_option
@on_option
@json_option
@yes_option
@click.option(
    "--canary", default="", metavar="10,50", help="On Cloud Run: percents of traffic on the way to all of it."
)
@hub_token_option
@click.pass_obj
def command(
    app: CliContext,
    /,
    model: str,
    file: Path,
    on: str,
    json_output: bool,
    yes: bool,
    canary: str,
    hub_token_stdin: bool,
) -> int:
    """
    Serve another MODEL: beside the old one, verified without traffic, then instead of it.

    The file is changed when the new one serves. On this machine the new one is verified on a spare port, or
    takes the place of the old one where memory does not hold both: the plan says which, as `homeport plan --model MODEL` does. The
    gap is measured.
    """
    from homeport import naming
    from homeport.cli import hub_token
    from homeport.cli.session import with_file
    from homeport.cli.up import percents, run_with_approval, tell
    from homeport.home import write_whole
    from homeport.spec.edit import edited
    from homeport.targets.base import UpOptions

    naming.ensure_model(model)
    terminal = app.terminal(json_output=json_output)
    work = partial(
        run_with_approval, terminal=terminal, options=UpOptions(canary=percents(canary)), yes=yes, model=model
    )
    token = hub_token.from_stdin(on, wanted=hub_token_stdin)
    keys = [("", "model", json.dumps(model, ensure_ascii=False))]
    edited(file, keys)  # Before anything is changed: what serves would be one thing, and the file another.
    code = tell(terminal, with_file(terminal, file, on, work, hub_token=token))
    after = edited(file, keys)
    if after != file.read_text("utf-8"):
        write_whole(file, after)
        terminal.say(f"wrote model = {model!r} to {file}")
    return code
