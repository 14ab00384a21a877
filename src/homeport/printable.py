"""Text that a terminal can be given: what is not printable is shown by its number."""

from __future__ import annotations

import json
import re

from homeport.json_types import Json
from homeport.redaction import redacted, redacted_json

_JOINERS = "\u200c\u200d"
"""Persian and Hindi are written with them, and most emoji of people."""
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""Spaces of other widths, which scripts use: they move nothing."""
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_FIRST_ASTRAL = 0x10000


def printable(text: str, *, keep: str = "\n\t") -> str:
    r"""
    Return `text` without secrets, and with what is not printable escaped, such as `\x1b` or `\u202e`.

    That is every control character (with them all sequences that move the cursor, retitle the window or write to the
    clipboard), what turns the direction of text, what has no width, separators of lines and lone surrogates. Characters in
    `keep` stay: for text of one line, say `keep=""`.
    """
    text = redacted(text)
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter in keep or letter in _SPACES else _escaped(letter)
        for letter in text
    )


def printable_answer(text: str) -> str:
    """Return what a model has said for a terminal: as `printable`, with the joiners that scripts and emoji need."""
    return printable(text, keep=f"\n\t{_JOINERS}")


def printable_log(text: str) -> str:
    """Return a program's log for a terminal: without its colours, each state of a line that it overwrote on its own."""
    return printable(_COLOUR.sub("", text).replace("\r\n", "\n").replace("\r", "\n"))


def json_text(data: Json) -> str:
    r"""Return `data` as JSON without secrets. What is not printable stands in it as `\uXXXX`, which JSON reads back."""
    text = json.dumps(redacted_json(data), indent=2, ensure_ascii=False)
    return "".join(
        letter if letter.isprintable() or letter in _SPACES or letter == "\n" else json.dumps(letter)[1:-1]
        for letter in text
    )


def _escaped(letter: str) -> str:
    number = ord(letter)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < _FIRST_ASTRAL else f"\\U{number:08x}"
