"""
Secrets that this process has revealed, and text without them.

The second line behind `homeport.secret`: what is about to be printed, logged or kept passes through `redacted`. The
values are kept for the whole process, since an error may be printed long after the secret that it holds is gone.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from homeport.json_types import Json

HIDDEN = "***"
SHORT = 6
"""A shorter secret is replaced only where it stands as a word of its own: within words it would hit everything."""
_LONG = 24
"""Of a token this long its beginning is enough to know it by, however it goes on: messages are cut."""
_HEAD = 12
_CORE = 8, 24
"""Characters of a secret's base64 that are enough to know it by: at least, and at most."""
_TOKEN = re.compile(r"[\w.~+/=%\\-]+", re.ASCII)
_MOST = 64
"""A proxy that runs for weeks renews its tokens every hour; the oldest are forgotten, which ended long ago."""

_lock = threading.RLock()
"""Reentrant: an interrupt may print while its own thread is within."""
_revealed: dict[str, tuple[str, ...]] = {}
"""Each secret with the patterns that it is known by."""
_pattern: re.Pattern[str] | None = None
"""All of them in one, made when a text is looked at: most commands reveal several secrets before they print."""


def remember(secret: str) -> None:
    """Have `redacted` replace `secret` from now on, in each form in which it may appear; each line of one with many."""
    global _pattern  # noqa: PLW0603 - the printing code knows nothing of the revealing code
    pieces = secret.split()
    if len(pieces) > 1:
        for piece in pieces:
            if len(piece) >= _LONG:  # A key in PEM begins and ends with words that are no secret.
                remember(piece)
        return
    if not secret or secret in _revealed:
        return
    with _lock:
        while len(_revealed) >= _MOST:
            del _revealed[next(iter(_revealed))]
        # Before: who finds the secret among those that are known must not print by a pattern without it. And after: an interrupt
        # may have printed in between.
        patterns = tuple(_patterns(secret))
        _pattern = None
        _revealed[secret] = patterns
        _pattern = None


def redacted(text: str) -> str:
    """Return `text` with every secret that was remembered replaced by `***`: as it is, escaped or encoded."""
    pattern = _pattern or _compiled()
    return text if pattern is None else pattern.sub(HIDDEN, text)


def _compiled() -> re.Pattern[str] | None:
    global _pattern  # noqa: PLW0603 - see `remember`
    with _lock:
        while _pattern is None and _revealed:
            known = dict(_revealed)
            # Longer ones first, so that none stops within another.
            every = sorted({pattern for all_of in known.values() for pattern in all_of}, key=_order)
            _pattern = re.compile("|".join(every))
            # An interrupt may have revealed another one meanwhile.
            if _revealed != known:
                _pattern = None
        return _pattern


def redacted_json(value: Json) -> Json:
    """Return `value` with every text in it redacted, keys included. Numbers stay numbers."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {redacted_json(key): redacted_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_json(inner) for inner in value]
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))


def undecided(text: str) -> int:
    """
    Return how many characters at the end of `text` may be the beginning of a secret, or of a word that is one.

    For text that comes in pieces: they wait for the next one.
    """
    forms = {
        form
        for secret in tuple(_revealed)
        for form in (secret, json.dumps(secret)[1:-1], quote(secret, safe=""))
    }
    longest = max((len(form) for form in forms), default=0)
    for start in range(max(0, len(text) - longest), len(text)):
        if any(form.startswith(text[start:]) for form in forms):
            return len(text) - start
    return 0


def _order(pattern: str) -> tuple[bool, int]:
    return pattern.startswith("(?<!"), -len(pattern)


def _patterns(secret: str) -> Iterator[str]:
    """
    Return what `secret` is known by: as it is, however its letters are escaped; within base64; a JWT by its
    parts, too.
    """
    if len(secret) < SHORT:
        yield rf"(?<![\w-]){re.escape(secret)}(?![\w-])"
        return
    if len(secret) < _LONG or _TOKEN.fullmatch(secret) is None:
        yield "".join(map(_spelled, secret))
    else:
        parts = secret.split(".")
        # Many tokens have the head of a JWT, so what it says and its signature are the beginning of it.
        known = len(parts[0]) + 1 if len(parts) == 3 else 0
        yield "".join(map(_spelled, secret[: known + _HEAD])) + f"(?:{_TOKEN.pattern})?"
        for part in parts[1:] if known else ():
            if len(part) >= _LONG:
                yield "".join(map(_spelled, part[:_HEAD])) + f"(?:{_TOKEN.pattern})?"
    least, most = _CORE
    for core in _base64(secret):
        if len(core) > most:
            yield re.escape(core[:most]) + "[A-Za-z0-9+/_=-]*"
        elif len(core) >= least:
            yield re.escape(core)


def _base64(secret: str) -> Iterator[str]:
    """Return what of the base64 of any text with `secret` in it depends on `secret` alone, at each place it may have."""
    for before in range(3):
        data = bytes(before) + secret.encode()
        end = len(data) // 3 * 4
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(data).decode()[4 if before else 0 : end]


def _spelled(letter: str) -> str:
    """Return a pattern of all ways to write one letter: a text of JSON within a repr has backslashes before backslashes."""
    if letter.isalnum() or letter in "-_.":
        return re.escape(letter)
    code = f"{ord(letter):02x}"
    if letter == "\\":
        return rf"(?:\\+|%(?i:{code}))"
    return rf"(?:\\*{re.escape(letter)}|%(?i:{code})|\\+u00(?i:{code}))"
