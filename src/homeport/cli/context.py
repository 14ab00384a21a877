"""What every command shares: options, the terminal, which endpoint is meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from homeport.targets import registry

if TYPE_CHECKING:
    from homeport.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., Any])

REHEARSAL_PORT = "homeport.rehearsal.port"
"""Where click keeps, for all of a command line, the port of the rehearsal that it is run against."""


def _is_there(ctx: click.Context, parameter: click.Parameter, file: Path) -> Path:
    """Raise `SpecError` where a file was named that is not there: no other endpoint is meant than its."""
    from homeport.errors import SpecError

    named = ctx.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
    if named and not file.exists():
        raise SpecError(f"there is no {file}", hint=f"`homeport init -f {file}` writes one")
    return file


def spec_option(*flags: str, to_read: bool = True) -> Callable[[_Command], _Command]:
    """Return the option that names the spec; where it is `to_read`, a file that was named must be there."""
    return click.option(
        *flags,
        "file",
        default="homeport.toml",
        show_default=True,
        type=click.Path(path_type=Path),
        callback=_is_there if to_read else None,
        help="The spec.",
    )


def with_options(*options: Callable[[_Command], _Command]) -> Callable[[_Command], _Command]:
    """Return what gives a command all of `options`, in this order in its help."""

    def given(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return given


file_option = spec_option("-f", "--file")
yes_option = click.option(
    "-y", "--yes", is_flag=True, help="Do not ask; where nobody can be asked, this must be said."
)
json_option = click.option("--json", "json_output", is_flag=True, help="Print the result as JSON.")
on_option = click.option(
    "--on",
    type=click.Choice(list(registry.TITLES)),
    default=registry.DEFAULT,
    show_default=True,
    help=f"Where: {', '.join(f'{name} ({title})' for name, title in registry.TITLES.items())}.",
)
project_option = click.option(
    "--project",
    default="",
    help="The project on Google Cloud; by default the file's, else that of the environment or of gcloud.",
)
hub_token_option = click.option(
    "--hub-token-stdin",
    is_flag=True,
    help="On Cloud Run: read the hub's token, one line, from standard input.",
)
name_argument = click.argument("name", required=False)
_WISHES = (
    click.option("--gpu", help="A GPU of Cloud Run, such as nvidia-l4; by default the file's, else any."),
    click.option("--region", help="A region of Cloud Run; by default the file's, else europe-west4."),
    click.option("--zonal", is_flag=True, help="With zonal redundancy, which costs more."),
    click.option("--context", type=click.IntRange(128, 10_000_000), help="Tokens of one request."),
    click.option("--parallel", type=click.IntRange(1, 1024), help="Requests at once."),
    click.option("--quantization", help="What the engine quantizes to while loading, such as fp8."),
    click.option(
        "--kv-dtype", type=click.Choice(["auto", "fp8", "q8_0", "q4_0"]), help="How keys and values are kept."
    ),
    click.option(
        "--prices",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Your own prices, over the catalog's.",
    ),
)


def wish_options(command: _Command) -> _Command:
    """Return the options that say how a model is wanted, where the file does not."""
    for option in reversed(_WISHES):
        command = option(command)
    return command


def wishes(options: dict[str, Any]) -> dict[str, Any]:  # Any: what click has read
    """Return those of the options that were given, by their keys in homeport.toml."""
    keys = ("gpu", "region", "context", "parallel", "quantization", "kv_dtype")
    given = {key: options[key] for key in keys if options[key] is not None}
    return {**given, "zonal_redundancy": True} if options["zonal"] else given


@dataclass(frozen=True, slots=True)
class CliContext:
    """What was said before the command's name."""

    debug: bool
    quiet: bool

    def terminal(self, *, json_output: bool = False) -> Terminal:
        """Return the one object that prints."""
        from homeport.terminal import Terminal

        return Terminal(json_output=json_output, quiet=self.quiet)


def as_rehearsed(text: str) -> str:
    """Return `text` with its commands as they are in a rehearsal, where it is run in one: else Google itself is asked."""
    context = click.get_current_context(silent=True)
    rehearsed = context is not None and REHEARSAL_PORT in context.meta
    return text.replace("`homeport ", "`homeport rehearse ") if rehearsed else text
