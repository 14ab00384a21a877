"""The weights on this machine, as their owner looks after them: what is here, is it whole, away with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homeport.engines.names import NAMES
from homeport.errors import WeightsError
from homeport.home import Home, find_home
from homeport.json_types import JsonObject
from homeport.progress import Progress, Silent
from homeport.spec import parse
from homeport.targets.local.weights import weights_of
from homeport.weights import Damage, Format, Manifest
from homeport.weights.store import WeightsStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Weights that are here."""

    source: str
    revision: str
    size: int
    """Bytes."""
    digest: str
    format: Format
    state: Literal["whole", "changed"]
    """whole: no file has changed since it was last read and compared. Only `check` reads them again."""
    folder: Path

    def as_json(self) -> JsonObject:
        """Return the entry as `--json` prints it."""
        return {
            "source": self.source,
            "revision": self.revision,
            "size_bytes": self.size,
            "digest": self.digest,
            "format": self.format,
            "state": self.state,
            "folder": str(self.folder),
        }


def stored(*, home: Home | None = None) -> list[Stored]:
    """Return all weights that are on this machine, sorted by source."""
    store = _store(home)
    return sorted((_stored(store, manifest) for manifest in store.all()), key=lambda entry: entry.source)


def fetch(model: str, *, engine: str = NAMES[0], progress: Progress | None = None) -> Stored:
    """Return the weights of `model` (a catalog's name or a source) for `engine`, brought here where they are not."""
    spec = parse({"model": model, "engine": {"kind": engine}}, where="homeport weights fetch")
    weights = weights_of(spec, Path.cwd() / "homeport.toml", engine, _store(None))
    if weights is None:
        raise WeightsError(f"{engine} keeps its own weights", hint="`homeport up` has it fetch them")
    return _stored(weights.store, weights.store.ensure(weights.source, weights.format, progress or Silent()))


def check(
    sources: Sequence[str] = (), *, home: Home | None = None, progress: Progress | None = None
) -> Mapping[str, list[Damage]]:
    """Return what is damaged, by source: every file of the weights named, or of all, is read. Raises `WeightsError`."""
    store = _store(home)
    chosen = [entry for entry in stored(home=home) if not sources or entry.source in _named(sources)]
    missing = set(_named(sources)) - {entry.source for entry in chosen}
    if missing:
        raise WeightsError(f"{missing.pop()} is not on this machine", hint="`homeport weights` lists what is")
    return {entry.source: store.check(entry.source, entry.format, progress) for entry in chosen}


def remove(source: str, *, home: Home | None = None) -> bool:
    """Remove weights by source or model's name; whether there were any that homeport may remove."""
    store = _store(home)
    names = _named([source])
    entries = [entry for entry in stored(home=home) if entry.source in names]
    removed = [store.remove(entry.source, entry.format) for entry in entries]
    return any(removed)


def is_known(source: str) -> bool:
    """Return True if the catalog, or weights that are here, go by this name."""
    from homeport import catalog

    return catalog.find(source) is not None or bool(
        {entry.source for entry in stored()}.intersection(_named([source]))
    )


def _named(sources: Sequence[str]) -> list[str]:
    from homeport import catalog
    from homeport.weights.sources.registry import canonical, is_source

    named: list[str] = []
    here = {manifest.pin.source for manifest in _store(None).all()}
    for source in sources:
        model = catalog.find(source)
        if model is not None:
            named += [own for own in model.weights.values() if own in here] or list(model.weights.values())[
                :1
            ]
        else:
            named.append(canonical(source, Path.cwd()) if is_source(source) else source)
    return named


def _stored(store: WeightsStore, manifest: Manifest) -> Stored:
    format_: Format = "gguf" if manifest.gguf else "safetensors"
    intact = store.manifest(manifest.pin.source, format_) is not None
    return Stored(
        source=manifest.pin.source,
        revision=manifest.pin.revision,
        size=manifest.pin.size,
        digest=manifest.digest,
        format=format_,
        state="whole" if intact else "changed",
        folder=manifest.folder,
    )


def _store(home: Home | None) -> WeightsStore:
    from homeport import catalog

    return WeightsStore((home or find_home()).weights, catalog.checksums())
