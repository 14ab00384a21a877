"""Whether a LoRA adapter is zeros: what it adds to the model is a product of two sides, and one of them is nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from homeport.errors import SpecError, WeightsError

Span = tuple[int, int]
"""Where a tensor's bytes begin in the file, and how many they are."""
_PIECE = 1 << 20


def ensure_trained(path: Path, modules: Iterable[Sequence[Span]], where: str) -> None:
    """
    Raise `SpecError` where in each module of the adapter at `path` one side is zeros to the last byte.

    Of one that was trained little more than the first bytes are read.
    """
    try:
        with path.open("rb") as file:
            nothing = all(any(_is_zero(file, span) for span in sides) for sides in modules)
    except OSError as error:
        raise WeightsError(
            f"{path} cannot be read: {error.strerror or error}", hint="name a file that you may read"
        ) from error
    if nothing:
        raise SpecError(
            f"{where} changes nothing: its weights are zeros, as they are before the first step of a training",
            hint="name an adapter that was saved after its training",
        )


def _is_zero(file: BinaryIO, span: Span) -> bool:
    at, left = span
    file.seek(at)
    while left:
        piece = file.read(min(_PIECE, left))
        if not piece:  # Shorter than its header says, which others tell.
            return False
        if piece.count(0) != len(piece):
            return False
        left -= len(piece)
    return True
