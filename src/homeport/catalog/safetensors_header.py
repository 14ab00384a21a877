"""
The header of a safetensors file: which tensors it has, and how many bytes each.

The package `safetensors` reads whole files only; here a prefix is enough, so that a hub need not send gigabytes. The
format is eight bytes of length, little-endian, and a JSON object. Every length is checked before it is believed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeport.catalog.prefix import NeedsMore
from homeport.errors import WeightsError

_MOST_BYTES = 100_000_000
"""The format's own limit of a header."""
_LENGTH = 8
_AGAIN = "fetch it again; its publisher's page says how large it must be"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor, as the header announces it."""

    name: str
    dtype: str
    """`BF16`, `F8_E4M3`, `I32` …"""
    shape: tuple[int, ...]
    size: int
    """Bytes."""


def read(path: Path) -> tuple[Tensor, ...]:
    """The tensors of the file `path`. Raises `WeightsError` where it is no safetensors file, or not whole."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            begin = file.read(_LENGTH)
            return parse(begin + file.read(_length(begin, size, str(path))), size, str(path))
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file that you may read"
        ) from error


def parse(data: bytes, size: int, where: str) -> tuple[Tensor, ...]:
    """
    The tensors of a file of `size` bytes that begins with `data`.

    Raises `NeedsMore` where the header goes on behind `data`, `WeightsError` where it is none.
    """
    if len(data) < min(_LENGTH, size):
        raise NeedsMore(_LENGTH)
    end = _LENGTH + _length(data, size, where)
    if len(data) < end:
        raise NeedsMore(end)
    try:
        header = json.loads(data[_LENGTH:end])
        tensors = tuple(_tensor(name, entry) for name, entry in header.items() if name != "__metadata__")
        announced = max(
            (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0
        )
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise WeightsError(
            f"{where} is damaged: its header is not a table of tensors ({error})", hint=_AGAIN
        ) from error
    if sum(tensor.size for tensor in tensors) != announced:
        raise WeightsError(f"{where} is damaged: its tensors overlap, or leave gaps", hint=_AGAIN)
    if end + announced > size:
        raise WeightsError(
            f"{where} is cut short: its header announces {announced:,} bytes of tensors, the file has {size - end:,}",
            hint=_AGAIN,
        )
    return tensors


def _length(data: bytes, size: int, where: str) -> int:
    length = int.from_bytes(data[:_LENGTH], "little")
    if len(data) < _LENGTH or length > max(0, size - _LENGTH):
        if data[:1] in {b"<", b"v"}:
            raise WeightsError(
                f"{where} is not a safetensors file: it begins with {data[:8]!r}",
                hint="a web page or a pointer saved in its place looks like this; " + _AGAIN,
            )
        raise WeightsError(f"{where} is cut short: it ends inside its own header", hint=_AGAIN)
    if length > _MOST_BYTES:
        raise WeightsError(f"{where} is damaged: it announces a header of {length:,} bytes", hint=_AGAIN)
    return length


def _tensor(name: str, entry: dict[str, Any]) -> Tensor:  # Any: JSON of a stranger; the caller answers for it
    begin, end = entry["data_offsets"]
    if not 0 <= begin <= end:
        raise ValueError(f"{name} ends before it begins")
    shape = tuple(int(length) for length in entry["shape"])
    return Tensor(name=name, dtype=str(entry["dtype"]), shape=shape, size=end - begin)
