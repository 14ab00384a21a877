"""homeport proxy"""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, file_option, json_option
from homeport.cli.service_url import service_at

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.proxy.record import Running
    from homeport.terminal import Terminal

PORT = 8384
"""Where it listens unless told otherwise; `homeport env --on cloudrun` names it, too."""


@click.command("proxy")
@file_option
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 for any.")
@click.option("--url", help="Any private Cloud Run service, instead of the file's.")
@click.option(
    "--audience",
    default="",
    help="Audience of the tokens, where that is not --url itself; URL/* for Identity-Aware Proxy.",
)
@click.option(
    "--model", "models", multiple=True, help="A model that the service at --url has. May be repeated."
)
@click.option(
    "--no-key",
    is_flag=True,
    help="Ask for no key: every program and every user of this machine may then call the service as you, at your cost.",
)
@json_option
@click.pass_obj
def command(
    app: CliContext,
    /,
    file: Path,
    port: int,
    no_key: bool,
    json_output: bool,
    **service: Any,  # Any: what click has read
) -> None:
    """
    Open a local port to a private endpoint: it adds your identity, and any OpenAI client just works.

    It wants a key of its own, made at its start and printed with the variables. Runs until Ctrl-C. Models that are
    known are listed without waking the service.
    """
    from homeport import door, proxy, sync
    from homeport.home import find_home
    from homeport.proxy import record

    url, audience, models = service["url"], service["audience"], service["models"]
    if url is None and (audience or models):
        raise click.UsageError("--audience and --model are for --url.")
    terminal = app.terminal(json_output=json_output)
    with suppress(KeyboardInterrupt), proxy.listen(port) as listening:
        actual_port = int(listening.getsockname()[1])
        key = None if no_key else door.new_key()

        async def served() -> None:
            endpoint, cold_start = (
                await _endpoint_and_start(file)
                if url is None
                else (await service_at(url, audience, models), "")
            )
            who = await endpoint.identity.who() if endpoint.identity else ""
            if cold_start:
                terminal.say(f"a start from zero is expected to take {cold_start}: requests wait for it")
            known = models or ((endpoint.model,) if endpoint.model else ())
            running = record.Running(port=actual_port, service=endpoint.root_url, key=key)
            with record.recorded(find_home().root, running):
                _greet(terminal, endpoint, running, who)
                await proxy.serve(
                    endpoint, listening, key=key, models=known, progress=terminal, cold_start=cold_start
                )

        try:
            sync.run(served())
        finally:
            terminal.close()


async def _endpoint_and_start(file: Path) -> tuple[Endpoint, str]:
    """
    Return the deployed endpoint, whose tokens outlast the door that it was found through, and its expected
    cold start.
    """
    from homeport import deployment
    from homeport.targets import registry
    from homeport.targets.base import Capability

    async with deployment.opened(file, on=registry.able(Capability.PROXY)) as opened:
        return await opened.connect(), await opened.expected_cold_start()


def _greet(terminal: Terminal, endpoint: Endpoint, running: Running, who: str) -> None:
    from homeport.proxy import HOST

    at = f"http://{HOST}:{running.port}"
    variables = {
        name: value for name, value in endpoint.env(proxy=at, proxy_key=running.key).items() if value
    }
    if running.key is None:
        terminal.say(
            f"warning: without a key, every program and every user of this machine that reaches port {running.port} calls "
            f"{endpoint.name} {f'as {who}' if who else 'in your name'}, and you pay for it"
        )
    terminal.say(
        f"{endpoint.name} is reached on {at}{f' as {who}' if who else ''}. Ctrl-C ends it. Elsewhere:"
    )
    terminal.secret_result(  # Its key is nowhere else.
        "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), variables
    )
    terminal.say("and then")
    terminal.say("  openai      python -c 'import openai; print(openai.OpenAI().models.list().data)'")
    shown = ' -H "Authorization: Bearer $OPENAI_API_KEY"' if running.key else ""
    terminal.say(f'  curl        curl{shown} "$OPENAI_BASE_URL/models"')
    terminal.say('  Open WebUI  OPENAI_API_BASE_URL="$OPENAI_BASE_URL" open-webui serve')
