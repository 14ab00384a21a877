"""A text as a reader sees it, whatever it is written in: what filters are shown beside the text itself."""

from __future__ import annotations

import re
import unicodedata

from homeport.gateway.verdict import Reason, Refused

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_PAIRS = re.compile("[\ud800-\udbff][\udc00-\udfff]")
"""What stands for one character, where each half was escaped by itself."""
_HALVES = re.compile("[\ud800-\udfff]")
_LONG = re.compile("[\ufdfa\ufdfb]")
"""Characters that unfold to 18 and 8; no other one does to more than 6."""
_MOST_LONG = 2_000
"""So many of them take no time and no room to unfold."""
_SPACES = re.compile(r"\\[nrtbf]")
"""Escapes of JSON within a text, such as arguments of a tool."""
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e01ef]"
)
"""Characters without a width: they part words for a filter, and not for a reader or a model."""
_TAGS = {0xE0000 + code: code for code in range(0x20, 0x7F)}
"""Letters that nobody sees, and models read."""


def plain(text: str) -> str:
    """
    Return the text without characters that nobody sees, with wide digits and letters as usual ones, escapes undone.

    No half of a pair of escapes is left over, which could not be sent to anybody. Raises `Refused` for a text that
    would unfold to many times its length.
    """
    reading = text
    if "\\" in reading:
        reading = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), reading)
        if _HALVES.search(reading):
            reading = _PAIRS.sub(
                lambda match: match[0].encode("utf-16", "surrogatepass").decode("utf-16"), reading
            )
            reading = _HALVES.sub("\ufffd", reading)
        reading = _SPACES.sub(" ", reading).replace("\\/", "/")
    if not reading.isascii():
        if sum(1 for _ in _LONG.finditer(reading)) > _MOST_LONG:
            raise Refused(Reason.TOO_LONG, "the text unfolds to many times its length")
        reading = unicodedata.normalize("NFKC", reading.translate(_TAGS))
    return _UNSEEN.sub("", reading)


def as_screened(text: str) -> str:
    """Return what a screen is shown: the text, and below it how it reads, where that differs."""
    reading = plain(text)
    return text if reading == text else f"{text}\n\n{reading}"
