"""Text that does something to a terminal, and whether any of it is left."""

from __future__ import annotations

HOSTILE = {
    "a sequence": "\x1b[2J",
    "a window's title": "\x1b]0;owned\x07",
    "the clipboard": "\x1b]52;c;b3duZWQ=\x07",
    "a sequence of one byte": "\x9b2J",
    "a bell": "\x07",
    "a backspace": "a\x08b",
    "a carriage return": "safe\rowned",
    "a vertical tab": "\x0b",
    "a delete": "\x7f",
    "text turned around": "\u202egpj.exe",
    "an isolate": "\u2066x\u2069",
    "a mark of direction": "\u200f",
    "no width": "ab\u200bcd",
    "a byte order mark": "\ufeff",
    "a line's separator": "\u2028",
    "a paragraph's separator": "\u2029",
    "a lone surrogate": "\ud800",
    "a tag": "\U000e0041",
    "a soft hyphen": "\u00ad",
}


BAD = [letter for text in HOSTILE.values() for letter in text if not letter.isprintable()]


def is_clean(text: str, keep: str = "\n\t") -> bool:
    """Whether nothing of it does anything to a terminal; letters in `keep` may stay."""
    return not any(letter in BAD and letter not in keep for letter in text)
