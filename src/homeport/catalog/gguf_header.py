"""
The header of a GGUF file: what its maker wrote about the model, and which tensors it announces.

It is read here and not with `gguf.GGUFReader`: that builds an object for every token, which takes ten
seconds for the 262,144 tokens of a Gemma. Sizing needs only how many there are, so the contents of long
arrays are skipped. Every length is checked against the file before it is believed.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from homeport.catalog.partial_read import NeedsMore
from homeport.errors import WeightsError
from homeport.weights import other_content

Scalar = bool | int | float | str

# GGUF's value types: struct's format by number. 8 is a string and 9 an array.
_NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<B",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_BOOL, _STRING, _ARRAY = 7, 8, 9
# A real header stays far below these; a damaged one must not make us walk through 60 GB.
# The largest models have some 10,000 tensors, vocabularies of 262,144 tokens, and templates of 100 KB.
_MOST_VALUES, _MOST_TENSORS, _MOST_DIMENSIONS = 1 << 16, 1 << 15, 8
_MOST_ELEMENTS = 1 << 22
"""Of all lists of texts together, and of one list of numbers."""
_MOST_BYTES, _LONGEST_NAME = 1 << 24, 1 << 16
_KEPT_ELEMENTS, _MOST_KEPT = 4096, 1 << 20
_MAGIC, _VERSIONS = b"GGUF", frozenset({2, 3})
_AGAIN = "fetch it again; its publisher's page says how large it must be"


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A list of values."""

    length: int
    values: tuple[Scalar, ...] | None
    """None where they were skipped: strings, and lists longer than any model has layers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """What the header says of one tensor."""

    dimensions: tuple[int, ...]
    type: int
    """A number of ggml's."""
    offset: int
    """Bytes from the beginning of the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of a GGUF file that is as long as it announces."""

    values: Mapping[str, Scalar | Array]
    tensors: Mapping[str, GgufTensor]
    unchecked: str
    """What could not be checked, as a sentence, or ''."""
    data_at: int
    """Bytes from the beginning of the file to that of the data."""

    @property
    def tensor_bytes(self) -> int:
        """Return the bytes of all tensors of this file whose type is known."""
        sizes = block_sizes()
        blocks = (
            (prod(tensor.dimensions), *sizes.get(tensor.type, (1, 0))) for tensor in self.tensors.values()
        )
        return sum(count // elements * size for count, elements, size in blocks)

    @property
    def parameters(self) -> int:
        """Count the numbers in all tensors of this file."""
        return sum(prod(tensor.dimensions) for tensor in self.tensors.values())


def read(path: Path) -> Header:
    """Return the header of the GGUF file `path`. Raises `WeightsError` where it is none, damaged or cut short."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if size == 0:
                raise WeightsError(f"{path} is empty, and a GGUF file was expected", hint=_AGAIN)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _read(_Cursor(data, size, str(path)))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a GGUF file that you may read"
        ) from error


def parse(data: bytes, size: int, where: str) -> Header:
    """
    Return the header of a GGUF file of `size` bytes that begins with `data`.

    Raises `NeedsMore` where the header goes on behind `data`, `WeightsError` where it is none.
    """
    return _read(_Cursor(data, size, where))


def _read(cursor: _Cursor) -> Header:
    _check_magic(cursor)
    tensor_count = cursor.count(_MOST_TENSORS, "tensors")
    value_count = cursor.count(_MOST_VALUES, "values")
    values = {}
    for _ in range(value_count):
        key = cursor.text(_LONGEST_NAME)
        values[key] = cursor.value(cursor.number("<I"))
    tensors = {}
    for _ in range(tensor_count):
        key = cursor.text(_LONGEST_NAME)
        dimensions = tuple(cursor.number("<Q") for _ in range(cursor.small(_MOST_DIMENSIONS, "dimensions")))
        tensors[key] = GgufTensor(dimensions=dimensions, type=cursor.number("<I"), offset=cursor.number("<Q"))
    data_at = _data_at(cursor, values.get("general.alignment", 32))
    unchecked = _check_length(cursor, tensors, data_at)
    return Header(values=values, tensors=tensors, unchecked=unchecked, data_at=data_at)


def _check_magic(cursor: _Cursor) -> None:
    if len(cursor.data) < min(4, cursor.size):
        raise NeedsMore(4)
    path, begins = cursor.path, bytes(cursor.data[:4])
    if begins != _MAGIC:
        known = other_content.told(bytes(cursor.data[: other_content.MOST_BYTES]))
        raise WeightsError(
            f"{path} is not a GGUF file: it {f'is {known.what}' if known else f'begins with {begins!r}, a GGUF with {_MAGIC!r}'}",
            hint=known.do if known else "a web page saved in its place looks like this; " + _AGAIN,
        )
    cursor.at = 4
    _check_version(cursor)


def _check_version(cursor: _Cursor) -> None:
    version = cursor.number("<I")
    if version in _VERSIONS:
        return
    swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
    if swapped in _VERSIONS:
        raise WeightsError(
            f"{cursor.path} is a big-endian GGUF, and engines read little-endian ones on this kind of machine",
            hint="take one that is not for s390x, or turn it with llama.cpp's gguf-py/scripts/gguf_convert_endian.py",
        )
    newer = max(_VERSIONS) < version < 1 << 16
    raise WeightsError(
        f"{cursor.path} is a GGUF of version {version if newer else hex(version)}; homeport reads versions 2 and 3",
        hint="upgrade homeport and xllamacpp" if newer else "use a GGUF made with a current llama.cpp",
    )


def _data_at(cursor: _Cursor, alignment: object) -> int:
    if not isinstance(alignment, int) or alignment <= 0:
        raise cursor.damaged(f"its alignment is {alignment!r}")
    return -(-cursor.at // alignment) * alignment


def _check_length(cursor: _Cursor, tensors: Mapping[str, GgufTensor], data_at: int) -> str:
    sizes = block_sizes()
    unknown = set()
    announced = 0
    for tensor in tensors.values():
        block = sizes.get(tensor.type)
        if block is None:
            unknown.add(tensor.type)
        elements, size = block or (1, 0)
        announced = max(announced, tensor.offset + -(-prod(tensor.dimensions) // elements) * size)
    has = max(0, cursor.size - data_at)
    if tensors and announced > has:
        raise WeightsError(
            f"{cursor.path} is cut short: its header announces {announced:,} bytes of tensors, the file has {has:,}",
            hint=_AGAIN,
        )
    if not sizes:
        return "Whether the file is whole was not checked: that needs the package gguf."
    if unknown:
        return (
            f"Whether the file is whole was checked in part: tensors of type {sorted(unknown)} are not known."
        )
    return ""


def block_sizes() -> dict[int, tuple[int, int]]:
    """Return (elements, bytes) of one block by ggml's type number; {} where the package gguf is not installed."""
    try:
        from gguf import GGML_QUANT_SIZES
    except ImportError:
        return {}
    return {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}


class _Cursor:
    """Reads forward through a header, and never past the end of the file."""

    def __init__(self, data: mmap.mmap | bytes, size: int, path: str) -> None:
        self.data, self.size, self.path, self.at = data, size, path, 0
        self._texts = self._kept = 0

    def damaged(self, how: str) -> WeightsError:
        return WeightsError(
            f"{self.path} is damaged: {how}, near byte {self.at:,} of its header", hint=_AGAIN
        )

    def cut_short(self) -> WeightsError:
        return WeightsError(
            f"{self.path} is cut short: it ends at byte {self.size:,}, inside its own header", hint=_AGAIN
        )

    def take(self, length: int) -> int:
        """Return where the next `length` bytes begin; the cursor stands behind them."""
        begin = self.at
        if begin + length > self.size:
            raise self.cut_short()
        if begin + length > len(self.data):
            raise NeedsMore(begin + length)
        self.at = begin + length
        return begin

    def number(self, form: str) -> int:
        (value,) = struct.unpack_from(form, self.data, self.take(struct.calcsize(form)))
        return value  # type: ignore[no-any-return]  # an int for every form but <f and <d, which `value` asks for

    def count(self, most: int, what: str) -> int:
        count = self.number("<Q")
        if count > most:
            raise self.damaged(f"it announces {count:,} {what}")
        return count

    def small(self, most: int, what: str) -> int:
        count = self.number("<I")
        if count > most:
            raise self.damaged(f"it announces {count:,} {what}")
        return count

    def text(self, most: int = _MOST_BYTES) -> str:
        length = self.count(most, "bytes of text")
        begin = self.take(length)
        return self.data[begin : begin + length].decode(errors="replace")

    def value(self, kind: int) -> Scalar | Array:
        if kind == _ARRAY:
            return self.array(self.number("<I"))
        return self.scalar(kind)

    def scalar(self, kind: int) -> Scalar:
        if kind == _STRING:
            return self.text()
        if kind not in _NUMBERS:
            raise self.damaged(f"a value is of type {kind}, which GGUF does not have")
        number = self.number(_NUMBERS[kind])
        return bool(number) if kind == _BOOL else number

    def array(self, kind: int) -> Array:
        length = self.count(_MOST_ELEMENTS, "values in one list")
        if kind == _STRING:
            self._texts += length
            if self._texts > _MOST_ELEMENTS:
                raise self.damaged(f"its lists have more than {_MOST_ELEMENTS:,} texts")
            self.skip_texts(length)
        elif kind not in _NUMBERS:
            raise self.damaged(f"a list is of type {kind}, which GGUF does not have")
        elif length <= _KEPT_ELEMENTS:
            self._kept += length
            if self._kept > _MOST_KEPT:
                raise self.damaged(f"its lists have more than {_MOST_KEPT:,} numbers")
            form = f"<{length}{_NUMBERS[kind][1:]}"
            numbers = struct.unpack_from(form, self.data, self.take(struct.calcsize(form)))
            return Array(length=length, values=tuple(map(bool, numbers)) if kind == _BOOL else numbers)
        else:
            self.take(length * struct.calcsize(_NUMBERS[kind]))
        return Array(length=length, values=None)

    def skip_texts(self, count: int) -> None:
        """Skip `count` strings. Local names, because this runs 262,144 times for a Gemma."""
        unpack, data, at, last = struct.Struct("<Q").unpack_from, self.data, self.at, len(self.data) - 8
        for _ in range(count):
            if at > last:
                self.take(at + 8 - self.at)  # which says whether the file ends here, or only what was given
            at += 8 + unpack(data, at)[0]
        self.take(at - self.at)
