"""What llama.cpp's encoder of images or sound is, told by its header."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from homeport.errors import WeightsError
from homeport.own_path import looking_at

_ARCHITECTURE = "clip"
"""That of each encoder, whatever it was made of: `clip_model_loader` of llama.cpp's tools/mtmd/clip.cpp reads keys of this name alone."""


def senses(projector: Path | None) -> tuple[bool, bool]:
    """
    Return whether an encoder of its own sees, and whether it hears; one whose header does not say so sees, as older ones do.

    Raises `WeightsError` as `ensure_encodes`: of a hub's encoder nobody knows before.
    """
    if projector is None:
        return False, False
    said = _encoder(projector)
    hears = said.get("clip.has_audio_encoder") is True
    return said.get("clip.has_vision_encoder", not hears) is True, hears


def ensure_encodes(projector: Path) -> None:
    """Raise `WeightsError` for what is no GGUF, or holds no encoder."""
    _encoder(projector)


def _encoder(projector: Path) -> Mapping[str, object]:
    """Return what the header of an encoder says. Raises `WeightsError`."""
    with looking_at(projector, WeightsError):
        there = projector.stat()
    said = _header(projector, there.st_ino, there.st_size, there.st_mtime_ns)
    architecture = said.get("general.architecture")
    if architecture != _ARCHITECTURE:
        content = f"a model of the architecture {architecture}" if architecture else "no encoder"
        raise WeightsError(
            f"{projector} holds {content}, and an encoder of images or sound was expected",
            hint="name the GGUF with mmproj in its name that belongs to the model, or leave engine.projector out",
        )
    return said


@lru_cache(maxsize=8)
def _header(projector: Path, *_of_file: int) -> Mapping[str, object]:
    """Return what a header says, read once for as long as the file is the one that it was."""
    from homeport.catalog import gguf_header

    return gguf_header.read(projector).values
