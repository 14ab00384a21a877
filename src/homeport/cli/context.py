"""What every command shares: options, the terminal, which endpoint is meant."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from homeport.targets import registry

if TYPE_CHECKING:
    from homeport.terminal import Terminal

_Command = TypeVar("_Command", bound=Callable[..., object])

REHEARSED = (
    *(
        "plan",
        "up",
        "status",
        "list",
        "verify",
        "chat",
        "logs",
        "swap",
        "rollback",
        "wake",
        "proxy",
        "down",
        "bench",
    ),
)
"""Commands that are run against a rehearsal as `homeport rehearse COMMAND …`; its own `env` leaves no room for that of endpoints."""
REHEARSAL_PORT = "homeport.rehearsal.port"
"""Where click keeps, for all of a command line, the port of the rehearsal that it is run against."""


class ContextLength(click.ParamType[int]):
    """A number of tokens, written out or as `32k` and `1m`, in which a k is 1,024."""

    name = "tokens"
    _LEAST, _MOST = 128, 10_000_000

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number. Fails as click does for what is none, or none that a context can have."""
        matched = re.fullmatch(r"(\d[\d_]*)\s*([kKmM]?)i?", str(value).strip())
        count = int(matched[1]) * {"": 1, "k": 1 << 10, "m": 1 << 20}[matched[2].lower()] if matched else 0
        if not self._LEAST <= count <= self._MOST:
            self.fail(
                f"{value!r} is no context: a number of tokens from {self._LEAST} to {self._MOST:,} was expected, "
                "such as 32768 or 32k",
                param,
                ctx,
            )
        return count


class FiniteRange(click.FloatRange):
    """A number within bounds, which neither `nan` nor `inf` is, whatever the bounds are."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Fails as click does for one outside the bounds, and for what is no finite number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no finite number, and one was expected, such as 30 or 0.5", param, ctx)
        return number


def is_given(option: str) -> bool:
    """Return whether an option of the command that runs was given, and not left to its default."""
    context = click.get_current_context(silent=True)
    source = context.get_parameter_source(option) if context is not None else None
    return source not in {None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP}


def refuse_others(*taken: str, why: str) -> None:
    """Raise click's `UsageError` where an option was given that is none of those `taken`: it would be of no effect, unseen."""
    for option in _given_but(taken):
        raise click.UsageError(f"{why}, so there is nothing for {option}.")


def _given_but(taken: Sequence[str] = ()) -> Iterator[str]:
    """Yield the options of the command that runs that were given, as they are written, but for those `taken`."""
    for parameter in click.get_current_context().command.params:
        if parameter.name not in taken and is_given(parameter.name):
            yield parameter.opts[-1]


def _is_there(ctx: click.Context, parameter: click.Parameter, file: Path) -> Path:
    """Raise `SpecError` where a file was named that is not there: no other endpoint is meant than its."""
    from homeport.errors import SpecError
    from homeport.own_path import looking_at, mode_at

    if ctx.get_parameter_source(parameter.name or "") is ParameterSource.DEFAULT:
        return file
    with looking_at(file):
        mode = mode_at(file)
    if stat.S_ISDIR(mode):
        inside = file / "homeport.toml"
        raise SpecError(
            f"{file} is a folder, and a file was expected",
            hint=f"say -f {inside}" if inside.is_file() else "there is no homeport.toml in it",
        )
    if not mode:
        folder = file.parent
        where = (
            f"there is no {file}" if folder.is_dir() else f"there is no {file}: there is no folder {folder}"
        )
        raise SpecError(where, hint=f"`homeport init -f {file}` writes one")
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

    def decorated(command: _Command) -> _Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


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
places_option = click.option(
    "--on",
    "places",
    multiple=True,
    type=click.Choice(list(registry.TITLES)),
    help="Whose endpoints; may be repeated. This machine's unless said.",
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
_FIT_OPTIONS = (
    click.option("--gpu", help="A GPU of Cloud Run, such as nvidia-l4; by default the file's, else any."),
    click.option("--region", help="A region of Cloud Run; by default the file's, else europe-west4."),
    click.option("--zonal", is_flag=True, help="With zonal redundancy, which costs more."),
    click.option("--context", type=ContextLength(), help="Tokens of one request, such as 32768 or 32k."),
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


def fit_options(command: _Command) -> _Command:
    """Return the options that say how a model is wanted, where the file does not."""
    for option in reversed(_FIT_OPTIONS):
        command = option(command)
    return command


def given_settings(options: dict[str, Any]) -> dict[str, Any]:  # Any: what click has read
    """Return those of the options that were given, by their keys in homeport.toml."""
    keys = ("gpu", "region", "context", "parallel", "quantization", "kv_dtype")
    wished = {key: options[key] for key in keys if options[key] is not None}
    return {**wished, "zonal_redundancy": True} if options["zonal"] else wished


def ensure_none_before_subcommand(ctx: click.Context) -> None:
    """Raise `click.UsageError` for an option of a group before the name of one of its commands, which would not see it."""
    for option in _given_but():
        said = f"{ctx.command_path} {ctx.invoked_subcommand}"
        raise click.UsageError(
            f"{option} before {ctx.invoked_subcommand!r} is not of that command: say what it takes behind its name;"
            f" `{said} --help` lists it."
        )


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
    return rehearsed(text) if context is not None and REHEARSAL_PORT in context.meta else text


def rehearsed(text: str) -> str:
    """Return `text` with those of its commands as a rehearsal has them that can be run in one."""
    own = r"(?!bench (?:list|compare|engines)\b)"  # These ask no cloud.
    return re.sub(rf"\bhomeport (?={own}(?:{'|'.join(REHEARSED)})\b)", "homeport rehearse ", text or "")
