"""Numbers that are none are refused where they are typed, and the docs' own commands can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from homeport import cli
from homeport.cli.bench import _options
from places import ROOT
from typist import Typist

GENERATED = ROOT / "docs" / "commands.md"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")} - {GENERATED})


def typed(page: Path) -> Iterator[list[str]]:
    """The words of each of a page's homeport commands that stands alone in its line, without what the shell does with it."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for line in re.findall(r"^(?:\$ )?homeport (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            yield shlex.split(re.split(r" [>|&] | && | 2>|; ", line)[0], comments=True)


def parsed(words: list[str]) -> click.Context:
    """The innermost command with what it has read; raises what click raises."""
    command: click.Command = cli.cli
    context = command.make_context("homeport", cli._hoisted([*words]))
    while isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
        name, found, words = command.resolve_command(context, rest)
        assert found is not None
        command = found
        context = command.make_context(name, words, parent=context)
    return context


@pytest.mark.parametrize("page", [page for page in PAGES if any(typed(page))], ids=lambda page: page.name)
def test_the_commands_of_a_page_can_be_typed(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in typed(page):
        for word in words:
            if re.fullmatch(r"[\w-]+\.(csv|toml|json|md)", word):
                Path(word).write_text("seconds,input,output\n0,8,8\n1,8,8\n")
        context = parsed(words)
        if context.info_name == "bench":
            _options(context.params)


def test_several_users_are_each_a_load_of_their_own() -> None:
    assert _options(parsed(["bench", "--users", "8,1,2,2"]).params).users == (1, 2, 8)
    assert _options(parsed(["bench", "--profile", "users", "--users", "3"]).params).users == (3,)
    assert _options(parsed(["bench", "--profile", "users"]).params).users == (8,)
    one = _options(parsed(["bench", "--users", "16"]).params)
    assert (one.users, one.most_users) == ((), 16)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bench", "--profile", "sweep", "--users", "1,2"), "sweep takes one number"),
        (("bench", "--profile", "poisson", "--rate", "1", "--users", "2"), "poisson takes none"),
        (("bench", "--users", "1,,2"), "with commas between them"),
        (("bench", "--users", "0"), "from 1 to 4096"),
        (("bench", "--users", "\u00b2"), "with commas between them"),
        (("bench", "engines", "--users", "9" * 5000), "from 1 to 1024"),
        (("bench", "--seconds", "inf"), "is no finite number"),
        (("bench", "--profile", "constant", "--rate", "nan"), "is no finite number"),
        (("bench", "--trace", "trace.csv", "--faster", "inf"), "is no finite number"),
        (("capacity", "--trace", "trace.csv", "--share", "nan"), "is no finite number"),
        (("cost", "--tokens-per-second", "inf"), "is no finite number"),
        (("chat", "--temperature", "nan", "Hello"), "is no finite number"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_what_is_no_number_is_a_mistake_in_the_line(
    words: tuple[str, ...], says: str, typist: Typist
) -> None:
    (typist.folder / "trace.csv").write_text("seconds,input,output\n0,8,8\n1,8,8\n")
    said = " ".join(re.sub(r"[│|]", " ", typist.run(*words, code=64).err).split())
    assert says in said


def test_no_command_takes_a_number_that_is_none() -> None:
    plain = [
        f"{name} {parameter.name}"
        for name in cli.COMMANDS
        for command in _with_its_own(parsed_command(name))
        for parameter in command.params
        if isinstance(parameter.type, click.types.FloatParamType) and not _refuses_nan(parameter.type)
    ]
    assert not plain


def parsed_command(name: str) -> click.Command:
    """The command of this name."""
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    return command


def _with_its_own(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for own in command.commands.values():
            yield from _with_its_own(own)


def _refuses_nan(kind: click.ParamType) -> bool:  # type: ignore[type-arg]
    try:
        kind.convert("nan", None, None)
    except click.BadParameter:
        return True
    return False
