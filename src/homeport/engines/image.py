"""What goes into an engine's image, as plain data: a target turns it into a build."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from homeport.errors import SpecError
from homeport.weights.manifest import PinnedFile

MODEL_FILE = "/models/model.gguf"
"""Where a GGUF of one's own lies in an image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """A GGUF in a bucket that the build fetches and holds against its checksum."""

    origin: str
    """`gs://BUCKET/PREFIX`."""
    file: PinnedFile
    """Relative to the origin."""

    @property
    def digest(self) -> str:
        """Return what identifies these weights in a label: their sha256, or the checksum that a bucket tells."""
        return f"sha256:{self.file.sha256}" if self.file.sha256 else str(self.file.checksum)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageContents:
    """What an engine is asked for an image of."""

    base: str
    """The image that it is built on."""
    model_name: str = ""
    """The name that the model is served under."""
    files: Mapping[str, str] = field(default_factory=dict)
    """What the launch needs beside: texts by their path in the image."""
    weights: str | Gguf | None = None
    """A tag of the engine's own library, or a GGUF, to be baked in; None where the weights come when it starts."""
    weights_bytes: int = 0
    """Their size; 0 where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What goes into an image."""

    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Texts by path, beside the Dockerfile."""
    base: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gguf: Gguf | None = None
    """What the build fetches to `model.gguf`, beside the Dockerfile."""
    loads: int | None = 0
    """Bytes of weights that the build loads into its memory; None where it loads some, and nobody knows how many."""
    plain: bool = False
    """Whether there is nothing in it but its base and the files of the launch, so that the base serves as well."""


def without_weights(engine: str, contents: ImageContents) -> Recipe:
    """Return the recipe of `engine`'s own image with the files of the launch, and no weights."""
    labels = {"homeport.engine": engine}
    placed = beside(contents.files)
    lines = [
        f"FROM {contents.base}",
        *entries("LABEL", labels),
        *copies(placed),
    ]
    return Recipe(
        dockerfile="".join(f"{line}\n" for line in lines),
        files={path: contents.files[target] for path, target in placed.items()},
        base=contents.base,
        labels=labels,
        plain=True,
    )


def beside(files: Mapping[str, str]) -> dict[str, str]:
    """Return where files lie beside the Dockerfile, and where in the image."""
    return {f"files/{number}-{PurePosixPath(path).name}": path for number, path in enumerate(files)}


def copies(placed: Mapping[str, str]) -> list[str]:
    """Return the lines of a Dockerfile that copy files, by where they lie and where they go."""
    return [f"COPY {json.dumps([path, target])}" for path, target in placed.items()]


def entries(word: str, values: Mapping[str, str]) -> list[str]:
    """Return one line for each of `values`; what a Dockerfile would read into a value is escaped."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise SpecError(f"{name} has more than one line", hint="give a value of one line")
    return [f"{word} {name}={_quoted(value)}" for name, value in values.items()]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'
