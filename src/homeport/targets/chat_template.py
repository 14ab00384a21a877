"""The chat template: the one that a file names, else the one that the weights have, and what was found of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from homeport.catalog import Model
from homeport.catalog.own_template import OwnTemplate
from homeport.chat_template.bounded import unchecked
from homeport.chat_template.finding import TemplateFinding
from homeport.chat_template.kept import tried_once
from homeport.engines.base import EngineModule
from homeport.errors import SpecError
from homeport.own_path import expanded
from homeport.spec import Spec

_MOST_BYTES = 1 << 20
"""The longest published templates have 100 KB."""
_NONE = "the model has none, as a pretrained one: an engine refuses chats, or takes a general one that it was not trained on"
ANOTHER = 'engine.chat_template = "template.jinja" sets another'


def with_template(model: Model, spec: Spec, spec_file: Path) -> Model:
    """Return the model with the template that the file names, if it names one. Raises `SpecError` as `template_file` does."""
    path = template_file(spec, spec_file)
    if path is None:
        return model
    from homeport.catalog.inspect import NO_TEMPLATE

    return replace(model, chat_template=path, note=model.note.replace(NO_TEMPLATE, "").strip())


def noted(model: Model, spec: Spec, engine: EngineModule) -> list[str]:
    """Return what a plan tells of a model that `engine` serves; of a template that homeport brings, only where the engine is given it."""
    ours = "" if spec.engine.chat_template or spec.task == "embed" else model.template_note
    if ours and not _is_given(engine):
        ours = f"{engine.TITLE} is not given the template of ours that makes it answer questions."
    text = " ".join(filter(None, (model.note, ours)))
    return [text] if text else []


def template_file(spec: Spec, spec_file: Path) -> Path | None:
    """Return the file of `engine.chat_template`; None where it is not set. Raises `SpecError` where it is no text that is there."""
    source = spec.engine.chat_template
    if source is None:
        return None
    path = expanded(source.removeprefix("file:"), spec_file.parent).absolute()
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


def tried_template(
    model: Model | None, spec: Spec, engine: EngineModule, root: Path
) -> tuple[TemplateFinding, ...] | None:
    """
    Return what will not work with the template that the engine would take, of a model as `with_template` returns it.

    None where nothing was tried and there is nothing to tell: vectors need none, and of a model of the catalog with the catalog's
    weights the template in them is not read. What was tried before is kept in homeport's folder `root`, where that is there.
    """
    if spec.task == "embed" or model is None:
        return None
    if model.chat_template is not None and _is_given(engine):
        return tried_once(model.chat_template.read_text(encoding="utf-8"), "", root)
    return None if model.own_template is None else _tried_own(model.own_template, engine, root)


def _is_given(engine: EngineModule) -> bool:
    """Tell whether the engine is given a template of the catalog's or of the file's."""
    return engine.FORMAT != "library"


def _tried_own(own: OwnTemplate, engine: EngineModule, root: Path) -> tuple[TemplateFinding, ...]:
    if not _is_given(engine):
        return (unchecked(f"{engine.TITLE} makes one of its own of the one in the weights"),)
    if not own.there:
        return (TemplateFinding(kind="none", text=_NONE),)
    if not own.text:
        return (unchecked(f"what {own.where} has in its place cannot be read"),)
    return tried_once(own.text, own.for_tools, root)


def told_of_template(
    model: Model | None, spec: Spec, spec_file: Path, engine: EngineModule, root: Path
) -> list[str]:
    """Return what a plan warns of, each as a sentence, for a model as its files or headers describe it."""
    if model is None:
        return []
    found = tried_template(with_template(model, spec, spec_file), spec, engine, root)
    return [told(finding) for finding in found or ()]


def told(finding: TemplateFinding) -> str:
    """Return a finding as a plan tells it."""
    if finding.kind == "unchecked":
        return f"not checked: chat template: {finding.text}"
    return f"chat template: {finding.text}; {ANOTHER}"
