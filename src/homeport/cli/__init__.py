"""The command line: one module a command, no logic. Heavy imports happen inside the commands."""

from __future__ import annotations

import gc
import io
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from homeport.cli.context import CliContext, rehearsed
from homeport.cli.last_line import guard_standard_error, say, show_traceback, show_usage

COMMANDS = {
    "init": "Write homeport.toml, with every default visible.",
    "models": "List what the catalog knows.",
    "cost": "Estimate what it costs on Cloud Run, and when that beats an API.",
    "capacity": "Simulate traffic on Cloud Run: instances, waiting, 429s, dollars a month.",
    "plan": "Show what `up` would do, without doing it.",
    "up": "Serve the model, prove that it works, print the endpoint.",
    "swap": "Serve another model, verified before it has traffic.",
    "rollback": "Let what was verified before serve again.",
    "chat": "Ask the model something, or hold a conversation.",
    "agent": "Let the model choose tools: ask it, talk with it, measure it, or begin a project.",
    "fit": "Tell where a model fits, with which context, for how many at once.",
    "bench": "Measure what the endpoint gives: latency of one, throughput of many, the knee.",
    "verify": "Check that an endpoint is what it promises.",
    "guard": "Ask the screen about a text, or test that an endpoint refuses what it should.",
    "cold-start": "Correct the expected cold start by starts that you measured.",
    "wake": "Ask for one token now, so that nobody waits for a start; with --for, stay awake.",
    "proxy": "Open a local port to a private endpoint, for any OpenAI client.",
    "env": "Print the variables that OpenAI clients read.",
    "key": "Tell where an endpoint's key is kept, or replace it.",
    "status": "Show the endpoints on this machine.",
    "top": "Show live what endpoints do: requests, tokens a second, TTFT, memory.",
    "usage": "Tell what endpoints were used for: requests, tokens, hours, money.",
    "console": "Show endpoints in a web page on this machine.",
    "list": "List the endpoints of this machine, or of a project on Cloud Run.",
    "logs": "Show what the engine wrote.",
    "down": "End an endpoint, with all its processes.",
    "observe": "Ask your Prometheus whether it sees the endpoint.",
    "export": "Write what Cloud Run would be told, as files of another tool.",
    "weights": "List, check and remove weights.",
    "mcp": "Offer these commands to a coding agent, as tools over MCP.",
    "rehearse": "Act out Google Cloud on this machine.",
    "doctor": "Show what this machine has and lacks.",
}
RESERVED = frozenset(("agent", "list"))
"""Names of commands to come: no command of another meaning may take one, and none is mistaken for a slip of the pen."""
ELSEWHERE = {
    **dict.fromkeys(("ps", "info", "show", "describe", "health", "ping"), "status"),
    **dict.fromkeys(("ls", "endpoints", "get"), "list"),
    **dict.fromkeys(("run", "serve", "start", "apply", "create", "launch", "restart", "reload"), "up"),
    **dict.fromkeys(("stop", "rm", "remove", "delete", "destroy", "kill", "uninstall"), "down"),
    **dict.fromkeys(("pull", "download", "fetch"), "weights fetch"),
    **dict.fromkeys(("test", "check"), "verify"),
    **dict.fromkeys(("ask", "generate", "complete", "prompt"), "chat"),
    **dict.fromkeys(("new", "config", "configure"), "init"),
    **dict.fromkeys(("validate", "diff"), "plan"),
    **dict.fromkeys(("price", "prices", "pricing", "estimate"), "cost"),
    **dict.fromkeys(("token", "password"), "key"),
    "deploy": "up --on cloudrun",
    "search": "models",
    "benchmark": "bench",
    "log": "logs",
    "undo": "rollback",
    "collect-env": "doctor",
    "version": "--version",
    "help": "--help",
}
"""What other tools call it, and what homeport does."""
_LOGINS = (
    "homeport has no login of its own: `hf auth login` is for a hub that wants a token, `gcloud auth "
    "application-default login` for Google Cloud; an endpoint's key is shown by `homeport key`."
)
_NEWER = "A newer homeport comes as this one came, by pip or uv: `docs/installing.md`; another model by `homeport swap`."
_SIZES = "How many serve at once is said in homeport.toml ([scaling], engine.parallel); then `homeport up`."
_INSIDE = (
    "An engine is asked through its endpoint alone (`homeport chat`); what it wrote shows `homeport logs`."
)
_PUBLISHES = "homeport publishes no weights; it serves those that `model` in homeport.toml names."
SENTENCES = {
    **dict.fromkeys(("login", "logout", "auth", "signin"), _LOGINS),
    **dict.fromkeys(("upgrade", "update"), _NEWER),
    **dict.fromkeys(("scale", "resize"), _SIZES),
    **dict.fromkeys(("exec", "ssh"), _INSIDE),
    "push": _PUBLISHES,
}
"""What is said to words for which there is no command."""
USAGE, INTERRUPTED = 64, 130
_COLLECT_EVERY = 100_000
"""
Objects after which cycles among them are looked for. Importing makes more than half as many, which all stay: to look every 700
to 2,000, by version, as Python does, takes a tenth of a short command (seen with 700), and one look at all of them 10 ms.
"""
_WITHOUT_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
"""Otherwise pydantic looks for plugins in all packages that are installed: 13 ms of each command. Who sets it otherwise has them."""
_ANYWHERE = {"--debug": "--debug", "-q": "--quiet", "--quiet": "--quiet"}
"""Options of homeport itself, which may stand behind the command, too."""


class _Commands(click.Group):
    """Imports a command's module when it is called, so that `--help` stays fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS]  # Once the command `list` is imported, `list` is its module here.

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"homeport.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            if args[0] in RESERVED:
                ctx.fail(f"`homeport {args[0]}` belongs to a later version of homeport.")
            ctx.fail(f"There is no command {args[0]!r}.{_suggest(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])


def _suggest(word: str) -> str:
    """Return which command an unknown word may stand for, as a sentence; '' where nobody knows."""
    from difflib import get_close_matches

    if word.lower() in SENTENCES:
        return f" {SENTENCES[word.lower()]}"
    known = ELSEWHERE.get(word.lower())
    if known is not None:
        return f" Did you mean `homeport {known}`?"
    close = get_close_matches(word, COMMANDS, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def _hoisted(arguments: list[str]) -> list[str]:
    """Return the arguments with homeport's own options first, wherever they were said; what stands behind `--` stays."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    own = [_ANYWHERE[argument] for argument in arguments[:end] if argument in _ANYWHERE]
    return [*own, *(argument for argument in arguments[:end] if argument not in _ANYWHERE), *arguments[end:]]


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"homeport {version('homeport')}")
        ctx.exit()


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `homeport init`, then `homeport up`. Exit codes: `docs/exit-codes.md`.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
@click.pass_context
def cli(ctx: click.Context, debug: bool, quiet: bool) -> None:
    """Turn open weights into a private, verified, OpenAI-compatible endpoint: one file, one command."""
    ctx.obj = CliContext(debug=debug, quiet=quiet)


def main() -> NoReturn:
    """Run the command line and exit with a code by class of error, as `homeport.errors` lists them."""
    gc.set_threshold(_COLLECT_EVERY)
    os.environ.setdefault(*_WITHOUT_PLUGINS)
    _open_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # A terminal without a ✓ gets a ?, not a failure.
    guard_standard_error()
    if sys.platform == "win32":
        say(
            "error: homeport runs on Linux and macOS; on Windows it runs in WSL (`wsl --install`), which is a Linux"
        )
        sys.exit(USAGE)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # What cannot be written was told; Python would try again at its end, and exit with 120.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    gc.freeze()  # Python's end need not look once more for cycles in all that was imported.
    sys.exit(code)


_BACK = "; `homeport status` tells what serves, and the same command again goes on from there"
_GOES_ON = {
    "up": "; `homeport up` goes on from here, `homeport down` removes what is there",
    "swap": _BACK,
    "rollback": _BACK,
}
"""What is said to whoever has interrupted one of these commands."""


def _open_closed() -> None:
    """Let each standard stream that was closed before the start (`<&-`) be empty: Python has None there, and nobody expects it."""
    for name, mode in (
        ("stdin", "r"),
        ("stdout", "w"),
        ("stderr", "w"),
    ):  # In the order of the descriptors that they take.
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - for as long as the process lives


def run(arguments: list[str]) -> int:  # noqa: PLR0911 - one for each way to end
    """Run the command line; returns the exit code."""
    from homeport.errors import HomeportError

    arguments = _hoisted(arguments)
    debug, json_output = "--debug" in arguments, "--json" in arguments
    try:
        code = cli.main(arguments, prog_name="homeport", standalone_mode=False)
    except click.UsageError as error:
        show_usage(error, USAGE, json_output=json_output)
        return USAGE
    except click.ClickException as error:
        show_usage(error, error.exit_code, json_output=json_output)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        goes_on = next((words for command, words in _GOES_ON.items() if command in arguments), "")
        click.echo(f"interrupted{goes_on}", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except HomeportError as error:
        from homeport.terminal import Terminal

        if "rehearse" in arguments[:4]:
            error.hint = rehearsed(error.hint)
        Terminal(json_output=json_output).error(error)
        if debug:
            show_traceback(error)
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last one there is
        if debug:
            show_traceback(error)
        return _told_unforeseen(error, json_output=json_output)
    return code if isinstance(code, int) else 0


def _told_unforeseen(error: Exception, *, json_output: bool) -> int:
    """Tell whose mistake an error is that nobody foresaw: that of a package that cannot be imported, or homeport's. Return its exit code."""
    from homeport.errors import HomeportError
    from homeport.extras import unimportable
    from homeport.terminal import Terminal

    if (broken := unimportable(error)) is not None:
        Terminal(json_output=json_output).error(broken)
        return broken.exit_code
    unforeseen = HomeportError(
        f"this is a mistake of homeport's: {type(error).__name__}: {error}",
        hint="run it again with `homeport --debug …` and report what it prints",
    )
    Terminal(json_output=json_output).error(unforeseen)
    return unforeseen.exit_code
