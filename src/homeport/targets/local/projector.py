"""The encoder of images that an engine here loads beside the model, where it is a file of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from homeport.engines.base import EngineModule
from homeport.engines.registry import module
from homeport.errors import SpecError
from homeport.resources.local.weights import Weights
from homeport.spec import Spec
from homeport.targets.local import weights_headers
from homeport.weights.selection import PROJECTOR, is_projector
from homeport.weights.sources.registry import canonical, parse

if TYPE_CHECKING:
    from homeport.weights.sources.file import FileSource

AUTO = "auto"


def projector_of(spec: Spec, spec_file: Path, engine: str, model: Weights | None) -> Weights | None:
    """
    Return what `engine.projector` names, as a resource; None where it names none. `auto` is the one beside the `model`.

    Where `auto` finds none, or several, the resource is of a file that is not there, so that what was started with one can
    still be taken away: `ensure_encodes` says it before anything is started.
    """
    projector = spec.engine.projector
    if projector is None or model is None:
        return None
    source = (
        canonical(projector, spec_file.parent)
        if projector != AUTO
        else _beside(model.source, spec_file.parent)
    )
    return Weights(name="projector", source=source, format=module(engine).FILES, store=model.store)


def ensure_encodes(
    engine: EngineModule, spec: Spec, projector: Weights | None, model: Weights | None, base: Path
) -> None:
    """
    Raise `WeightsError` for a file of this machine that is not there, or is no encoder; of a hub's nothing is asked.

    Raises `SpecError` where `engine.projector` is `auto`, and beside the `model` is not one encoder of images.
    """
    if projector is None or model is None:
        return
    if spec.engine.projector == AUTO:
        _ensure_one_beside(model, base)
    path = weights_headers.here(projector, base)
    if path is not None and engine.ENSURE_PROJECTOR is not None:
        engine.ENSURE_PROJECTOR(path)


def _ensure_one_beside(model: Weights, base: Path) -> None:
    from homeport.weights.sources.file import FileSource
    from homeport.weights.sources.hub import HubSource

    parsed = parse(model.source, base=base)
    if isinstance(parsed, HubSource):
        return  # Its repository says it when it is asked.
    if not isinstance(parsed, FileSource):
        raise SpecError(
            f"engine.projector is auto, and what lies beside {model.source} is not known",
            hint='name the file: engine.projector = "hf:ORG/NAME:FILE.gguf", or a path',
        )
    encoders = _encoders(_folder(parsed))
    if len(encoders) != 1:
        many = f"{len(encoders)} files" if encoders else "no file"
        raise SpecError(
            f"engine.projector is auto, and {_folder(parsed)} has {many} with mmproj in the name",
            hint="name the file in engine.projector, or leave the key out: the model then reads text alone",
        )


def _beside(source: str, base: Path) -> str:
    from homeport.weights.sources.file import FileSource
    from homeport.weights.sources.hub import HubSource

    parsed = parse(source, base=base)
    if isinstance(parsed, HubSource):
        revision = f"@{parsed.revision}" if parsed.revision else ""
        return f"hf:{parsed.repo}{revision}:{PROJECTOR}"
    folder = _folder(parsed) if isinstance(parsed, FileSource) else base
    encoders = _encoders(folder)
    return canonical(f"file:{encoders[0] if len(encoders) == 1 else folder / 'mmproj.gguf'}", base)


def _folder(source: FileSource) -> Path:
    return source.path if source.path.is_dir() else source.path.parent


def _encoders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.gguf") if is_projector(path.name))


def size_of(projector: Weights | None) -> int:
    """Return the bytes of the encoder; 0 without one, or before its source was asked."""
    pin = projector.store.pinned(projector.source, projector.format) if projector else None
    return pin.size if pin else 0
