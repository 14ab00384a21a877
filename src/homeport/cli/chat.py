"""homeport chat"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from homeport.cli.context import CliContext, FiniteRange, file_option, json_option, on_option
from homeport.json_types import JsonObject
from homeport.targets import registry

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint
    from homeport.endpoint.completions import AnswerEnd
    from homeport.terminal import Terminal


@click.command("chat")
@click.argument("words", nargs=-1, metavar="[NAME] [PROMPT]")
@click.option("--name", help="The endpoint; by default that of the spec here, or the only one that runs.")
@click.option("--system", help="A system message.")
@click.option("--temperature", type=FiniteRange(0, 2), help="By default what the model's makers recommend.")
@click.option("--max-tokens", type=click.IntRange(1), help="End the answer after so many.")
@file_option
@on_option
@json_option
@click.pass_obj
def command(
    app: CliContext, /, words: tuple[str, ...], name: str | None, system: str | None, file: Path, on: str,
    json_output: bool, **sampling: float | None,
) -> None:  # fmt: skip
    """
    Ask the model something; without PROMPT, hold a conversation.

    One word alone is the NAME of an endpoint that is here by that name, else the PROMPT.
    """
    from homeport import sync
    from homeport.cli.session import with_endpoint

    name, prompt = _named(words, name, on)
    terminal = app.terminal(json_output=json_output)
    endpoint = with_endpoint(terminal, name, file, on, lambda deployment: deployment.connect())
    options = {key: value for key, value in sampling.items() if value is not None}
    messages: list[JsonObject] = [{"role": "system", "content": system}] if system else []
    if prompt is not None:
        messages.append({"role": "user", "content": prompt})
        sync.run(_answer(endpoint, messages, options, terminal))
        return
    typed = sys.stdin.isatty()  # What is piped gets its answers, and not a word more.
    if typed:
        terminal.say(f"{endpoint.model} at {endpoint.base_url}; Ctrl-D ends the conversation")
    while True:
        try:
            text = terminal.ask("> " if typed else "").strip()
        except EOFError:
            if typed:
                terminal.say()
            return
        if text:
            messages.append({"role": "user", "content": text})
            messages.append(sync.run(_answer(endpoint, messages, options, terminal)))


def _named(words: tuple[str, ...], name: str | None, on: str) -> tuple[str | None, str | None]:
    """Return the endpoint's name and the prompt that `words` say. Raises `click.UsageError` for more than these two."""
    if len(words) > (1 if name else 2):
        quoted = " ".join(words)
        raise click.UsageError(f'A prompt of several words wants quotes: homeport chat "{quoted}"')
    if len(words) == 2:
        return words
    if len(words) == 1 and name is None and on not in registry.CLOUDS and _is_here(words[0]):
        return words[0], None
    return name, words[0] if words else None


def _is_here(word: str) -> bool:
    from homeport.home import find_home

    return word in find_home().endpoints()


async def _answer(
    endpoint: Endpoint, messages: list[JsonObject], options: dict[str, float], terminal: Terminal
) -> JsonObject:
    """Print the answer as it comes, with --json the whole completion at its end, and say where it is cut."""
    from homeport.endpoint.completions import AnswerEnd, message_of, pieces_of

    end = AnswerEnd()
    if terminal.json_output:
        completion = await endpoint.answer(messages, **options)
        message = message_of(completion)
        terminal.result("", completion)
        end.read(completion)
        _tell(end, options, terminal)
        return message
    text = ""
    # Whoever counts before an engine sees the tokens of a stream only where they are asked for.
    async for chunk in endpoint.stream(messages, **options, stream_options={"include_usage": True}):
        end.read(chunk)
        for piece in pieces_of(chunk):
            more = piece if text else piece.lstrip()
            terminal.write(more)
            text += more
    terminal.flush()
    terminal.write("\n")
    _tell(end, options, terminal)
    return {"role": "assistant", "content": text}


def _tell(end: AnswerEnd, options: dict[str, float], terminal: Terminal) -> None:
    why = end.why_cut(options.get("max_tokens"))
    if why:
        terminal.note(why)
