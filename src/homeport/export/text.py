"""YAML that people read, and the lines that stand at the head of a file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from homeport.extras import missing
from homeport.json_types import Json

if TYPE_CHECKING:
    import yaml

MARK = "Made by `homeport export"
"""What every file says of itself in its first lines; one that does not is somebody's own."""
CACHE_NOTE = (
    "the startup cache. A start finds none, says so in a line of its log and goes on; the next `homeport up --on cloudrun` "
    "makes one, and a revision that uses it."
)
WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z/][\w./-]*(?:[:@][\w./-]+)*")
_NOT_TEXTS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"])
"""What some reader of YAML takes for something else than a text."""


def head(kind: str, *notes: str) -> str:
    """Return the comment that a file begins with: who made it, and what the reader must know."""
    return comment(
        f"{MARK} {kind}`. Made again from the same homeport.toml it is the same, letter for letter: change that "
        "file, not this one.",
        *notes,
    )


_COMMANDS = ("gcloud ", "number=")
"""What a paragraph begins with that is a command: it can be copied without its `#`, line by line."""


def comment(*paragraphs: str) -> str:
    """Return paragraphs as lines with `#` before them, broken at a width that fits a screen; a command as a shell goes on."""
    return "\n#\n".join(_block(paragraph) for paragraph in paragraphs if paragraph) + "\n"


def _block(paragraph: str) -> str:
    from textwrap import wrap

    lines = wrap(paragraph, WIDTH, break_on_hyphens=False, break_long_words=False)
    ends = " \\" if paragraph.startswith(_COMMANDS) else ""
    return f"{ends}\n".join(f"# {line}" for line in lines)


def listed(things: Iterable[str]) -> str:
    """Return words as a list in a sentence: `a, b and c`."""
    several = list(things)
    return " and ".join([", ".join(several[:-1]), several[-1]] if len(several) > 1 else several)


def to_yaml(value: Json) -> str:
    """Return `value` in block style: every text that any reader could take for a number or a truth in quotes,
    texts of more than one line as blocks.

    Raises `ExtraMissing` where the extra `homeport[cloudrun]` is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise missing("an export needs PyYAML", "cloudrun") from error

    class Dumper(yaml.SafeDumper):  # type: ignore[misc] # PyYAML has no types
        """Writes lists indented, and nothing by reference."""

        def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
            """Indent a list below its key."""
            super().increase_indent(flow, False)

        def ignore_aliases(self, data: object) -> bool:
            """Write everything out."""
            return True

    Dumper.add_representer(str, _text)
    written: str = yaml.dump(
        value, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=2**20
    )
    return written


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    if len(lines) > 1 and not any(_needs_quotes(line) for line in lines) and lines[0].strip():
        style: str | None = "|"
    elif _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXTS:
        style = None
    else:
        style = '"' if _needs_quotes(text) or "\n" in text else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _needs_quotes(line: str) -> bool:
    """Return True if a block would not give this line back as it is, or a reader of an older YAML would not."""
    return line != line.rstrip() or not line.isprintable() or any(ord(letter) > 0xFFFF for letter in line)
