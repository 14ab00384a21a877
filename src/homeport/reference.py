"""The reference pages of docs/, generated from the code so that they are true."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from homeport import errors, reference_python, spec

if TYPE_CHECKING:
    import click


def pages() -> dict[str, str]:
    """Return the text of each page by file name."""
    return {
        "homeport-toml.md": _file_page(),
        "exit-codes.md": _exit_codes_page(),
        "commands.md": _commands_page(),
        "packages.md": _packages_page(),
        "python.md": reference_python.page(),
        "results.md": _results_page(),
    }


def sections() -> dict[str, dict[str, str]]:
    """Return text by file name and by the mark that it stands behind, of pages that are otherwise written by hand."""
    return {"clients.md": {"what engines honour": _honoured_table()}}


def with_sections(name: str, page: str) -> str:
    """Return a page with its generated sections written again. Raises `ValueError` where a mark is missing."""
    for mark, text in sections()[name].items():
        begin, end = f"<!-- generated: {mark} -->\n", f"<!-- end: {mark} -->\n"
        if page.count(begin) != 1 or page.count(end) != 1:
            raise ValueError(f"{name} lacks {begin.strip()} or {end.strip()}")
        before, after = page[: page.index(begin) + len(begin)], page[page.index(end) :]
        page = f"{before}\n{text}\n{after}"
    return page


def _honoured_table() -> str:
    from homeport.engines.conformance import Feature
    from homeport.engines.names import NAMES
    from homeport.engines.registry import module

    engines = [module(name) for name in NAMES]
    lines = [f"| | {' | '.join(engine.TITLE for engine in engines)} |", "|---" * (len(engines) + 1) + "|"]
    for feature in Feature:
        cells = [engine.HONOURS[feature] for engine in engines]
        cell_texts = [f"{cell.standing.value}{f': {cell.note}' if cell.note else ''}" for cell in cells]
        lines.append(f"| {feature.value} | {' | '.join(cell_texts)} |")
    return "".join(f"{line}\n" for line in lines)


def _file_page() -> str:
    lines = [
        "# homeport.toml",
        "",
        "Generated from `src/homeport/spec/` by `make schema`. Unknown keys are errors.",
    ]
    for title, model in (
        ("At the top", spec.Spec),
        ("[engine]", spec.Engine),
        ("[[engine.lora]]", spec.Adapter),
        ("[local]", spec.Local),
        ("[cloudrun]", spec.CloudRun),
        ("[scaling]", spec.Scaling),
        ("[access]", spec.Access),
        ("[agent]", spec.Agent),
        ("[guard]", spec.Guard),
        ("[edge]", spec.Edge),
        ("[observe]", spec.Observe),
        ("slo of [observe]", spec.ObserveSlo),
    ):
        lines += ["", f"## {title}", "", "| key | default | meaning |", "|---|---|---|", *_rows(model)]
    lines += ["", "## A whole file", "", "```toml", spec.template().rstrip(), "```", ""]
    return "\n".join(lines)


def _rows(model: type[BaseModel]) -> list[str]:
    rows, meanings = [], spec.descriptions(model)
    for name, field in model.model_fields.items():
        if name in spec.TABLES:
            continue
        default = "required" if field.is_required() else f"`{field.default!r}`".replace("'", '"')
        rows.append(
            f"| `{name}` | {default.replace('`None`', 'none').replace('`()`', '`[]`')} | {meanings[name]} |"
        )
    return rows


def _exit_codes_page() -> str:
    tree = (errors.__doc__ or "").strip()
    return (
        f"# Exit codes\n\nGenerated from `src/homeport/errors.py` by `make schema`.\n\n```text\n{tree}\n```\n"
    )


def _commands_page() -> str:
    import click

    from homeport.cli import COMMANDS, cli

    root = click.Context(
        cli,
        info_name="homeport",
        max_content_width=100,
        terminal_width=100,
        help_option_names=cli.context_settings["help_option_names"],
    )
    lines = ["# Commands", "", "Generated from the commands' own `--help` by `make schema`."]
    lines += ["", "```console", "$ homeport --help", cli.get_help(root), "```"]
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        lines += _help_of(command, name, root, depth=2)
    return "\n".join(line.rstrip() for line in "\n".join(lines).splitlines()) + "\n"


def _help_of(command: click.Command, name: str, parent: click.Context, depth: int) -> list[str]:
    """Return a command's help under a heading of that depth, and its subcommands' one deeper."""
    import click

    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    words = context.command_path.removeprefix("homeport ")
    lines = ["", f"{'#' * depth} {words}", "", "```console", f"$ homeport {words} --help"]
    lines += [command.get_help(context), "```"]
    if isinstance(command, click.Group):
        for under in command.list_commands(context):
            subcommand = command.get_command(context, under)
            assert subcommand is not None
            if not subcommand.hidden:
                lines += _help_of(subcommand, under, context, depth + 1)
    return lines


def _results_page() -> str:
    from homeport.shapes import FACTS, RESULTS, words

    lines = [
        "# Results as JSON",
        "",
        "Generated from `src/homeport/shapes/` by `make schema`. What each command prints with `--json`, by its",
        "schema; where a command ends in an error, that is printed in its place, as `error` says. That of wrong usage (64) is",
        "a `UsageError`. Ctrl-C (130) prints none, nor does a command whose output nobody reads any more (1).",
        "A unit is the end of a name (`_bytes`, `_s`, `_tokens`, `_usd_per_hour`); null is *not known*, never *fine*.",
        "",
        "| command | schema |",
        "|---|---|",
        *(f"| `{words(name)}` | [schemas/{name}.json](schemas/{name}.json) |" for name in RESULTS),
        "",
        "## Facts of a plan",
        "",
        "`plan --json` has them under `facts`, by key, each with `text`, the line that the terminal shows.",
        "",
        "| key | what it is | fields |",
        "|---|---|---|",
    ]
    for kind in FACTS:
        about = inspect.cleandoc(kind.__doc__ or "").splitlines()[0]
        names = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind))
        lines.append(f"| `{kind.key}` | {about} | {names} |")
    return "\n".join(lines) + "\n"


def _packages_page() -> str:
    """Return the map of the source: every package, and the modules at the top, each with what its docstring begins with."""
    source = Path(__file__).parent.parent
    lines = ["# Packages", "", "Generated from the docstrings of `src/` by `make schema`."]
    for title, paths in (
        ("homeport", (source / "homeport").rglob("__init__.py")),
        ("Modules of homeport that lie in no package of it", (source / "homeport").glob("[!_]*.py")),
        ("gcp_rehearsal", (source / "gcp_rehearsal").rglob("__init__.py")),
        (
            "Modules of gcp_rehearsal that lie in no package of it",
            (source / "gcp_rehearsal").glob("[!_]*.py"),
        ),
    ):
        lines += ["", f"## {title}", "", "| where | what |", "|---|---|"]
        lines += [
            f"| `{where}` | {description} |" for where, description in sorted(_described(source, paths))
        ]
    return "\n".join(lines) + "\n"


def _described(source: Path, paths: Iterator[Path]) -> Iterator[tuple[str, str]]:
    """Yield each module's place and the first paragraph of its docstring, on one line. Nothing is imported for it."""
    for path in paths:
        docstring = inspect.cleandoc(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")
        place = path.parent if path.name == "__init__.py" else path
        yield (
            place.relative_to(source).as_posix(),
            " ".join(docstring.partition("\n\n")[0].split()).replace("|", r"\|"),
        )
