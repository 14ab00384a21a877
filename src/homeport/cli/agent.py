"""homeport agent"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from homeport.cli.agent_eval import command as eval_command
from homeport.cli.agent_options import (
    AgentOptions,
    budget_of,
    ensure_allowed_are_there,
    how_options,
    own_tools,
    price_of,
    servers_of,
    transcript_option,
)
from homeport.cli.agent_steps import shown
from homeport.cli.agent_up import command as up_command
from homeport.cli.context import CliContext, file_option, json_option, on_option, refuse_others

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage

    from homeport.agents.calls import Confirm
    from homeport.agents.loop import AgentResult, AgentSetup
    from homeport.agents.tool import Tool
    from homeport.agents.transcript import Transcript
    from homeport.json_types import Json
    from homeport.terminal import Terminal

PORT = 8386
"""Where `homeport agent serve` listens unless told otherwise."""


@click.group("agent")
def command() -> None:
    """Let the model choose tools: ask it, talk with it, measure how well it chooses, or begin a project of your own."""


command.add_command(eval_command)
command.add_command(up_command)


@command.command("run")
@click.argument("question", required=False)
@how_options
@transcript_option
@click.option("--replay", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Run a transcript again: no engine is asked, no tool is run.")  # fmt: skip
@file_option
@on_option
@json_option
@click.pass_obj
def run_command(
    app: CliContext, /, question: str | None, replay: Path | None, file: Path, on: str, json_output: bool,
    **how: Unpack[AgentOptions],
) -> None:  # fmt: skip
    """Ask one QUESTION; each step is shown: thought, tool, arguments, result, tokens, time."""
    from homeport.agents import brain

    terminal = app.terminal(json_output=json_output)
    brain.ensure_installed()
    if (question is None) == (replay is None) or (question is not None and not question.strip()):
        raise click.UsageError("Say a question, or --replay with a transcript.")
    if replay is not None:
        refuse_others("replay", "transcript", "json_output", why="--replay asks no engine and runs no tool")
        _replayed(terminal, replay, how)
        return
    message = str(question)

    async def work(setup: AgentSetup, transcript: Transcript) -> None:
        from homeport.agents.loop import answer

        _tell(terminal, await answer(message, setup, transcript), transcript)

    _with_agent(terminal, (file, on), how, work, question=message)


@command.command("init")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("agent"))
@click.option(
    "--framework",
    type=click.Choice(["pydantic-ai", "adk"]),
    default="pydantic-ai",
    show_default=True,
    help="The library of the loop.",
)
@click.option(
    "--tool", "tools", multiple=True, metavar="TOOL", help="time, calculator or files; by default all three."
)
@click.option("--mcp", multiple=True, metavar="URL", help="An MCP server's address (streamable HTTP).")
@click.option(
    "--name", help="The endpoint; by default that of the spec in the folder where the agent is run."
)
@on_option
@click.pass_obj
def init_command(
    app: CliContext, /, folder: Path, framework: str, tools: tuple[str, ...], mcp: tuple[str, ...],
    name: str | None, on: str,
) -> None:  # fmt: skip
    """Write a small project of your own into FOLDER: agent.py, tools.py, tests, README."""
    from homeport.agents.builtin import BUILTIN
    from homeport.agents.project import write_project
    from homeport.naming import ensure_possible

    if name is not None:
        ensure_possible(name)
    names = write_project(folder, framework=framework, tools=tools or BUILTIN, mcp=mcp, endpoint=name, on=on)
    terminal = app.terminal()
    terminal.say(f"wrote {folder}: {', '.join(names)}")
    terminal.say(
        f"next: python -m pip install -r {folder / 'requirements.txt'}, and see {folder / 'README.md'}"
    )


@command.command("chat")
@how_options
@transcript_option
@file_option
@on_option
@click.pass_obj
def chat_command(app: CliContext, /, file: Path, on: str, **how: Unpack[AgentOptions]) -> int:
    """Hold a conversation with the agent. The budget is that of each question."""
    from homeport.agents import brain
    from homeport.endpoint.refusals import FOR_GOOD, OF_WHAT_WAS_SAID
    from homeport.errors import AgentStopped, EndpointError, HomeportError

    terminal = app.terminal()
    brain.ensure_installed()
    failed: list[HomeportError] = []

    async def work(setup: AgentSetup, transcript: Transcript) -> None:
        from homeport.agents.loop import answer

        terminal.say(f"{setup.endpoint.model} with {', '.join(tool.name for tool in setup.tools) or 'no tools'}; Ctrl-D ends the conversation")  # fmt: skip
        history: Sequence[ModelMessage] = ()
        while True:
            try:
                text = terminal.ask("> ").strip()
            except EOFError:
                terminal.say()
                return
            if not text:
                continue
            try:
                result = await answer(text, setup, transcript, history=history)
            except (AgentStopped, EndpointError) as error:
                # Said again in other words, or shorter, it may be answered, and a person may say it later: then the
                # conversation goes on from before.
                if (
                    isinstance(error, EndpointError)
                    and not error.reason
                    and error.status not in OF_WHAT_WAS_SAID
                    and (error.status in FOR_GOOD or not terminal.interactive)
                ):
                    raise
                terminal.error(error)
                failed.append(error)
                continue
            history = result.messages
            terminal.result(result.answer)
            _tell_cut(terminal, result)

    _with_agent(terminal, (file, on), how, work)
    # A person has read it. A script has the exit code.
    return failed[-1].exit_code if failed and not terminal.interactive else 0


@command.command("serve")
@click.option("--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, help="0 for any.")
@click.option("--agent-name", default="agent", show_default=True, help="The model that clients ask for.")
@click.option("--transcripts", type=click.Path(file_okay=False, path_type=Path), help="Keep the transcripts here, instead of in homeport's folder.")  # fmt: skip
@how_options
@file_option
@on_option
@click.pass_obj
def serve_command(
    app: CliContext, /, port: int, agent_name: str, file: Path, on: str, **how: Unpack[AgentOptions],
) -> None:  # fmt: skip
    """
    Serve the agent on a port of this machine: OpenAI's chat completions, and A2A with its card.

    It wants a key of its own, made at its start and printed. The budget is that of each request, and a client that hangs
    up ends its run. Nobody can be asked: a tool that may change something is refused, unless --allow names it. Runs
    until Ctrl-C.
    """
    from homeport.agents import brain
    from homeport.cli.agent_serve import serve

    terminal = app.terminal()
    brain.ensure_installed()
    serve(terminal, (file, on), how, name=agent_name, port=port)


def _with_agent(
    terminal: Terminal, where: tuple[Path, str], how: AgentOptions,
    work: Callable[[AgentSetup, Transcript], Awaitable[None]], *, question: str = "",
) -> None:  # fmt: skip
    """Do `work` with the agent that the options describe; its transcript is told of whatever happens."""
    from homeport import sync
    from homeport.agents.equipped import equipped
    from homeport.agents.loop import INSTRUCTIONS, AgentSetup
    from homeport.cli.session import agents_endpoint

    endpoint = agents_endpoint(terminal, how["name"], *where, anyway=how["anyway"])
    price = price_of(endpoint, how)
    own, servers = own_tools(how), servers_of(how)
    transcript = _transcript(terminal, how)

    setup = AgentSetup(
        endpoint=endpoint,
        tools=own,
        budget=budget_of(how),
        confirm=_confirm(terminal, how),
        instructions=INSTRUCTIONS if how["system"] is None else how["system"],
        temperature=how["temperature"],
        usd_per_hour=price,
    )

    async def all_of_it() -> None:
        async with equipped(setup, servers, transcript, question=question, progress=terminal) as agent:
            terminal.close()
            ensure_allowed_are_there(how, agent.tools)
            await work(agent, transcript)

    with transcript:
        try:
            with sync.ended_as_interrupted():
                sync.run(all_of_it())
        finally:
            terminal.close()
            if transcript.last_run:
                terminal.say(f"transcript: {transcript.path}")


def _confirm(terminal: Terminal, how: AgentOptions) -> Confirm:
    import json

    async def confirm(tool: Tool, arguments: Mapping[str, Json], _: str) -> bool:
        if how["allow_changes"] or tool.name in how["allow"]:
            return True
        if not terminal.interactive:
            terminal.note(
                f"{tool.name} may change something, and nobody can be asked: --allow {tool.name} allows it"
            )
            return False
        of = f" of {tool.origin}" if tool.origin else ""
        try:
            return terminal.confirm(f"run {tool.name}{of} with {json.dumps(dict(arguments))}?", default=False)
        except EOFError:
            return False
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None

    return confirm


def _transcript(terminal: Terminal, how: AgentOptions) -> Transcript:
    from homeport.agents.transcript import Transcript, new_path
    from homeport.home import find_home

    return Transcript(how["transcript"] or new_path(find_home()), lambda event: shown(terminal, event))


def _replayed(terminal: Terminal, file: Path, how: AgentOptions) -> None:
    from homeport import sync
    from homeport.agents.replay import replay, same_end
    from homeport.agents.transcript import read

    recorded = read(file)
    transcript = _transcript(terminal, how)
    try:
        with transcript:
            result = sync.run(replay(recorded, transcript))
    finally:
        if same_end(recorded, transcript.last_run):
            terminal.say("the replay ends as the recorded run did")
        elif transcript.last_run:
            terminal.note("the replay ends otherwise than the recorded run did")
    _tell(terminal, result, transcript)


def _tell_cut(terminal: Terminal, result: AgentResult) -> None:
    if result.cut:
        terminal.note(f"the answer is {result.cut}")


def _tell(terminal: Terminal, result: AgentResult, transcript: Transcript) -> None:
    terminal.result(
        result.answer,
        {
            "answer": result.answer,
            "transcript": str(transcript.path),
            "events": [dict(event) for event in transcript.last_run],
        },
    )
    _tell_cut(terminal, result)
    used = result.spent
    usd = "its price is not known" if used.usd is None else f"{used.usd:.4f} USD"
    terminal.say(
        f"{used.in_words()}, {used.input_tokens} + {used.output_tokens} tokens, {used.seconds:.1f} s, {usd}"
    )
