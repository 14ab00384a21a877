"""homeport env"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, file_option, is_given, json_option, name_argument, on_option
from homeport.clients import CLIENTS, SHELLS, exported, settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint
    from homeport.terminal import Terminal


@click.command("env")
@name_argument
@file_option
@on_option
@json_option
@click.option("--for", "client", type=click.Choice(CLIENTS), help="What this client reads.")
@click.option(
    "--as", "as_client", metavar="CLIENT", help="Whose key is printed, of the clients of an API gateway."
)
@click.option(
    "--shell", type=click.Choice(SHELLS), default="bash", show_default=True, help="Whose words are printed."
)
@click.option(
    "--write", is_flag=True, help="With --for: write the file that the client reads, if it reads one."
)
@click.pass_obj
def command(
    app: CliContext, /, name: str | None, file: Path, on: str, json_output: bool, **how: Any
) -> None:  # Any: what click has read
    """
    Print what OpenAI clients read: eval "$(homeport env)". The key, if there is one, is printed in clear.

    For a private endpoint on Cloud Run they name the local port that `homeport proxy` has opened, and its key; with --as those
    of a client of its API gateway.
    """
    from homeport.cli.session import with_endpoint

    if how["write"] and how["client"] is None:
        raise click.UsageError("--write wants --for CLIENT: it writes the file that this client reads.")

    if how["client"] == "dotenv" and is_given("shell"):
        raise click.UsageError(
            "--for dotenv prints the lines of a file, and --shell the words of a shell: not both. "
            "`homeport env --shell …` sets the same variables."
        )
    if how["as_client"] is not None and how["client"] is not None:
        raise click.UsageError(
            "--as prints what a client of an API gateway comes with, and --for writes of a key as a token: not both."
        )
    if json_output and is_given("shell"):
        raise click.UsageError(
            "--shell says in which words variables are set, and --json prints none: not both."
        )
    terminal = app.terminal(json_output=json_output)
    if how["as_client"] is not None:
        keyed = with_endpoint(terminal, name, file, on, partial(_come_as, how["as_client"]))
        terminal.secret_result(exported(keyed, how["shell"]), keyed)
        return
    endpoint, public = with_endpoint(terminal, name, file, on, _connect)
    if endpoint.identity is None:
        data = variables = endpoint.env()
    else:
        variables, proxy, note = through_proxy(endpoint, public=public)
        data = {**variables, "service": endpoint.base_url, "proxy": proxy}
        terminal.say(note)
    if how["client"] is not None:
        _tell_client(terminal, how, variables)
        return
    variables = {**variables, "OPENAI_API_BASE": variables["OPENAI_BASE_URL"]}
    data = {**data, "OPENAI_API_BASE": variables["OPENAI_BASE_URL"]}
    terminal.secret_result(exported(variables, how["shell"]), data)  # That is what it is for.


def _tell_client(
    terminal: Terminal, how: Mapping[str, Any], variables: Mapping[str, str]
) -> None:  # Any: what click has read
    """Print what one client is told; with `write`, write its file. Raises `StateError` for one that is there."""
    from homeport.errors import StateError
    from homeport.home import write_private, writing

    client = settings(how["client"], variables, home=Path.home(), folder=Path.cwd())
    printed = client.text.rstrip() if how["client"] == "dotenv" else exported(client.variables, how["shell"])
    terminal.secret_result(printed, client.variables)
    for line in client.say:
        terminal.say(f"# {line}")
    if client.file is None:
        return
    if not how["write"]:
        terminal.say(f"# {client.file}, which --write writes:")
        if how["client"] == "dotenv":  # Its file's own lines are what was printed: `>> .env` is right, too.
            terminal.say(
                "# by >> it may come to be readable by others, until: chmod 600 .env. "
                'No shell exports these lines: there it is eval "$(homeport env)"'
            )
        else:
            terminal.say(client.text.replace(variables["OPENAI_API_KEY"], "…").rstrip())
        return
    if client.file.exists():
        raise StateError(
            f"{client.file} is there already, and is not written over",
            hint="add to it what the same command shows without --write",
        )
    with writing(client.file):
        client.file.parent.mkdir(parents=True, exist_ok=True)
    write_private(client.file, client.text)
    terminal.say(f"wrote {client.file}")


async def _come_as(client: str, deployment: Deployment) -> dict[str, str]:
    from homeport.targets.cloudrun.api_gateway.client import client_variables

    return await client_variables(deployment.target, client)


async def _connect(deployment: Deployment) -> tuple[Endpoint, bool]:
    return await deployment.connect(), deployment.target.spec.access.public


def through_proxy(endpoint: Endpoint, *, public: bool) -> tuple[dict[str, str], str, str]:
    """
    Return what OpenAI clients read to reach an endpoint that takes an identity, the proxy's address for them
    ('' where none runs), and the same in words.

    The variables are those of the proxy that runs, with its key, since none of them can hold a token that ends after an
    hour; a `public` endpoint's are its own. Raises `NotRunning` where there is no proxy.
    """
    from homeport.cli.context import as_rehearsed
    from homeport.errors import NotRunning
    from homeport.home import find_home
    from homeport.proxy import HOST, record

    running = record.find(find_home().root, endpoint.root_url)
    at = f"http://{HOST}:{running.port}" if running else ""
    address = f"{at}/v1" if at else ""
    if public:
        note = f"{endpoint.name} is public: anybody may call it at its own address"
        return endpoint.env(proxy=endpoint.root_url), address, note
    if running is None:
        raise NotRunning(
            f"{endpoint.name} is private, and no proxy of yours stands before it: its key is made when it starts",
            hint=as_rehearsed(
                "`homeport proxy` in another terminal opens a port, and prints the same variables"
            ),
        )
    note = f"{endpoint.name} is private: these work while `homeport proxy` runs, which adds your identity on {address}"
    return endpoint.env(proxy=at, proxy_key=running.key), address, note
