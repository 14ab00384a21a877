"""The shapes of what is said of weights on this machine."""

from __future__ import annotations

from typing import Literal

from homeport.shapes.base import JsonShape
from homeport.weights import Format


class StoredWeightsShape(JsonShape):
    """Weights that are here."""

    source: str
    revision: str
    size_bytes: int
    digest: str
    format: Format
    state: Literal["whole", "changed"]
    """whole: no file has changed since it was last read and compared."""
    folder: str


class DamageShape(JsonShape):
    """One file that is not what it should be."""

    path: str
    what: str
    """Such as `is missing`."""


class CheckedWeightsShape(JsonShape):
    """Weights of which every file was read."""

    source: str
    whole: bool
    damages: list[DamageShape]


class RemovedWeightsShape(JsonShape):
    """The result of `weights remove`."""

    removed: list[str]
    not_here: list[str]
    """What was named, and is not here: the exit code is 20."""
