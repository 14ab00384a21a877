"""What tools give back: JSON without secrets, in which nothing is left that a terminal would obey."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.errors import HomeportError
from homeport.json_types import Json
from homeport.printable import printable, printable_log
from homeport.redaction import redacted_json

_LONGEST_LINE = 2_000
"""Characters; the rest of a line of a log is counted, not given."""


def harmless(value: Json) -> Json:
    """Return JSON with every secret that this process has revealed as `***`, and what is not printable escaped."""
    return _escaped(redacted_json(value))


def line(text: str) -> str:
    """Return one line of a log as data: without colours and secrets, escaped, cut where it is very long."""
    shown = printable_log(text.removesuffix("\n"))
    rest = len(shown) - _LONGEST_LINE
    return shown if rest <= 0 else f"{shown[:_LONGEST_LINE]} … and {rest} more characters"


def words(error: HomeportError) -> str:
    """Return an error for a client: its name and exit code, what happened, and what to do."""
    kind = error.listed()
    do = f"\ndo: {error.hint}" if error.hint else ""
    see = f"\nsee: {error.url}" if error.url else ""
    return printable(f"{kind.__name__} (exit code {kind.exit_code}): {error}{do}{see}")


def _escaped(value: Json) -> Json:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(str(key)): _escaped(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(inner) for inner in value]
    return value
