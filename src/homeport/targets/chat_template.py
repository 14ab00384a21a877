"""The chat template that a file names, instead of the one that the weights have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from homeport.catalog import Model
from homeport.errors import SpecError
from homeport.spec import Spec

_MOST_BYTES = 1 << 20
"""The longest published templates have 100 KB."""


def with_template(model: Model, spec: Spec, spec_file: Path) -> Model:
    """Return the model with the template that the file names, if it names one. Raises `SpecError` as `template_file` does."""
    path = template_file(spec, spec_file)
    return model if path is None else replace(model, chat_template=path)


def template_file(spec: Spec, spec_file: Path) -> Path | None:
    """Return the file of `engine.chat_template`; None where it is not set. Raises `SpecError` where it is no text that is there."""
    source = spec.engine.chat_template
    if source is None:
        return None
    path = (spec_file.parent / Path(source.removeprefix("file:")).expanduser()).absolute()
    try:
        text = path.read_bytes()[: _MOST_BYTES + 1].decode()
    except (OSError, ValueError) as error:
        why = (error.strerror or "") if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SpecError(
            f"engine.chat_template cannot be read: {path}: {why}",
            hint="name a file with a Jinja template, from the folder of homeport.toml",
        ) from error
    if not text.strip() or len(text) > _MOST_BYTES:
        raise SpecError(
            f"engine.chat_template names {path}, which {'is empty' if not text.strip() else 'is longer than any template'}",
            hint="name a file with a Jinja template",
        )
    return path
