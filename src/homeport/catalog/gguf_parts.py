"""A split GGUF: whether its parts are all there, by what their headers say, and what they are together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from homeport.catalog.gguf_header import Header, Scalar, read
from homeport.errors import WeightsError
from homeport.weights.selection import parts_beside

_HINT = (
    "keep the parts under their own names, …-00001-of-0000N.gguf, beside each other, or join them with llama.cpp's "
    "`llama-gguf-split --merge`: what `cat` makes of them is no GGUF"
)


def of_path(path: Path) -> Header:
    """Return what the GGUF file `path` and its parts beside it hold together. Raises `WeightsError`."""
    return joined([read(part) for part in parts_beside(path)], str(path))


def joined(headers: Sequence[Header], where: str) -> Header:
    """
    Return the header of all parts as if they were one file.

    Raises `WeightsError` where a header says that it is one of more parts, or another part than its name.
    """
    first, *others = headers
    for at, header in enumerate(headers):
        number, count = _number(header, "split.no", 0), _number(header, "split.count", 1)
        if max(count, 1) != len(headers) or number != at:
            stated = f"it is part {number + 1} of {count}" if count > 1 else "it is no part of a split GGUF"
            named = f", its name is that of part {at + 1} of {len(headers)}" if len(headers) > 1 else ""
            raise WeightsError(
                f"{where} is not whole: {stated} by its header (split.count){named or ', and it stands alone'}",
                hint=_HINT,
            )
    tensors = {key: tensor for header in (first, *others) for key, tensor in header.tensors.items()}
    announced = _number(first, "split.tensors.count", len(tensors))
    if len(headers) > 1 and announced != len(tensors):
        raise WeightsError(
            f"{where} is not whole: its parts hold {len(tensors)} tensors, and its header announces {announced}",
            hint="its parts are of different splits, or damaged: fetch them again",
        )
    return Header(values=first.values, tensors=tensors, unchecked=first.unchecked, data_at=first.data_at)


def _number(header: Header, key: str, usual: int) -> int:
    value: Scalar | object = header.values.get(key, usual)
    return value if isinstance(value, int) else usual
