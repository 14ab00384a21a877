"""Weights in a bucket of somebody's: Google's public ones, or another of the user's. They are looked at from here."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from homeport import names
from homeport.errors import NotFound, PermissionDenied, SpecError, WeightsError
from homeport.json_types import JsonObject
from homeport.weights import checkpoint
from homeport.weights.manifest import Format, Pin, PinnedFile
from homeport.weights.selection import IN_ITS_PLACE, choose
from homeport.weights.sources.base import SourceKind

if TYPE_CHECKING:
    from homeport.google import Google

VIEWER = "roles/storage.objectViewer"
EXAMPLE = "gs://vertex-model-garden-public-us/gemma4/gemma-4-E2B-it"
_ADDRESS = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]+)/(?P<path>[^\s:]+?)/?", re.ASCII)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class BucketSource:
    """A folder of a bucket of Cloud Storage, or a GGUF in one. Cloud Run serves from it; nothing here fetches it."""

    bucket: str
    folder: str
    """Without slashes at its ends; '' for the whole bucket."""
    file: str | None = None

    @property
    def origin(self) -> str:
        """Return the folder's address, `gs://BUCKET/FOLDER`."""
        return f"gs://{self.bucket}/{self.folder}".rstrip("/")

    @property
    def text(self) -> str:
        """Return the source in its canonical words: `gs://BUCKET/FOLDER`, and the file where one was named."""
        return f"{self.origin}/{self.file}" if self.file else self.origin

    def name(self, path: str) -> str:
        """Return the name of the object that is `path` of the folder."""
        return f"{self.folder}/{path}".lstrip("/")


def bucket_source(source: str) -> BucketSource | None:
    """Return the bucket that `source` names; None for any other kind of source. Raises `SpecError` as `read` does."""
    return read(source, Path()) if source.startswith("gs:") else None


def read(source: str, _: Path) -> BucketSource:
    """Return the bucket that `source` names. Raises `SpecError` where it is badly written."""
    unseen = names.unprintable(source)
    match = None if unseen else _ADDRESS.fullmatch(source)
    if match is None or names.problem(match["path"]):
        raise SpecError(
            f"{source!r} is not gs://BUCKET/FOLDER or gs://BUCKET/FOLDER/FILE.gguf", hint=f"such as {EXAMPLE}"
        )
    folder, _slash, last = match["path"].rpartition("/")
    if last.endswith(".gguf"):
        return BucketSource(match["bucket"], folder, last)
    return BucketSource(match["bucket"], match["path"])


KIND = SourceKind(
    scheme="gs",
    grammar="gs://BUCKET/FOLDER",
    example=EXAMPLE,
    read=read,
    here=False,
    cloud=lambda source, _: read(source, Path()).origin,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LentBuckets:
    """
    Reads buckets that are not ours, as the logged-in user. Its methods block: they are called in a thread of their
    own, while `loop` runs.
    """

    google: Google
    loop: asyncio.AbstractEventLoop
    carrier: str
    """The e-mail of the service account that will carry the weights."""

    def pin(self, source: BucketSource, wanted: Format) -> Pin:
        """
        Return the files that an engine needs which loads `wanted`, each at its generation.

        Raises `WeightsError` where there are none, `PermissionDenied` with the grant that is missing.
        """
        objects = self._wait(self._listed(source))
        chosen = choose(objects, wanted, file=source.file, where=source.origin, one=IN_ITS_PLACE)
        pinned = {name: _pinned(names.judge(name, where=source.origin), objects[name]) for name in chosen}

        def content(name: str) -> bytes:
            return self.begin(source, pinned[name], min(pinned[name].size, checkpoint.MOST_BYTES))

        needed = checkpoint.whole(chosen, wanted, content, where=source.origin)
        files = tuple(pinned[name] for name in needed)
        lines = "".join(f"{file.generation}  {file.path}\n" for file in files)
        revision = hashlib.sha256(lines.encode()).hexdigest()[:40]
        return Pin(source=source.text, revision=revision, files=files)

    def begin(self, source: BucketSource, file: PinnedFile, length: int) -> bytes:
        """Return the first `length` bytes of a file, or all that it has. Raises what `pin` raises."""
        return self._wait(self._read(source, file, length))

    async def _listed(self, source: BucketSource) -> dict[str, JsonObject]:
        """Return what is in the folder, by path."""
        begin = source.name("")
        try:
            items = [
                item
                async for item in self.google.pages(
                    "storage", f"storage/v1/b/{source.bucket}/o", "items", prefix=begin or None
                )
            ]
        except NotFound as error:
            raise WeightsError(
                f"there is no bucket {source.bucket}", hint="`gcloud storage ls` shows yours"
            ) from error
        except PermissionDenied as error:
            raise self._closed(source, error) from error
        # Consoles make empty objects that stand for folders.
        return {item["name"].removeprefix(begin): item for item in items if not item["name"].endswith("/")}

    async def _read(self, source: BucketSource, file: PinnedFile, length: int) -> bytes:
        path = f"storage/v1/b/{source.bucket}/o/{quote(source.name(file.path), safe='')}"
        try:
            return await self.google.content(
                "storage", path, first=length, alt="media", generation=file.generation
            )
        except PermissionDenied as error:
            raise self._closed(source, error) from error

    def _closed(self, source: BucketSource, error: PermissionDenied) -> PermissionDenied:
        grant = (
            f"gcloud storage buckets add-iam-policy-binding gs://{source.bucket} --role={VIEWER} --member="
        )
        return PermissionDenied(
            f"you may not read gs://{source.bucket}: {error}",
            status=error.status,
            request=error.request,
            hint=f"its owner can grant it to you: {grant}user:YOU@EXAMPLE.COM; "
            f"and to what carries the weights: {grant}serviceAccount:{self.carrier}",
        )

    def _wait(self, work: Coroutine[Any, Any, _T]) -> _T:  # Any: as Coroutine has it
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


def _pinned(path: str, item: JsonObject) -> PinnedFile:
    return PinnedFile(
        path=path,
        size=int(item["size"]),
        sha256=None,  # Everyone who may write there could have written any into its metadata.
        generation=int(item["generation"]),
        crc32c=item["crc32c"],
        md5=item.get("md5Hash"),
    )
