"""Single keys of a homeport.toml changed in its text, so that comments and order stay."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence

from homeport.errors import SpecError
from homeport.spec.load import parse

TomlKey = tuple[str, str, str]
"""Table, key, and the value as TOML."""
_TABLE = re.compile(r"\s*\[")


def with_keys(text: str, keys: Sequence[TomlKey]) -> str:
    """
    Return the text of a spec with `keys` set, whatever they were, and nothing else changed.

    Raises `SpecError` where the text has a form in which that cannot be done, or would be no spec any more.
    """
    lines = text.splitlines()
    for table, key, value in keys:
        _set(lines, table, key, value)
    edited = "\n".join(lines) + "\n"
    try:
        before, after = tomllib.loads(text), tomllib.loads(edited)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"the file's keys cannot be set in it: {error}", hint=_by_hand(keys)) from error
    for table, key, value in keys:
        before.setdefault(table, {})[key] = tomllib.loads(f"value = {value}")["value"]
    if before != after:
        raise SpecError("the file's keys cannot be set in it: another would change", hint=_by_hand(keys))
    parse(after)
    return edited


def _set(lines: list[str], table: str, key: str, value: str) -> None:
    header = re.compile(rf"\s*\[\s*{table}\s*\]\s*(#.*)?$")
    begin = next((at for at, line in enumerate(lines) if header.match(line)), None)
    if begin is None:
        lines += ["", f"[{table}]", f"{key} = {value}"]
        return
    end = next((at for at in range(begin + 1, len(lines)) if _TABLE.match(lines[at])), len(lines))
    for at in range(begin + 1, end):
        if re.match(rf"\s*{key}\s*=", lines[at]):
            lines[at] = f"{key} = {value}"
            return
    lines.insert(begin + 1, f"{key} = {value}")


def _by_hand(keys: Sequence[TomlKey]) -> str:
    return "set them by hand: " + ", ".join(f"{table}.{key} = {value}" for table, key, value in keys)
