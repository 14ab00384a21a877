"""How a repository of a model hub is named: `hf:ORG/NAME[@REVISION][:FILE]`."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import SpecError
from homeport.weights.hub_name import hub_name
from homeport.weights.sources.base import SourceKind
from homeport.weights.sources.hub import HubSource

EXAMPLE = "hf:ggml-org/gemma-3-270m-it-GGUF:gemma-3-270m-it-Q8_0.gguf"


def read(source: str, _: Path) -> HubSource:
    """Return the repository, revision and file that `source` names. Raises `SpecError` where it is badly written."""
    try:
        named = hub_name(source.removeprefix("hf:"))
    except ValueError as error:
        raise SpecError(
            f"{source!r} is not hf:ORG/NAME[@REVISION][:FILE]" + (f": {error}" if str(error) else ""),
            hint=f"such as {EXAMPLE}",
        ) from error
    return HubSource(repo=named.repo, revision=named.revision, file=named.file)


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
