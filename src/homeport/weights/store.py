"""The weights on this machine: fetched once, kept whole, shared by all endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from homeport.errors import DiskFull, WeightsError
from homeport.hardware import free_disk
from homeport.home import writing
from homeport.progress import Progress, Silent
from homeport.weights import documents
from homeport.weights.checksum import sha256_of
from homeport.weights.documents import ManifestDocument, PinDocument
from homeport.weights.download import Bar
from homeport.weights.lock import held
from homeport.weights.manifest import Damage, Format, Manifest, Pin, PinnedFile, digest
from homeport.weights.progress_stage import megabytes, stage
from homeport.weights.sources.base import WeightsSource
from homeport.weights.sources.registry import parse

HEADROOM = 256_000_000
"""Bytes of disk that are left free."""


def disk_full(sources: Sequence[str], needed: int, folder: Path) -> DiskFull | None:
    """Return the error of `needed` bytes of `sources` in `folder` where they do not fit, else None. Raises `OSError`."""
    free = free_disk(folder)
    if free >= needed + HEADROOM:
        return None
    need = "needs" if len(sources) == 1 else "need"
    return DiskFull(
        f"{' and '.join(sources)} {need} {megabytes(needed)} of disk, and {megabytes(free)} are free at {folder}"
        f" ({megabytes(HEADROOM)} of them stay free)",
        hint="free some space, or set HOMEPORT_HOME (for hf: sources HF_HOME) to a folder on a larger disk",
    )


class WeightsStore:
    """
    All weights under one root. Its methods block: call them in a thread. Any number of processes may use
    the same root at once, and any of them may be killed at any moment.

    A `source` is one that `weights.source.canonical` made.
    """

    def __init__(self, root: Path, sums: Mapping[str, str] = MappingProxyType({})) -> None:
        """Take as `sums`, by source, the sha256 that its one file must have, where that is known."""
        self._root, self._sums = root, sums

    def pinned(self, source: str, format: Format) -> Pin | None:
        """
        Return what an earlier run pinned `source` to, without asking anyone; None where none has.

        Nor where that is not what `sums` says: it was pinned before that was known, or published with other bytes.
        """
        document = documents.read(self._pin_path(source, format), PinDocument)
        try:
            return self.expected(source, document.pin) if document else None
        except WeightsError:
            return None

    def expected(self, source: str, pin: Pin) -> Pin:
        """Return `pin` with the sha256 that its one file must have. Raises `WeightsError` where it has another."""
        sha256 = self._sums.get(source)
        weights = [file for file in pin.files if file.path.endswith(".gguf")]
        if sha256 is None or len(weights) != 1:
            return pin
        if weights[0].sha256 not in {None, sha256}:
            raise WeightsError(
                f"{source} is not what the catalog pins: {weights[0].path} has the sha256 {weights[0].sha256}, and "
                f"{sha256} was expected",
                hint="other bytes are published under this name; if you trust them, name them as a source of your own",
            )
        files = (replace(file, sha256=sha256) if file == weights[0] else file for file in pin.files)
        return replace(pin, files=tuple(files))

    def manifest(self, source: str, format: Format) -> Manifest | None:
        """
        Return the weights, where they are here and no file has changed since it was last hashed; else None.

        Costs a few `stat` calls: it compares sizes and modification times, and of the user's own also which there are.
        """
        document = documents.read(self._manifest_path(source, format), ManifestDocument)
        if document is None or document.manifest.pin != self.pinned(
            source, format
        ):  # also where the catalog has another
            return None
        files = {file.path for file in document.manifest.pin.files}
        intact = _unchanged(document).keys() == files and _files_now(source, format) in {
            None,
            frozenset(files),
        }
        return document.manifest if intact else None

    def needs(self, source: str, format: Format, expected: int | None) -> tuple[int, Path]:
        """
        Return the bytes of disk that `ensure` would take, and the folder, without asking anyone: 0 where that is not known.

        `expected` are the bytes of weights that were not pinned yet. Partial downloads count as had.
        """
        origin = parse(source, base=Path())
        if self.manifest(source, format) is not None:
            return 0, self._root
        pin = self.pinned(source, format)
        if pin is None:
            weights = PinnedFile(path="weights", size=expected or 0, sha256=None)
            pin = Pin(source=source, revision="", files=(weights,))
        folder = origin.folder(self._root, pin)
        return origin.needs(pin, folder), folder if pin.revision else folder.parent

    def unlike(self, source: str, format: Format) -> str:
        """Return why the weights that are here are not what `sums` says of `source`, or ''."""
        document = documents.read(self._manifest_path(source, format), ManifestDocument)
        try:
            if document is not None:
                self.expected(source, document.manifest.pin)
        except WeightsError as error:
            return str(error)
        return ""

    def ensure(self, source: str, format: Format, progress: Progress) -> Manifest:
        """
        Return the weights, fetched or mended as need be; only what is missing or broken is fetched.

        Raises `SpecError`, `NetworkError`, `GatedModel`, `UnknownModel`, `WeightsError`, `EngineMissing`,
        `DiskFull`, `StateError`.
        """
        here = self.manifest(source, format)
        if here is not None:
            return here
        origin = parse(source, base=Path())
        with self._locked(origin, progress):
            return self.manifest(source, format) or self._bring(origin, source, format, progress)

    def check(self, source: str, format: Format, progress: Progress | None = None) -> list[Damage]:
        """Read every file and compare it with its checksum. What is damaged is forgotten, so that `ensure` mends it.

        Raises `WeightsError` where the weights were never here.
        """
        progress = progress or Silent()
        with self._locked(parse(source, base=Path()), progress):
            path = self._manifest_path(source, format)
            document = documents.read(path, ManifestDocument)
            if document is None:
                raise WeightsError(f"{source} has not been fetched", hint="`homeport up` fetches it")
            files, folder = document.manifest.pin.files, document.manifest.folder
            if self.unlike(source, format):  # It is held against what it must be, not against what it was.
                files = tuple(replace(file, sha256=self._sums[source]) for file in files)
            signs = _signs(files, folder)
            bar = Bar(progress, source, total=sum(sign.size for sign in signs.values()))
            damages = []
            with stage(progress, source, f"checking {source}", f"checked {source}"):
                for file in files:
                    damage = _compare(file, folder, bar)
                    if damage is not None:
                        damages.append(damage)
                        signs.pop(file.path, None)
            documents.write(path, replace(document, seen=signs))
            return damages

    def remove(self, source: str, format: Format) -> bool:
        """
        Remove the weights that homeport fetched, with all partial downloads; whether there were any.

        What the user or another tool put there stays.
        """
        origin = parse(source, base=Path())
        document = documents.read(self._pin_path(source, format), PinDocument)
        if document is None:
            return False
        with self._locked(origin, Silent()):
            if origin.ours:
                folder = origin.folder(self._root, document.pin)
                for path in document.ours:
                    origin.discard(folder / path, keep_shared=True)
                origin.sweep(folder)
            with writing(self._root):
                self._manifest_path(source, format).unlink(missing_ok=True)
                self._pin_path(source, format).unlink(missing_ok=True)
        return True

    def all(self) -> list[Manifest]:
        """Return every manifest, whether or not its files are still whole."""
        stored = (
            documents.read(path, ManifestDocument)
            for path in sorted((self._root / "manifests").glob("*.json"))
        )
        return [document.manifest for document in stored if document is not None]

    def _bring(self, origin: WeightsSource, source: str, format: Format, progress: Progress) -> Manifest:
        pin = self._pin(origin, source, format, progress)
        folder = origin.folder(self._root, pin)
        document = documents.read(self._manifest_path(source, format), ManifestDocument)
        sums = _unchanged(document) if document and document.manifest.folder == folder else {}
        for last in (False, True):
            self._want_disk(origin, pin, folder)
            sums.update(origin.fetch(pin, folder, progress))
            signs = _signs(pin.files, folder)
            _hash_rest(pin, folder, sums, progress)
            bad = [file.path for file in pin.files if file.sha256 not in {None, sums[file.path]}]
            for path in bad:
                origin.discard(folder / path)
                del sums[path]
            if not bad:
                break
            if last:
                raise WeightsError(
                    f"{source}: {bad[0]} came damaged twice", hint="check the disk and the network"
                )
        files = tuple(
            PinnedFile(path=file.path, size=signs[file.path].size, sha256=sums[file.path])
            for file in pin.files
        )
        revision = pin.revision or (digest(files) if len(files) > 1 else sums[files[0].path])
        manifest = Manifest(pin=replace(pin, revision=revision, files=files), folder=folder)
        if document is not None and not origin.ours and document.manifest.digest != manifest.digest:
            progress.note(f"{source} is not what it was when it was last used")
        self._write_pin(origin, format, manifest.pin, source)
        documents.write(
            self._manifest_path(source, format),
            ManifestDocument(format=format, manifest=manifest, seen=signs),
        )
        return manifest

    def _pin(self, origin: WeightsSource, source: str, format: Format, progress: Progress) -> Pin:
        pinned = self.pinned(source, format)
        if pinned is not None and origin.ours:
            return pinned
        with stage(progress, source, f"looking up {source}", f"found {source}"):
            pin = self.expected(source, origin.pin(format))
        self._write_pin(origin, format, pin, source)
        return pin

    def _write_pin(self, origin: WeightsSource, format: Format, pin: Pin, source: str) -> PinDocument:
        """Write the pin, before the first byte, so that what is fetched can be told from what was there before."""
        path = self._pin_path(source, format)
        folder = origin.folder(self._root, pin)
        before = documents.read(path, PinDocument)
        missing = tuple(file.path for file in pin.files if not (folder / file.path).exists())
        unchanged = before is not None and before.pin.revision == pin.revision
        pinned = PinDocument(format=format, pin=pin, ours=before.ours if before and unchanged else missing)
        documents.write(path, pinned)
        return pinned

    def _want_disk(self, origin: WeightsSource, pin: Pin, folder: Path) -> None:
        needed = origin.needs(pin, folder)
        if not needed:
            return
        with writing(folder):
            full = disk_full([pin.source], needed, folder)
        if full:
            raise full

    def _locked(self, origin: WeightsSource, progress: Progress) -> AbstractContextManager[None]:
        return held(self._root / "locks" / f"{origin.lock}.lock", origin.text, progress)

    def _pin_path(self, source: str, format: Format) -> Path:
        return self._root / "pins" / documents.name_of(source, format)

    def _manifest_path(self, source: str, format: Format) -> Path:
        return self._root / "manifests" / documents.name_of(source, format)


def _unchanged(document: ManifestDocument) -> dict[str, str]:
    """Return the sha256 of the files that are as they were when they were hashed, by path."""
    folder = document.manifest.folder
    return {
        file.path: file.sha256
        for file in document.manifest.pin.files
        if file.sha256
        and file.path in document.seen
        and documents.file_signature(folder / file.path) == document.seen[file.path]
    }


def _files_now(source: str, format: Format) -> frozenset[str] | None:
    """Return the files of a source that is the user's own, which may get new ones; none where it is not usable any more."""
    origin = parse(source, base=Path())
    if origin.ours:
        return None
    try:
        return frozenset(file.path for file in origin.pin(format).files)
    except WeightsError:
        return frozenset()


def _signs(files: tuple[PinnedFile, ...], folder: Path) -> dict[str, documents.FileSignature]:
    return {
        file.path: sign
        for file in files
        if (sign := documents.file_signature(folder / file.path)) is not None
    }


def _hash_rest(pin: Pin, folder: Path, sums: dict[str, str], progress: Progress) -> None:
    unhashed = [file for file in pin.files if file.path not in sums]
    if not unhashed:
        return
    bar = Bar(progress, pin.source, total=sum(file.size for file in unhashed))
    with stage(progress, pin.source, f"checking {pin.source}", f"checked {pin.source}"):
        for file in unhashed:
            sums[file.path] = sha256_of(folder / file.path, bar.add)


def _compare(file: PinnedFile, folder: Path, bar: Bar) -> Damage | None:
    path = folder / file.path
    if not path.is_file():
        return Damage(path=path, what="is missing")
    sha256 = sha256_of(path, bar.add)
    if sha256 == file.sha256:
        return None
    return Damage(path=path, what=f"has the sha256 {sha256}, should have {file.sha256}")
