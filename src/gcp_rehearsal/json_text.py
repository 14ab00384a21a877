"""JSON as somebody sends it: read as far as Google's parser goes."""

from __future__ import annotations

import json
import re

from gcp_rehearsal.json_types import Json

DEEPEST = 100
"""How deep a body may be nested: the `max_recursion_depth` of the parser in protobuf's sources that Google's APIs read JSON with."""
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*+"|[][{}:,]', re.DOTALL)


def read_json(text: str | bytes) -> Json:
    """Return what a text of JSON says. Raises `ValueError`, with Google's words for one that is nested too deep."""
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "surrogatepass")
    if text.count("{") + text.count("[") > DEEPEST:
        _refuse_depth(text)
    return json.loads(text)


def _refuse_depth(text: str) -> None:
    depth, last, key = 0, "", ""
    for found in _TOKENS.finditer(text):
        mark = found[0]
        if mark[0] == '"':
            last = mark[1:-1]
        elif mark == ":":
            key = last
        elif mark in "{[":
            depth += 1
            if depth > DEEPEST:
                raise ValueError(f"Message too deep. Max recursion depth reached for key '{key}'")
            key = ""
        else:
            depth -= mark in "}]"
            key = ""
