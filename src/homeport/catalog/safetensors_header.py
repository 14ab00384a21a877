"""
The header of a safetensors file: which tensors it has, and how many bytes each.

The package `safetensors` reads whole files only; here a prefix is enough, so that a hub need not send gigabytes. The
format is eight bytes of length, little-endian, and a JSON object. Every length is checked before it is believed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from homeport.catalog.partial_read import NeedsMore
from homeport.errors import WeightsError
from homeport.weights import other_content

_MOST_BYTES = 1 << 25
"""A third of the format's own limit: a header of 100,000 tensors has 15 MB, and one of 100 MB takes a gigabyte to read."""
_LENGTH = 8
_MOST_DIMENSIONS = 64
# Types by the bits of one number. One that is not here may be newer than this table, and is believed.
_TYPES = {
    4: "F4",
    6: "F6_E2M3 F6_E3M2",
    8: "BOOL U8 I8 F8_E4M3 F8_E5M2 F8_E8M0 F8_E4M3FNUZ F8_E5M2FNUZ",
    16: "U16 I16 F16 BF16",
    32: "U32 I32 F32",
    64: "U64 I64 F64 C64",
}
_BITS = {dtype: bits for bits, dtypes in _TYPES.items() for dtype in dtypes.split()}
_AGAIN = "fetch it again; its publisher's page says how large it must be"


@dataclass(frozen=True, slots=True)
class SafetensorsTensor:
    """One tensor, as the header announces it."""

    name: str
    dtype: str
    """`BF16`, `F8_E4M3`, `I32` …"""
    shape: tuple[int, ...]
    size: int
    """Bytes."""
    offset: int = field(default=0, compare=False)
    """Bytes from the beginning of the data, which ends with the file."""


def read(path: Path) -> tuple[SafetensorsTensor, ...]:
    """Return the tensors of the file `path`. Raises `WeightsError` where it is no safetensors file, or not whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            begin = file.read(other_content.MOST_BYTES)
            end = _LENGTH + _length(begin, size, str(path))
            return parse(begin + file.read(max(0, end - len(begin))), size, str(path))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file that you may read"
        ) from error


def parse(data: bytes, size: int, where: str) -> tuple[SafetensorsTensor, ...]:
    """
    Return the tensors of a file of `size` bytes that begins with `data`.

    Raises `NeedsMore` where the header goes on behind `data`, `WeightsError` where it is none.
    """
    if len(data) < min(_LENGTH, size):
        raise NeedsMore(_LENGTH)
    end = _LENGTH + _length(data, size, where)
    if len(data) < end:
        raise NeedsMore(end)
    try:
        header = json.loads(data[_LENGTH:end])
        entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
        tensors = tuple(_tensor(name, entry) for name, entry in entries.items())
        spans = sorted(tuple(entry["data_offsets"]) for entry in entries.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"{where} is damaged: its header is not a table of tensors ({error})", hint=_AGAIN
        ) from error
    _check_spans([(0, 0), *spans], size - end, where)
    for tensor in tensors:
        bits = prod(tensor.shape) * _BITS.get(tensor.dtype, 0)
        if tensor.dtype in _BITS and tensor.size * 8 != bits:
            raise WeightsError(
                f"{where} is damaged: {tensor.name} has {tensor.size:,} bytes, by its shape it needs {-(-bits // 8):,}",
                hint=_AGAIN,
            )
    return tensors


def _check_spans(spans: list[tuple[int, int]], has: int, where: str) -> None:
    """Check that the tensors, in the order of their offsets, fill the `has` bytes behind the header exactly."""
    if any(begin != before for (_, before), (begin, _) in pairwise(spans)):
        raise WeightsError(f"{where} is damaged: its tensors overlap, or leave gaps", hint=_AGAIN)
    announced = spans[-1][1]
    if announced == has:
        return
    how = "cut short" if announced > has else "damaged"
    raise WeightsError(
        f"{where} is {how}: its header announces {announced:,} bytes of tensors, the file has {has:,}",
        hint=_AGAIN,
    )


def _length(data: bytes, size: int, where: str) -> int:
    length = int.from_bytes(data[:_LENGTH], "little")
    if not size:
        raise WeightsError(f"{where} is empty, and safetensors were expected", hint=_AGAIN)
    begin = data[: other_content.MOST_BYTES]
    known = other_content.told(begin) if len(begin) == min(size, other_content.MOST_BYTES) else None
    if known is not None and known is not other_content.SAFETENSORS:
        raise WeightsError(f"{where} is not a safetensors file: it is {known.what}", hint=known.do)
    if len(data) < _LENGTH or length > max(0, size - _LENGTH):
        raise WeightsError(f"{where} is cut short: it ends inside its own header", hint=_AGAIN)
    if length > _MOST_BYTES:
        raise WeightsError(f"{where} is damaged: it announces a header of {length:,} bytes", hint=_AGAIN)
    return length


def _tensor(
    name: str, entry: dict[str, Any]
) -> SafetensorsTensor:  # Any: JSON of a stranger; the caller answers for it
    dtype, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        raise TypeError(f"{name} has no type or no shape")
    if any(type(number) is not int or not 0 <= number < 1 << 63 for number in (begin, end, *shape)):
        raise ValueError(f"{name} has a length that is none")
    if begin > end:
        raise ValueError(f"{name} ends before it begins")
    return SafetensorsTensor(name=name, dtype=dtype, shape=tuple(shape), size=end - begin, offset=begin)
