"""Filters of lists: what gcloud and most programs use of them, and a plain refusal of the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gcp_rehearsal.errors import invalid
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.schema import camel

_TERM = re.compile(
    r"""\s*(?P<not>-|NOT\s+)?\(?\s*(?P<key>[\w.\-"/]+)\s*(?P<op>!=|<=|>=|=|:|<|>|\beq\b|\bne\b)\s*(?P<value>"[^"]*"|'[^']*'|[^\s()]+)\s*\)?\s*(?P<and>AND\b)?"""
)


def matches(text: str, body: Mapping[str, Json]) -> bool:
    """
    Return True if a thing passes a filter: terms such as `labels.team=search` or `name:x`, joined by AND or a
    space.

    Raises `ApiError` 400 for what it cannot read, such as OR.
    """
    position = 0
    while position < len(text.rstrip()):
        term = _TERM.match(text, position)
        if term is None:
            raise invalid(f"Invalid filter: {text}", ("filter", f"cannot be read from {text[position:]!r}"))
        if _holds(term, body) == bool(term["not"]):
            return False
        position = term.end()
    return True


def _holds(term: re.Match[str], body: Mapping[str, Json]) -> bool:
    have = _value(body, term["key"].replace('"', ""))
    want, op = term["value"].strip("\"'"), term["op"]
    if op in {"!=", "ne"}:
        return str(have) != want
    if have is None:
        return False
    if op in {"=", "eq"} and isinstance(have, list):
        return _has(have, want)
    if op == ":":
        return want == "*" or _has(have, want)
    if op in {"=", "eq"}:
        return _text(have) == want
    return bool(
        {"<": _text(have) < want, ">": _text(have) > want, "<=": _text(have) <= want}.get(
            op, _text(have) >= want
        )
    )


def _has(have: Json, want: str) -> bool:
    if isinstance(have, dict):
        return want in have
    if isinstance(have, list):
        return want in [_text(item) for item in have]
    return want.strip("*").lower() in _text(have).lower()


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _value(body: Json, path: str) -> Json:
    for key in path.split("."):
        if not isinstance(body, dict):
            return None
        body = body.get(key, body.get(camel(key)))
    return body
