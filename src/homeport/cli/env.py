"""homeport env"""

from __future__ import annotations

from pathlib import Path

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option


@click.command("env")
@name_argument
@file_option
@on_option
@json_option
@click.pass_obj
def command(app: CliContext, name: str | None, file: Path, on: str, json_output: bool) -> None:
    """
    Print what OpenAI clients read: eval "$(homeport env)". The key, if there is one, is printed in clear.

    For a private endpoint on Cloud Run they name the local port that `homeport proxy` has opened, and its key.
    """
    import shlex

    from homeport import lifecycle
    from homeport.cli.context import check_name, meant

    terminal = app.terminal(json_output=json_output)
    if on == "cloudrun":
        check_name(name, file)
        from homeport.cli import cloud
        from homeport.spec import load

        endpoint = lifecycle.run(cloud.endpoint(file))
        variables, proxy, said = cloud.clients_env(endpoint, public=load(file).access.public)
        data = {**variables, "service": endpoint.base_url, "proxy": proxy}
        terminal.say(said)
    else:
        data = variables = lifecycle.connect(meant(name, file)).env()
    text = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
    terminal.secret_result(text, data)  # That is what it is for.
