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
_TAGS = {0xE0000 + one: one for one in range(0x20, 0x7F)}
"""Letters that nobody sees, and models read."""


def plain(text: str) -> str:
    """
    Return the text without characters that nobody sees, with wide digits and letters as usual ones, escapes undone.

    No half of a pair of escapes is left over, which could not be sent to anybody. Raises `Refused` for a text that
    would unfold to many times its length.
    """
    seen = text
    if "\\" in seen:
        seen = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), seen)
        if _HALVES.search(seen):
            seen = _PAIRS.sub(lambda found: found[0].encode("utf-16", "surrogatepass").decode("utf-16"), seen)
            seen = _HALVES.sub("\ufffd", seen)
        seen = _SPACES.sub(" ", seen).replace("\\/", "/")
    if not seen.isascii():
        if sum(1 for _ in _LONG.finditer(seen)) > _MOST_LONG:
            raise Refused(Reason.TOO_LONG, "the text unfolds to many times its length")
        seen = unicodedata.normalize("NFKC", seen.translate(_TAGS))
    return _UNSEEN.sub("", seen)


def as_screened(text: str) -> str:
    """Return what a screen is shown: the text, and below it how it reads, where that differs."""
    seen = plain(text)
    return text if seen == text else f"{text}\n\n{seen}"
