"""homeport chat"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from homeport.cli.context import CliContext, file_option, json_option, on_option

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.terminal import Terminal


@click.command("chat")
@click.argument("prompt", required=False)
@click.option("--name", help="The endpoint; by default that of the spec here, or the only one that runs.")
@click.option("--system", help="A system message.")
@click.option(
    "--temperature", type=click.FloatRange(0, 2), help="By default what the model's makers recommend."
)
@click.option("--max-tokens", type=click.IntRange(1), help="End the answer after so many.")
@file_option
@on_option
@json_option
@click.pass_obj
def command(
    app: CliContext, /, prompt: str | None, name: str | None, system: str | None, file: Path, on: str,
    json_output: bool, **sampling: float | None,
) -> None:  # fmt: skip
    """Ask the model something; without PROMPT, hold a conversation."""
    from homeport import sync
    from homeport.cli.session import with_endpoint

    terminal = app.terminal(json_output=json_output)
    endpoint = with_endpoint(terminal, name, file, on, lambda one: one.connect())
    options = {key: value for key, value in sampling.items() if value is not None}
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    if prompt is not None:
        messages.append({"role": "user", "content": prompt})
        sync.run(_answer(endpoint, messages, options, terminal))
        return
    terminal.say(f"{endpoint.model} at {endpoint.base_url}; Ctrl-D ends the conversation")
    while True:
        try:
            text = terminal.ask("> ").strip()
        except EOFError:
            terminal.say()
            return
        if text:
            messages.append({"role": "user", "content": text})
            messages.append(sync.run(_answer(endpoint, messages, options, terminal)))


async def _answer(
    endpoint: Endpoint, messages: list[dict[str, Any]], options: dict[str, float], terminal: Terminal
) -> dict[str, Any]:
    """Print the answer as it comes; with --json the whole completion at its end."""
    if terminal.json_output:
        completion = await endpoint.answer(messages, **options)
        terminal.result("", completion)
        answer: dict[str, Any] = completion["choices"][0]["message"]
        return answer
    text = ""
    async for chunk in endpoint.stream(messages, **options):
        for choice in chunk.get("choices", ()):
            piece = choice["delta"].get("content") or ""
            piece = piece if text else piece.lstrip()
            terminal.write(piece)
            text += piece
    terminal.flush()
    terminal.write("\n")
    return {"role": "assistant", "content": text}
