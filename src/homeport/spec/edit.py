"""Single keys of a homeport.toml changed in its text, so that comments and order stay."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

from homeport.errors import SpecError
from homeport.spec.load import load, parse

TomlKey = tuple[str, str, str]
"""Table, '' for what stands before the first; key; and the value as TOML."""
_TABLE = re.compile(r"\s*\[")


def edited(file: Path, keys: Sequence[TomlKey]) -> str:
    """Return the text of the spec in `file` with `keys` set. Raises `SpecError` where it holds none, and as `with_keys` does."""
    load(file)
    return with_keys(file.read_text("utf-8"), keys)


def with_keys(text: str, keys: Sequence[TomlKey]) -> str:
    """
    Return the text of a spec with `keys` set, whatever they were, and nothing else changed.

    Raises `SpecError` where the text has a form in which that cannot be done, or would be no spec any more.
    """
    lines = text.splitlines()
    for table, key, value in keys:
        _set(lines, table, key, value)
    made = "\n".join(lines) + "\n"
    try:
        before, after = tomllib.loads(text), tomllib.loads(made)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"the file's keys cannot be set in it: {error}", hint=_by_hand(keys)) from error
    for table, key, value in keys:
        home = before.setdefault(table, {}) if table else before
        home[key] = tomllib.loads(f"value = {value}")["value"]
    if before != after:
        raise SpecError("the file's keys cannot be set in it: another would change", hint=_by_hand(keys))
    parse(after)
    return made


def _set(lines: list[str], table: str, key: str, value: str) -> None:
    header = re.compile(rf"\s*\[\s*{table}\s*\]\s*(#.*)?$")
    begin = next((at for at, line in enumerate(lines) if header.match(line)), None) if table else -1
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
    return "set them by hand: " + ", ".join(
        f"{f'{table}.' if table else ''}{key} = {value}" for table, key, value in keys
    )
