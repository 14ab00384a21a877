"""The engines' own images: `images.toml`, dated and sourced."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImage:
    """The image in which an engine's makers publish it."""

    reference: str
    """Such as `ollama/ollama:0.34.0`."""
    digest: str
    """`sha256:…`, or '' where it is not known."""
    unconfirmed: tuple[str, ...]
    """What of this could not be looked up."""
    sources: tuple[str, ...]

    @property
    def pinned(self) -> str:
        """Return the image's reference, with its digest where that is known."""
        return f"{self.reference}@{self.digest}" if self.digest else self.reference


@cache
def engine_image(engine: str) -> EngineImage:
    """Return the image of an engine. Raises `KeyError` for one that has none."""
    table = tomllib.loads((Path(__file__).parent / "images.toml").read_text(encoding="utf-8"))[engine]
    return EngineImage(
        reference=table["reference"],
        digest=table["digest"],
        unconfirmed=tuple(table["unconfirmed"]),
        sources=tuple(table["sources"]),
    )
