"""homeport env"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import App, file_option, json_option, name_argument


@click.command("env")
@name_argument
@file_option
@json_option
@click.pass_obj
def command(app: App, name: str | None, file: Path, json_output: bool) -> None:
    """Print what OpenAI clients read: eval "$(homeport env)". The key, if there is one, is printed in clear."""
    import shlex

    from homeport import lifecycle
    from homeport.cli.context import meant

    variables = lifecycle.connect(meant(name, file)).env()
    text = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
    app.terminal(json_output=json_output).result(text, variables)
