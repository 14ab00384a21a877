"""Scripts of bash: what each begins with, commands quoted as the shell reads them, values as gcloud prints them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from importlib.resources import files

from homeport.json_types import Json

_WIDTH = 100
_SERVER = re.compile(r"https?://\S*/(projects/)")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}

Lines = list[str]


def script(project: str, head: str, lines: Lines, epilogue: str = "") -> str:
    """Return a script of bash for a project: its head, what all of them begin with, and its lines."""
    functions = files("homeport.export").joinpath("functions.sh").read_text(encoding="utf-8")
    joined = "".join(f"{line}\n" for line in lines)
    begin = "\n".join(
        (
            "set -euo pipefail",
            # A path that the caller gives is meant from there.
            *(("called=$PWD",) if "$called" in joined else ()),
            "unset CDPATH",
            'cd "$(dirname "${BASH_SOURCE[0]}")"',
            "",
            f"export CLOUDSDK_CORE_PROJECT={shlex.quote(project)} CLOUDSDK_CORE_DISABLE_PROMPTS=1",
            "",
        )
    )
    return f"#!/usr/bin/env bash\n{head}{begin}\n{functions}{joined}{epilogue}"


def command(*words: str, tail: str = "") -> str:
    """Return a command, quoted where the shell would read something into it, over several lines where it is long."""
    quoted = [word if word == "-" else shlex.quote(word) for word in words]
    line = " ".join(quoted) + tail
    if len(line) <= _WIDTH or "\n" in line:
        return line
    first = next((place for place, word in enumerate(quoted) if word.startswith("--")), len(quoted))
    return " \\\n    ".join([" ".join(quoted[:first]), *quoted[first:]]) + tail


def with_variables(lines: Lines, marks: Mapping[str, str]) -> Lines:
    """
    Return lines with variables of the shell in place of marks, by the mark: in commands, and in what is between `<<'END'` and `END`.

    Raises `TypeError` for a line with a quote of its own in which nobody could tell what is quoted.
    """
    filled, inside = Lines(), False
    for line in lines:
        if inside:
            inside = line != "END"
            plain = line.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")
            filled.append(_put(plain, marks, "{}"))
        elif not any(mark in line for mark in marks) and not line.endswith("<<'END'"):
            filled.append(line)
        else:
            if '"\'"' in line and any(mark in line for mark in marks):
                raise TypeError(f"nobody can tell what is quoted in {line}")
            inside = line.endswith("<<'END'")
            shown = line.removesuffix("<<'END'") + "<<END" if inside else line
            parts = [
                _put(part, marks, "'\"{}\"'" if place % 2 else '"{}"')
                for place, part in enumerate(shown.split("'"))
            ]
            filled.append("'".join(parts))
    return filled


def _put(text: str, marks: Mapping[str, str], form: str) -> str:
    for mark, variable in marks.items():
        text = text.replace(mark, form.format(variable))
    return text


def values(body: Json) -> Lines:
    """Return JSON as `gcloud --format=flattened[no-pad]` prints it, one line a value, without the names of servers."""
    return [_SERVER.sub(r"\1", f"{path}: {_printed(value)}") for path, value in _flat(body, "")]


def _flat(value: Json, path: str) -> Iterator[tuple[str, Json]]:
    if isinstance(value, Mapping) and value:
        for key in sorted(value):
            yield from _flat(value[key], f"{path}.{key}" if path else key)
    elif isinstance(value, list | tuple) and value:
        for place, member in enumerate(value):
            yield from _flat(member, f"{path}[{place}]")
    elif value is not None:
        yield path, value


def _printed(value: Json) -> str:
    text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
    if "\n" in text or text != text.strip():
        return f'"{"".join(_ESCAPES.get(letter, letter) for letter in text)}"'
    return text
