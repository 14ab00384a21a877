"""Images that others have built with a model's weights in them: `prebuilt.toml`, dated and sourced."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PrebuiltImage:
    """An engine with one model, in one image."""

    model: str
    """What the model is called in the engine's library, and in the image."""
    reference: str
    """With its tag: which digest that is, its registry tells."""
    unconfirmed: tuple[str, ...]
    """What of this no document says."""
    sources: tuple[str, ...]


@cache
def prebuilt_images(engine: str) -> Mapping[str, PrebuiltImage]:
    """Return the images that are known with weights for an engine in them, by the model's name; none for most engines."""
    table = _table()
    facts = table["facts"].get(engine, {})
    return {
        model: PrebuiltImage(
            model=model,
            reference=entry["reference"],
            unconfirmed=tuple(facts["unconfirmed"]),
            sources=tuple(facts["sources"]),
        )
        for model, entry in table.get(engine, {}).items()
    }


def every_prebuilt_image() -> tuple[PrebuiltImage, ...]:
    """Return the images that are known for any engine."""
    return tuple(image for engine in _table()["facts"] for image in prebuilt_images(engine).values())


@cache
def _table() -> dict[str, Any]:  # Any: the values of a TOML table
    return tomllib.loads((Path(__file__).parent / "prebuilt.toml").read_text(encoding="utf-8"))
