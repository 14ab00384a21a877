"""A text as a reader sees it, whatever it is written in: what filters are shown beside the text itself."""

from __future__ import annotations

import re
import unicodedata

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
"""Characters without a width: they part words for a filter, and not for a reader or a model."""


def plain(text: str) -> str:
    """Return the text without characters that nobody sees, with wide digits and letters as usual ones, escapes undone."""
    seen = text
    if "\\u" in seen:
        seen = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), seen)
    if seen.isascii():
        return seen
    return _UNSEEN.sub("", unicodedata.normalize("NFKC", seen))


def as_screened(text: str) -> str:
    """Return what a screen is shown: the text, and below it how it reads, where that differs."""
    seen = plain(text)
    return text if seen == text else f"{text}\n\n{seen}"
