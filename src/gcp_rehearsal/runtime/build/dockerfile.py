"""Dockerfiles, as far as a rehearsal goes: an image of one stage, made of a base and of files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from gcp_rehearsal.json_text import read_json
from gcp_rehearsal.runtime.programs import Programs, program_of


class BuildRefused(Exception):
    """What docker would say, or what is not rehearsed."""


@dataclass(slots=True, kw_only=True)
class ImageContent:
    """What an image is made of."""

    base: str = ""
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    workdir: str = "/"
    labels: dict[str, str] = field(default_factory=dict)
    copies: list[tuple[str, str]] = field(default_factory=list)
    """What of the build's folder is copied to which path of the image."""


def parse(text: str, programs: Programs = MappingProxyType({})) -> ImageContent:
    """
    Return the image that a Dockerfile describes; `programs` say what bases start. Raises `EndpointError` for
    an instruction that is not rehearsed.
    """
    image = ImageContent()
    for word, rest in _instructions(text):
        if not image.base and word != "FROM":
            raise BuildRefused("no build stage in current context")
        if word == "FROM":
            _from(image, rest, programs)
        elif word in {"ENV", "LABEL"}:
            (image.env if word == "ENV" else image.labels).update(_pairs(word, rest))
        elif word == "COPY":
            _copy(image, rest)
        elif word in {"ENTRYPOINT", "CMD"}:
            _runs(image, word, rest)
        elif word == "WORKDIR":
            image.workdir = str(PurePosixPath(image.workdir) / rest)
        elif word not in {"RUN", "USER", "EXPOSE"}:
            raise BuildRefused(f"a rehearsal knows no {word} in a Dockerfile")
    if not image.base:
        raise BuildRefused("file with no instructions")
    return image


def copied(image: ImageContent, context: Path, root: Path) -> None:
    """Copy what the image holds from the build's folder to `root`. Raises `EndpointError` for what is not there."""
    for source, target in image.copies:
        origin = (context / source.lstrip("/")).resolve()
        if not origin.is_relative_to(context.resolve()) or not origin.exists():
            raise BuildRefused(f'failed to compute cache key: "/{source}": not found')
        if not origin.is_file():
            raise BuildRefused(f"a rehearsal copies files, and {source} is none")
        path = root / target.lstrip("/")
        goal = path / origin.name if target.endswith("/") else path
        if not goal.resolve().is_relative_to(root.resolve()):
            raise BuildRefused(f"{target} leaves the image")
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.unlink(missing_ok=True)
        goal.hardlink_to(origin)


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    if "\0" in text:
        raise BuildRefused("a Dockerfile is text, and this one holds a NUL")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).splitlines():
        word, _, rest = line.strip().partition(" ")
        yield word.upper(), rest.strip()


def _from(image: ImageContent, rest: str, programs: Programs) -> None:
    words = rest.split()
    if image.base or len(words) != 1:
        raise BuildRefused("a rehearsal knows Dockerfiles of one stage only")
    image.base = words[0]
    program = program_of(programs, image.base)
    if program is not None:
        image.entrypoint, image.cmd = list(program.entrypoint), list(program.cmd)


def _pairs(word: str, rest: str) -> dict[str, str]:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise BuildRefused(f"{word} {rest}: {error}") from error
    if not words or any("=" not in pair for pair in words):
        raise BuildRefused(f"{word} must have the form NAME=VALUE")
    # A dollar of its own is written with a backslash, which shlex leaves where it is.
    return {name: value.replace("\\$", "$") for name, _, value in (pair.partition("=") for pair in words)}


def _copy(image: ImageContent, rest: str) -> None:
    words = _list(rest) or [word for word in shlex.split(rest) if not word.startswith("--chmod=")]
    if any(word.startswith("--") for word in words):
        raise BuildRefused(f"a rehearsal does not know COPY {rest}")
    if len(words) < 2 or (len(words) > 2 and not words[-1].endswith("/")):
        raise BuildRefused("COPY requires at least two arguments, and a folder for more than one file")
    target = words[-1] if words[-1].startswith("/") else f"{image.workdir.rstrip('/')}/{words[-1]}"
    image.copies += [(source, target) for source in words[:-1]]


def _runs(image: ImageContent, word: str, rest: str) -> None:
    command = _list(rest) if rest.startswith("[") else ["/bin/sh", "-c", rest]
    if word == "CMD":
        image.cmd = command
    else:
        image.entrypoint, image.cmd = command, []


def _list(rest: str) -> list[str]:
    if not rest.startswith("["):
        return []
    try:
        arguments = read_json(rest)
    except ValueError as error:
        raise BuildRefused(f"{rest} is no list in JSON") from error
    return [str(argument) for argument in arguments]
