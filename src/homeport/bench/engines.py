"""The same model on each engine that is here, one after the other, at the same numbers of users."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from homeport import catalog, deployment, spec
from homeport.bench.bench import Served, bench
from homeport.bench.options import BenchOptions
from homeport.bench.result import BenchResult
from homeport.deployment import Deployment
from homeport.engines import registry
from homeport.engines.names import NAMES
from homeport.errors import EngineMissing, HomeportError, NotFound, NotManaged, NotRunning, StateError
from homeport.home import Home, held_if_free
from homeport.json_types import JsonObject
from homeport.progress import Progress
from homeport.spec import Spec
from homeport.targets.base import OpenOptions, UpOptions

_LEAST_CONTEXT, _ROOM = 512, 64
"""Tokens of a request; the room is for what a chat template adds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineBench:
    """What one engine gave, or why it gave nothing."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    engine: str
    version: str
    weights: str
    """Where they come from, as a source; '' where the catalog has none for it."""
    result: BenchResult | None
    why: str
    """What kept it from being measured; '' where nothing did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesBench:
    """All engines, in the order in which they were measured."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    model: str
    engines: tuple[EngineBench, ...]
    notes: tuple[str, ...]
    """What keeps the engines from being compared as one would like."""

    @property
    def valid(self) -> bool:
        """Tell whether each engine was measured, and each measurement is a result."""
        return all(engine.result is not None and engine.result.valid for engine in self.engines)

    def as_json(self) -> JsonObject:
        """Return it as `--json` prints it."""
        document: JsonObject = TypeAdapter(EnginesBench).dump_python(self, mode="json")
        return document


def here(wanted: Sequence[str] = ()) -> tuple[str, ...]:
    """
    Return the engines to measure: those `wanted`, else all that are installed here.

    Raises `EngineMissing` where one that is wanted is not installed, or none is.
    """
    installed = tuple(name for name in wanted or NAMES if registry.module(name).find() is not None)
    missing = [name for name in wanted or NAMES if name not in installed]
    if missing and (wanted or not installed):
        hints = "; ".join(registry.module(name).INSTALL_HINT for name in missing)
        raise EngineMissing(f"{' and '.join(missing)} cannot be found here", hint=hints)
    return installed


async def bench_engines(
    file: Spec,
    sources: Mapping[str, str | None],
    options: BenchOptions,
    opened: OpenOptions,
    progress: Progress,
) -> EnginesBench:
    """
    Return what each engine of `sources` gives; its value is where its weights are, None for those of the file or the catalog.

    Each is started for as long as it is measured, as an endpoint of its own, and taken down whatever happens. An engine that
    cannot serve the model is told of in the result; nothing is raised for it.
    """
    measured = [
        await _measured(file, engine, weights, options, opened, progress)
        for engine, weights in sources.items()
    ]
    return EnginesBench(model=file.model, engines=tuple(measured), notes=_notes(measured))


async def _measured(
    file: Spec,
    engine: str,
    weights: str | None,
    options: BenchOptions,
    opened: OpenOptions,
    progress: Progress,
) -> EngineBench:
    installation = registry.module(engine).find()
    version = installation.version if installation is not None else ""
    source = weights or file.weights or _published(file.model, engine)
    progress.note(f"{engine} {version}".strip())
    result, why = None, ""
    try:
        result = await _of_engine(_alone(file, engine, weights, options), Served(on="local", engine=engine, version=version), options, opened, progress)  # fmt: skip
    except HomeportError as error:
        why = f"{error}; {error.hint}" if error.hint else str(error)
        progress.note(f"{engine}: {why}")
    return EngineBench(engine=engine, version=version, weights=source, result=result, why=why)


async def _of_engine(
    spec_alone: Spec, served: Served, options: BenchOptions, opened: OpenOptions, progress: Progress
) -> BenchResult:
    name = spec_alone.name or ""
    async with deployment.opened(spec_alone, options=opened) as deployed:
        with claimed(opened.home, name):
            await _ensure_free(deployed, name)
            async with AsyncExitStack() as stack:
                stack.push_async_callback(deployed.down, progress=progress)
                try:
                    started = await deployed.up(UpOptions(verify=False), progress=progress)
                except NotManaged:  # Made meanwhile, by another file.
                    stack.pop_all()
                    raise
                return await bench(started.endpoint, options, served=served, say=progress.note)


@contextmanager
def claimed(home: Home, name: str) -> Iterator[None]:
    """
    Hold the endpoint `name` for one bench of engines, from before it is looked for until it is taken down.

    Raises `StateError` where another bench holds it.
    """
    with held_if_free(home.prepare(name) / "bench.lock") as held:
        if not held:
            raise StateError(
                f"another `homeport bench engines` measures {name} now, and this one would take it down",
                hint="wait until it has ended",
            )
        yield


async def _ensure_free(deployed: Deployment, name: str) -> None:
    """Raise `StateError` where there is an endpoint of this name, which `up` would replace and `down` remove."""
    try:
        await deployed.status(usage=False)
    except (NotRunning, NotFound):
        return
    raise StateError(
        f"there is an endpoint {name} already, and this bench would start one of that name and take it down",
        hint=f"end it: `homeport down {name}`",
    )


def _published(model: str, engine: str) -> str:
    entry = catalog.find(model)
    return model if entry is None else registry.with_weights(entry).get(engine, "")


def _alone(file: Spec, engine: str, weights: str | None, options: BenchOptions) -> Spec:
    """Return the spec of an endpoint with the file's model, and room for all users at once."""
    return spec.parse(
        {
            "name": f"bench-{engine}",
            "model": file.model,
            "weights": weights or file.weights,
            "engine": {
                "kind": engine,
                "context": max(_LEAST_CONTEXT, options.input + options.output + _ROOM),
                "parallel": max(options.users),
                "dtype": file.engine.dtype,
            },
            "local": {"port": 0},
        }
    )


def _notes(engines: Sequence[EngineBench]) -> tuple[str, ...]:
    notes = [
        "engines read weights of their own formats: what they give differs by numbers and precision, too"
    ]
    machine = next((engine.result.setting.machine for engine in engines if engine.result is not None), "")
    if machine and "GiB," not in machine:
        notes.append(
            f"on {machine} without a GPU this shows the machinery, not the field's figures: docs/bench.md has published ones"
        )
    return tuple(notes)
