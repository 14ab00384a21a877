"""Weights in a bucket: files under a prefix, and the manifest that is written last."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from homeport.errors import ApiDisabled, HomeportError, NotFound, SpecError
from homeport.google import Google
from homeport.json_types import Json, JsonObject
from homeport.progress import Progress
from homeport.reconcile import Concat, Outputs, Ref, needs_of
from homeport.resources.base import FixedResource
from homeport.resources.google.build import Build
from homeport.resources.google.build_place import ANYWHERE, BuildPlace
from homeport.resources.google.propagation import patient, while_it_spreads
from homeport.weights.manifest import Pin, PinnedFile, digest
from homeport.weights.sources.registry import in_cloud
from homeport.weights.transfer import MANIFEST, PYTHON, Job

TIMEOUT_S = 3 * 3600
"""Of the build: the largest models of the catalog at the slowest rate that was published for one."""
_AT_ONCE = 4
_SO_FAR = re.compile(r"([\d.]+) of ([\d.]+) MB")
"""As the carrier says how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights(FixedResource):
    """
    The files of `pin` in `gs://BUCKET/PREFIX/`, whole: without their manifest there are no weights.

    From a hub they are carried by a build in the cloud, from a `folder` of this machine by this machine. They never
    change: another commit has another prefix.
    """

    google: Google
    name: str
    """What people call them, such as `gemma-4-e4b`."""
    bucket: str
    prefix: str
    """Such as `models/google/gemma-4-E4B-it/COMMIT`."""
    region: str
    """Where the build runs."""
    pin: Pin
    folder: Path | None = None
    """Where the files are on this machine; None for a source that the cloud can reach by itself."""
    account: str = ""
    """The e-mail of the service account that the build runs as."""
    token: str | Ref | Concat | None = None
    """The version of the secret that holds the hub's token, `projects/P/secrets/S/versions/N`."""
    after: tuple[str, ...] = ()
    place: BuildPlace = ANYWHERE
    python: str = PYTHON
    """The image in which they are carried."""

    kind = "weights"

    @property
    def id(self) -> str:
        """Return kind and name."""
        return f"weights/{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the ids of the bucket, the token, and what else the build needs."""
        return tuple(dict.fromkeys((f"bucket/{self.bucket}", *self.after, *needs_of(self.token))))

    @property
    def build_region(self) -> str:
        """Return where the build runs."""
        return self.region

    @property
    def uri(self) -> str:
        """Return the address of the folder, `gs://BUCKET/PREFIX`."""
        return f"gs://{self.bucket}/{self.prefix}"

    @property
    def digest(self) -> str:
        """Return the digest of the manifest to come; '' where the source does not tell the sha256 of every file before."""
        known = all(file.sha256 for file in self.pin.files)
        return digest(self.pin.files) if known else ""

    @property
    def mark(self) -> str:
        """Return the tag of its build, by which one that is under way is found."""
        identity = f"{self.uri} {self.pin.revision} {digest(self.pin.files)}"
        return f"homeport-weights-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"

    @property
    def build(self) -> dict[str, Any]:  # Any: JSON, and Refs
        """Return the build that carries them, as Cloud Build takes it. Raises `SpecError` where they are on this machine."""
        job = Job(
            origin=self._origin(),
            goal=self.uri,
            files=self.pin.files,
            source=self.pin.source,
            revision=self.pin.revision,
        )
        body: dict[str, Any] = {  # Any: JSON, and Refs
            "steps": [job.step(token=self.token is not None, python=self.python)],
            "timeout": f"{TIMEOUT_S}s",
            "options": {"logging": "CLOUD_LOGGING_ONLY"},
            "serviceAccount": f"projects/{self.google.project}/serviceAccounts/{self.account}",
        }
        if self.token is not None:
            secret = {"versionName": self.token, "env": "HF_TOKEN"}
            body["availableSecrets"] = {"secretManager": [secret]}
        return body

    async def read(self) -> Json | None:
        """Return where they are and which; None where the manifest, the pin and the objects do not agree."""
        try:
            objects = {
                stored["name"]: stored
                async for stored in self.google.pages(
                    "storage", self._objects, "items", prefix=f"{self.prefix}/"
                )
            }
            if f"{self.prefix}/{MANIFEST}" not in objects:
                return None
            text = await self.google.content("storage", self._object(MANIFEST), alt="media")
        except (NotFound, ApiDisabled):
            return None
        try:
            manifest = json.loads(text)
            files = {file["path"]: file for file in manifest["files"]}
            complete = manifest["revision"] == self.pin.revision and files.keys() == self._paths
            complete = complete and all(_is_pinned(files[file.path], file) for file in self.pin.files)
            complete = complete and all(
                _lies(objects.get(f"{self.prefix}/{path}"), file) for path, file in files.items()
            )
            return self._live(manifest) if complete else None
        except (ValueError, KeyError, TypeError):
            return None  # It is no manifest of ours, or not any more.

    def summary(self, outputs: Outputs) -> str:
        """Return what it will be."""
        size = f"{self.pin.size / 1e9:.1f} GB" if self.pin.size >= 1e8 else f"{self.pin.size / 1e6:.1f} MB"
        return f"weights {self.pin.source}, {size}, in {self.uri}"

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Bring what is missing, then the manifest."""
        if self.folder is None:
            await while_it_spreads(lambda: self._carry(progress).run(outputs), outputs, self.needs)
        else:
            await self._upload(self.folder, patient(self.google, outputs, self.needs), progress)
        live = await self.read()
        if live is None:
            raise HomeportError(
                f"{self.uri} was written, and does not hold what its manifest says",
                hint="something else writes there, too: run the same command again",
            )
        return live

    async def delete(self, progress: Progress) -> tuple[str, ...]:
        """Remove all of it, the manifest first."""
        try:
            names = [
                stored["name"]
                async for stored in self.google.pages(
                    "storage", self._objects, "items", prefix=f"{self.prefix}/"
                )
            ]
        except (NotFound, ApiDisabled):
            return ()
        manifest = f"{self.prefix}/{MANIFEST}"
        for name in sorted(names, key=lambda name: (name != manifest, name)):
            try:
                await self.google.delete("storage", f"{self._objects}/{quote(name, safe='')}")
            except NotFound:
                continue
        return (f"weights in {self.uri}",) if names else ()

    def _carry(self, progress: Progress) -> Build:
        def tell(line: str) -> None:
            match = _SO_FAR.search(line)
            if match:
                progress.advanced(self.id, int(float(match[1]) * 1e6), int(float(match[2]) * 1e6))

        return Build(
            google=self.google,
            region=self.build_region,
            place=self.place,
            note=progress.note,
            mark=self.mark,
            what=f"the build that carries {self.pin.source}",
            body=self.build,
            needs=self.needs,
            tell=tell,
        )

    def _origin(self) -> str:
        origin = in_cloud(self.pin.source, self.pin.revision)
        if origin:
            return origin
        raise SpecError(
            f"{self.pin.source} is on this machine: no build can reach it",
            hint="give a folder, and it is uploaded from here",
        )

    async def _upload(self, folder: Path, google: Google, progress: Progress) -> None:
        done, slots = 0, asyncio.Semaphore(_AT_ONCE)

        def tell(more: int) -> None:
            nonlocal done
            done += more
            progress.advanced(self.id, done, self.pin.size)

        async def bring(file: PinnedFile) -> JsonObject:
            async with slots:
                name = f"{self.prefix}/{file.path}"
                earlier = await self._found(google, file)
                if earlier is not None:
                    tell(file.size)
                    return earlier
                sent = await google.upload_file(
                    self.bucket, name, folder / file.path, sha256=file.sha256, tell=tell
                )
            return {"path": file.path, "size": sent.size, "sha256": sent.sha256, "crc32c": sent.crc32c}

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(bring(file)) for file in self.pin.files]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        await self._seal(
            google, sorted((task.result() for task in tasks), key=lambda file: str(file["path"]))
        )

    async def _found(self, google: Google, file: PinnedFile) -> JsonObject | None:
        """Return what an earlier try has brought, where it is the right file."""
        if file.sha256 is None:
            return None
        try:
            stored = await google.get("storage", self._object(file.path))
        except NotFound:
            return None
        if (stored.get("metadata", {}).get("sha256"), int(stored["size"])) != (file.sha256, file.size):
            return None
        return {"path": file.path, "size": file.size, "sha256": file.sha256, "crc32c": stored["crc32c"]}

    async def _seal(self, google: Google, files: list[JsonObject]) -> None:
        pinned = tuple(PinnedFile(path=f["path"], size=f["size"], sha256=f["sha256"]) for f in files)
        manifest = {
            "source": self.pin.source,
            "revision": self.pin.revision,
            "digest": digest(pinned),
            "files": files,
        }
        try:
            generation = int((await google.get("storage", self._object(MANIFEST)))["generation"])
        except NotFound:
            generation = 0
        await google.upload(
            self.bucket,
            f"{self.prefix}/{MANIFEST}",
            json.dumps(manifest, indent=1).encode(),
            if_generation_match=generation,
            content_type="application/json",
        )

    def _live(self, manifest: Json) -> JsonObject:
        return {
            "uri": self.uri,
            "bucket": self.bucket,
            "prefix": self.prefix,
            "digest": manifest["digest"],
            "revision": manifest["revision"],
            "files": manifest["files"],
        }

    @property
    def _paths(self) -> set[str]:
        return {file.path for file in self.pin.files}

    @property
    def _objects(self) -> str:
        return f"storage/v1/b/{self.bucket}/o"

    def _object(self, path: str) -> str:
        return f"{self._objects}/{quote(f'{self.prefix}/{path}', safe='')}"


def _is_pinned(listed: Json, file: PinnedFile) -> bool:
    """Return True if a file of the manifest is the pinned one, as far as the pin knows it."""
    matches = file.size in {0, listed["size"]} and file.sha256 in {None, listed["sha256"]}
    return matches and file.crc32c in {None, listed["crc32c"]}


def _lies(stored: Json | None, listed: Json) -> bool:
    """Return True if an object holds what the manifest says."""
    return (
        stored is not None and int(stored["size"]) == listed["size"] and stored["crc32c"] == listed["crc32c"]
    )
