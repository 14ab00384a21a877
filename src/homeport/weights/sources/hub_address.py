"""How a repository of a model hub is named: `hf:ORG/NAME[@REVISION][:FILE]`."""

from __future__ import annotations

import re
from pathlib import Path

from homeport import names
from homeport.errors import SpecError
from homeport.weights.likely_source import likely
from homeport.weights.sources.base import SourceKind
from homeport.weights.sources.hub import HubSource

EXAMPLE = "hf:ggml-org/gemma-3-270m-it-GGUF:gemma-3-270m-it-Q8_0.gguf"
_ADDRESS = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?",
    re.ASCII,
)


def read(source: str, _: Path) -> HubSource:
    """Return the repository, revision and file that `source` names. Raises `SpecError` where it is badly written."""
    match = _ADDRESS.fullmatch(source.removeprefix("hf:"))
    why = "" if match is None else next(
        (why for part in ("revision", "file") if match[part] and (why := names.problem(match[part]))), ""
    )  # fmt: skip
    if match is None or why:
        raise SpecError(
            f"{source!r} is not hf:ORG/NAME[@REVISION][:FILE]" + (f": a part of it {why}" if why else ""),
            hint=f"{likely(source)}such as {EXAMPLE}",
        )
    return HubSource(repo=match["repo"], revision=match["revision"], file=match["file"])


def _in_cloud(source: str, revision: str) -> str:
    return f"hf:{read(source, Path()).repo}@{revision}"


KIND = SourceKind(
    scheme="hf",
    grammar="hf:ORG/NAME[@REVISION][:FILE]",
    example=EXAMPLE,
    read=read,
    here=True,
    cloud=_in_cloud,
)
