"""What llama.cpp's encoder of images or sound is, told by its header."""

from __future__ import annotations

from pathlib import Path

from homeport.errors import WeightsError

_ARCHITECTURE = "clip"
"""That of each encoder, whatever it was made of: `clip_model_loader` of llama.cpp's tools/mtmd/clip.cpp reads keys of this name alone."""


def senses(projector: Path | None) -> tuple[bool, bool]:
    """Return whether an encoder of its own sees, and whether it hears; one whose header does not say so sees, as older ones do."""
    if projector is None:
        return False, False
    from homeport.catalog import gguf_header

    try:
        values = gguf_header.read(projector).values
    except (WeightsError, OSError):
        return True, False
    hears = values.get("clip.has_audio_encoder") is True
    return values.get("clip.has_vision_encoder", not hears) is True, hears


def ensure_encodes(projector: Path) -> None:
    """Raise `WeightsError` for what is no GGUF, or holds no encoder."""
    from homeport.catalog import gguf_header

    architecture = gguf_header.read(projector).values.get("general.architecture")
    if architecture != _ARCHITECTURE:
        content = f"a model of the architecture {architecture}" if architecture else "no encoder"
        raise WeightsError(
            f"{projector} holds {content}, and an encoder of images or sound was expected",
            hint="name the GGUF with mmproj in its name that belongs to the model, or leave engine.projector out",
        )
