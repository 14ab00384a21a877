"""
A model and its weights, known from headers alone: of files here, or of a hub before anything is downloaded.

Of a repository the settings come whole, and of each file of weights only the header, some kilobytes; that of a GGUF
holds its vocabulary, which is megabytes for a Gemma.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from homeport.catalog import Model, gguf_header, gguf_parts, inspect, safetensors_header, tensors
from homeport.catalog.partial_read import NeedsMore
from homeport.catalog.parts import Parts
from homeport.catalog.untrusted import read_json
from homeport.errors import WeightsError
from homeport.names import shown
from homeport.weights import checkpoint, sentence_modules
from homeport.weights.selection import IN_ITS_PLACE, choose, instead, parts_beside

if TYPE_CHECKING:
    from homeport.weights.manifest import Format, Pin, PinnedFile
    from homeport.weights.sources.hub import HubSource

_FIRST = {"safetensors": 1 << 18, "gguf": 1 << 20}
"""Bytes that are asked for at first; most headers of safetensors are shorter."""
_MOST = 1 << 28
_SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "chat_template.json",
    checkpoint.INDEX,
    "adapter_config.json",
    "params.json",
)
_MOST_SETTINGS = 1 << 25
"""Bytes; the index of a model with a hundred thousand tensors has a third of that."""
_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.safetensors")
_AT_ONCE = 8
SILENCE_S = 10.0
"""Seconds without a byte after which a try is given up; there are five tries."""
_Header = TypeVar("_Header")
Begin: TypeAlias = "Callable[[PinnedFile, int], bytes]"
"""Gives the first so many bytes of a file, or all that it has. Several threads call it at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What headers say."""

    model: Model
    format: Format
    bytes: int
    """Of all tensors."""
    parts: Parts
    quantization: str
    headers: tuple[gguf_header.Header, ...] = ()
    """Of GGUF files; empty for safetensors."""
    tensors: tuple[safetensors_header.SafetensorsTensor, ...] = ()
    """Of safetensors; empty for GGUF files."""
    fetched: int = 0
    """Bytes that came over a network."""


def of_path(path: Path, *, name: str) -> Described:
    """
    Return what a folder with a config.json, or a GGUF file, holds; of a split GGUF, `path` is the first part.

    Raises `WeightsError` where it is none, damaged or cut short.
    """
    if path.is_dir():
        files = sorted(path.glob("*.safetensors"))
        if not files and any(path.glob("*.gguf")):
            ggufs = (file.name for file in path.glob("*.gguf"))
            (gguf, *_) = choose(ggufs, "gguf", where=str(path), one=IN_ITS_PLACE)
            return of_path(path / gguf, name=name)
        if not files:
            names_here = _names_in(path)
            raise WeightsError(
                f"{path} holds no safetensors and no GGUF file",
                hint=instead(names_here) or "name a folder with a model, or a GGUF file",
            )
        beside = (file.name for file in path.iterdir() if file.is_file() or checkpoint.is_dangling(file))
        chosen = choose(beside, "safetensors", where=str(path))
        for name_here in chosen:
            checkpoint.ensure_leads_somewhere(path / name_here)
        names = [
            name
            for name in checkpoint.indexed(chosen, lambda name: (path / name).read_bytes(), where=str(path))
            if name.endswith(".safetensors")
        ]
        return _of_folder(path, {shard: safetensors_header.read(path / shard) for shard in names}, name=name)
    if path.suffix == ".safetensors":
        raise WeightsError(
            f"{path} is one file of a model, and its folder was expected",
            hint=f"name the folder: {path.parent}",
        )
    checkpoint.ensure_leads_somewhere(path)
    parts = parts_beside(path)
    return _of_gguf([gguf_header.read(part) for part in parts], where=str(path), name=name)


def _names_in(folder: Path) -> list[str]:
    """Return what lies in a folder and in those right below it: what lies deeper is no part of one model."""
    try:
        found = [*folder.glob("*"), *folder.glob("*/*")]
    except OSError as error:
        raise WeightsError(
            f"{folder} cannot be read: {error.strerror}", hint="name a folder that you may read"
        ) from error
    return [file.relative_to(folder).as_posix() for file in found]


def of_hub(source: HubSource, wanted: Format, *, name: str) -> Described:
    """
    Return what a repository of a hub holds, for an engine that loads `wanted`.

    Raises `NetworkError`, `GatedModel`, `UnknownModel`, `WeightsError`, `EngineMissing`.
    """
    from homeport.weights.download import client

    pin = source.pin(wanted)
    cached = source.folder(Path(), pin)
    if all((cached / file.path).exists() for file in pin.files):
        return of_path(cached / pin.files[0].path if wanted == "gguf" else cached, name=name)
    with client(silence_s=SILENCE_S) as http:

        def begin(file: PinnedFile, length: int) -> bytes:
            return source.begin_of(http, pin, file, length)

        return of_pin(pin, begin, wanted, name=name)


def of_pin(pin: Pin, begin: Begin, wanted: Format, *, name: str) -> Described:
    """
    Return what pinned files hold that lie elsewhere, for an engine that loads `wanted`; `begin` reads their
    beginnings.

    Raises `WeightsError`, and what `begin` raises.
    """
    reader = _Reader(begin, pin)
    if wanted == "gguf":
        headers = reader.headers((file for file in pin.files), "gguf", gguf_header.parse)
        return _of_gguf(headers, where=pin.source, name=name, fetched=reader.fetched)
    with TemporaryDirectory(prefix="homeport-") as temporary:
        folder = Path(temporary)
        reader.settings(folder)
        weights = [file for file in pin.files if file.path.endswith(".safetensors")]
        read = reader.headers(weights, "safetensors", safetensors_header.parse)
        headers_by_path = {file.path: header for file, header in zip(weights, read, strict=True)}
        try:
            return _of_folder(folder, headers_by_path, name=name, fetched=reader.fetched)
        except WeightsError as error:  # The user knows the source, not our temporary folder.
            raise WeightsError(str(error).replace(temporary, pin.source), hint=error.hint) from error


def tensors_of(pin: Pin, begin: Begin, *, only: str = "") -> tuple[safetensors_header.SafetensorsTensor, ...]:
    """Return the tensors of all pinned safetensors, or of the one file called `only`. Raises as `of_pin` does."""
    files = [file for file in pin.files if file.path.endswith(".safetensors") and only in {"", file.path}]
    headers = _Reader(begin, pin).headers(files, "safetensors", safetensors_header.parse)
    return tuple(tensor for header in headers for tensor in header)


class _Reader:
    """Reads the beginnings of files of one revision, and counts the bytes."""

    def __init__(self, begin: Begin, pin: Pin) -> None:
        self._begin, self.pin = begin, pin
        self.lengths: list[int] = []
        """Of every answer. Threads add to it, which a sum would not bear."""

    @property
    def fetched(self) -> int:
        return sum(self.lengths)

    def headers(
        self, files: Iterable[PinnedFile], form: Format, parse: Callable[[bytes, int, str], _Header]
    ) -> list[_Header]:
        """Return the header of every file, several at once."""

        def read(file: PinnedFile) -> _Header:
            length = _FIRST[form]
            while True:
                data = self.begin(file, length)
                try:
                    return parse(data, file.size, f"{self.pin.source}, {file.path}")
                except NeedsMore as more:
                    # A GGUF tells only how far it could be read: twice as much is few requests, and no gigabytes.
                    length = more.at_least if form == "safetensors" else max(more.at_least, 2 * length)
                    if length > _MOST:
                        raise WeightsError(
                            f"{file.path} has a header of more than {_MOST:,} bytes", hint="it is damaged"
                        ) from more

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(read, files))

    def settings(self, folder: Path) -> None:
        """Return the small files that say what the model is, into `folder`."""
        for file in self.pin.files:
            if file.path not in _SETTINGS and not sentence_modules.is_settings(file.path):
                continue
            if file.size > _MOST_SETTINGS:
                raise WeightsError(
                    f"{self.pin.source}, {file.path} has {file.size:,} bytes, more than any settings have",
                    hint="choose another source",
                )
            path = folder / file.path
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(self.begin(file, file.size))

    def begin(self, file: PinnedFile, length: int) -> bytes:
        data = self._begin(file, length) if file.size else b""
        self.lengths.append(len(data))
        return data


def _check_shards(names: Iterable[str], where: str) -> None:
    """Check that no shard is missing: sizing would believe the others to be all."""
    shards = set(names)
    for stem, count in sorted(
        {match.group("stem", "count") for match in map(_SHARD.fullmatch, shards) if match}
    ):
        for number in range(1, int(count) + 1):
            if (shard := f"{stem}-{number:05d}-of-{count}.safetensors") not in shards:
                raise WeightsError(
                    f"{where} lacks {shard}, one of {int(count)}", hint="fetch the model's files again"
                )


def _of_folder(
    folder: Path,
    files: Mapping[str, tuple[safetensors_header.SafetensorsTensor, ...]],
    *,
    name: str,
    fetched: int = 0,
) -> Described:
    every = [tensor for file in files.values() for tensor in file]
    _check_files(folder, files)
    parts = tensors.of_safetensors(every)
    model = inspect.from_folder(folder, name=name)
    stored, announced = tensors.layers(every), model.architecture.layers if model.architecture else 0
    if not every or 0 < stored < announced:
        raise WeightsError(
            f"{folder} holds the tensors of {stored} layers, and its config.json announces {announced}",
            hint="fetch the model's files again",
        )
    return Described(
        model=model,
        format="safetensors",
        bytes=parts.total,
        parts=parts,
        quantization=tensors.quantization(read_json(folder / "config.json"), every),
        tensors=tuple(every),
        fetched=fetched,
    )


def _check_files(folder: Path, files: Mapping[str, tuple[safetensors_header.SafetensorsTensor, ...]]) -> None:
    """Check that every tensor is where the index says; without one, that no shard is missing, by their names."""
    index = folder / checkpoint.INDEX
    if not index.is_file():
        _check_shards(files, str(folder))
        return
    tensor_names = {file: {tensor.name for tensor in header} for file, header in files.items()}
    for tensor, file in checkpoint.files_of(index.read_bytes(), str(folder)).items():
        # A head that is tied to the embeddings is in some indexes, and in no file.
        if tensor not in tensor_names.get(file, ()) and "lm_head" not in tensor:
            raise WeightsError(
                f"{folder} is not whole: its {checkpoint.INDEX} says that {file} holds {shown(tensor)}, and it does not",
                hint="two files may have changed names, or are of another split: fetch the model's files again",
            )


def _of_gguf(headers: list[gguf_header.Header], *, where: str, name: str, fetched: int = 0) -> Described:
    header = gguf_parts.joined(headers, where)
    model = inspect.from_header(header, where=where, name=name)
    return Described(
        model=model,
        format="gguf",
        bytes=header.tensor_bytes,
        parts=tensors.of_gguf(header),
        quantization=model.quantization,
        headers=(header,),
        fetched=fetched,
    )
