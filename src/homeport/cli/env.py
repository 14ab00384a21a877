"""homeport env"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, file_option, json_option, name_argument, on_option

if TYPE_CHECKING:
    from homeport.deployment import Deployment
    from homeport.endpoint import Endpoint


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

    from homeport.cli.session import with_endpoint

    terminal = app.terminal(json_output=json_output)
    endpoint, public = with_endpoint(terminal, name, file, on, _found)
    if endpoint.identity is None:
        data = variables = endpoint.env()
    else:
        variables, proxy, note = through_proxy(endpoint, public=public)
        data = {**variables, "service": endpoint.base_url, "proxy": proxy}
        terminal.say(note)
    text = "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
    terminal.secret_result(text, data)  # That is what it is for.


async def _found(one: Deployment) -> tuple[Endpoint, bool]:
    return await one.connect(), one.target.spec.access.public


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
