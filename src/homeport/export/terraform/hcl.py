"""Terraform's language: values, blocks and how `terraform fmt` lays them out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from homeport.export.text import comment

_WIDTH = 96
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_APART = frozenset(("for_each", "count", "depends_on"))
"""Arguments of Terraform's own, which stand by themselves."""


@dataclass(frozen=True, slots=True)
class Code:
    """An expression, such as `var.project`."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A comment: a reason, for those who read the file."""

    text: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name = value`."""

    name: str
    value: Any  # Any: JSON, with Code


@dataclass(frozen=True, slots=True)
class Block:
    """`words { body }`: a type and its labels, such as `resource "google_storage_bucket" "weights"`."""

    words: tuple[str, ...]
    body: tuple[Item, ...]


Item = Attribute | Block | Note


def block(*words: str, body: Iterable[Item]) -> Block:
    """Return a block of one or more words."""
    return Block(words, tuple(body))


def attributes(values: Mapping[str, Any]) -> list[Item]:  # Any: JSON, with Code
    """Return an attribute for each value that is not None."""
    return [Attribute(name, value) for name, value in values.items() if value is not None]


def joined(*parts: str | Code) -> Code:
    """Return a text with expressions in it, such as `"gs://${google_storage_bucket.weights.name}/models"`."""
    inner = ""
    for part in parts:
        if isinstance(part, str):
            inner += _escaped(part)
        elif inner.endswith("$"):  # Two dollars before a brace would be none.
            inner = f"{inner[:-1]}\\u0024${{{part.text}}}"
        else:
            inner += f"${{{part.text}}}"
    return Code(f'"{inner}"')


def to_hcl(items: Iterable[Item]) -> str:
    """Return the text of a file, as `terraform fmt` would leave it."""
    return "\n".join(_body(tuple(items), "")) + "\n"


def expression(value: Any, indent: str = "", *, wide: bool = False) -> str:  # Any: JSON, with Code
    """Return a value as it stands to the right of `=`; lists that do not fit a line, and `wide` ones, take several."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, str):
        return f'"{_escaped(value)}"'
    if isinstance(value, Mapping):
        pairs = [Attribute(_key(key), inner) for key, inner in value.items()]
        lines = _body(tuple(pairs), f"{indent}  ")
        return "\n".join(["{", *lines, f"{indent}}}"]) if lines else "{}"
    if isinstance(value, list | tuple):
        return _list(value, indent, wide=wide)
    raise TypeError(f"HCL has no words for a {type(value).__name__}")


def _list(values: list[Any] | tuple[Any, ...], indent: str, *, wide: bool) -> str:  # Any: JSON, with Code
    line = f"[{', '.join(expression(value) for value in values)}]"
    if "\n" not in line and not wide and len(indent) + len(line) <= _WIDTH:
        return line
    inner = f"{indent}  "
    return "\n".join(["[", *(f"{inner}{expression(value, inner)}," for value in values), f"{indent}]"])


def _body(items: tuple[Item, ...], indent: str) -> list[str]:
    lines: list[str] = []
    before: Item | None = None
    for run in _runs(items):
        first = run[0]
        if before is not None and _apart(before, first):
            lines.append("")
        lines += _aligned(run, indent)
        before = run[-1]
    return lines


def _runs(items: tuple[Item, ...]) -> Iterator[tuple[Item, ...]]:
    """Yield attributes that stand together, whose equals signs are aligned; anything else by itself."""
    run: list[Item] = []
    for item in items:
        if isinstance(item, Attribute) and item.name not in _APART:
            run.append(item)
            continue
        if run:
            yield tuple(run)
            run = []
        yield (item,)
    if run:
        yield tuple(run)


def _apart(before: Item, after: Item) -> bool:
    """Return True if an empty line stands between: around blocks, except for a note right above its own."""
    if isinstance(before, Note):
        return False
    return not isinstance(before, Attribute) or before.name in _APART or not _plain(after)


def _plain(item: Item) -> bool:
    return isinstance(item, Attribute) and item.name not in _APART


def _aligned(run: tuple[Item, ...], indent: str) -> list[str]:
    (first, *_) = run
    if isinstance(first, Note):
        return [f"{indent}{line}" for line in comment(first.text).splitlines()]
    if isinstance(first, Block):
        words = " ".join([first.words[0], *(f'"{word}"' for word in first.words[1:])])
        lines = _body(first.body, f"{indent}  ")
        return [f"{indent}{words} {{", *lines, f"{indent}}}"] if lines else [f"{indent}{words} {{}}"]
    pairs = [
        (attribute.name, expression(attribute.value, indent))
        for attribute in run
        if isinstance(attribute, Attribute)
    ]
    lines = []
    for place, (name, text) in enumerate(pairs):
        width = 0 if "\n" in text else max(len(aligned_name) for aligned_name in _together(pairs, place))
        lines.append(f"{indent}{name:<{width}} = {text}")
    return lines


def _together(pairs: list[tuple[str, str]], place: int) -> Iterator[str]:
    """Yield the names of the attributes of one line each that stand together with the one at `place`."""
    start = end = place
    while start > 0 and "\n" not in pairs[start - 1][1]:
        start -= 1
    while end < len(pairs) and "\n" not in pairs[end][1]:
        end += 1
    yield from (name for name, _ in pairs[start:end])


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) else f'"{_escaped(name)}"'


def _escaped(text: str) -> str:
    """Return a text between quotes: a dollar or percent sign before a brace would begin an expression."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${").replace("%{", "%%{")
    letters = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return "".join(
        letters.get(character, character if character.isprintable() else _coded(character))
        for character in plain
    )


def _coded(letter: str) -> str:
    number = ord(letter)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
