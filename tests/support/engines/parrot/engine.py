"""An engine that nobody needs, as one that somebody does would be added: this folder, a name, and catalog data."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from homeport.engines.base import (
    FailureSign,
    Format,
    Installation,
    Launch,
    LaunchRequest,
    LoadedWeights,
    served_name,
)
from homeport.engines.conformance import Feature, unchecked
from homeport.engines.footprint import Footprint, KvCache, MemoryTerm, Sizing
from homeport.engines.image import ImageContents, Recipe, without_weights
from homeport.engines.served_paths import ServedPaths
from homeport.errors import HomeportError
from homeport.json_types import Json
from homeport.spec import Delivery, Engine
from homeport.weights.manifest import Format as FileFormat

TITLE = "Parrot"
INSTALL_HINT = "parrot: it comes with these tests"
INHERITS: tuple[str, ...] = ()
FORMAT: Format = "gguf"
FILES: FileFormat = "gguf"
WEIGHTS = ("llamacpp",)
QUANTIZES_TO: tuple[str, ...] = ()
HALF_KV = "q8_0"
MOST_SEQUENCES = 3
USES_GPU = False
ASKS_FOR_KEY = True
METRICS_PATH = None
METRICS = None
REQUEST_LINE = None
READS = ("text",)
READS_WITH_PROJECTOR: tuple[str, ...] = ()
NAMES_ADAPTERS = False
WITHOUT_ADAPTERS: Mapping[str, Json] = {}
ADAPTER_RANK = None
ENSURE_ADAPTER = None
ENSURE_PROJECTOR = None
STARTUP_CACHE = None
TRACES = False
PULSE = None
DELIVERIES: tuple[Delivery, ...] = ("gcsfuse-buffered",)
USUAL_DELIVERY: Delivery = "gcsfuse-buffered"
RANK_ON_CLOUD = 9
HOST_MEMORY = (MemoryTerm("the cage", 2**30, "as large as it looks"),)
_SERVER = Path(__file__).parent / "server" / "parrot.py"


def _perch(said: Any, model: str) -> str | None:  # Any: JSON
    return str(said["perch"]) if said["model"] == model else None


IDENTITY = LoadedWeights(path="/cage", loaded=_perch)
PATHS = ServedPaths(asked=("/health", "/v1/models", "/cage"), open=("/health",))
SIGNS: Mapping[FailureSign, str] = {"gpu-memory": "the perch is too short"}
HONOURS = dict.fromkeys(Feature, unchecked("a parrot repeats what it hears"))


def find() -> Installation | None:
    """Return this Python: a parrot needs no more."""
    return Installation(engine="parrot", version="1.0", executable=sys.executable)


def check(settings: Engine) -> None:
    """Take whatever is set."""


def flags(settings: Engine) -> dict[str, str]:
    """Return what the server is told of context and requests."""
    return {"--context": f"{settings.context}", "--parallel": f"{settings.parallel}"}


def footprint(sizing: Sizing) -> Footprint | None:
    """Return the memory of the weights, and a kilobyte for each token."""
    cache = KvCache(
        context=sizing.settings.context,
        block_bytes=sizing.settings.context * 1024,
        blocks_per_sequence=1,
        how="a kilobyte for each token",
    )
    return Footprint(
        usable=MemoryTerm("memory", sizing.device.memory, "all of it"),
        fixed=(MemoryTerm("weights", sizing.weights.size, "as they are"),),
        weights=sizing.weights.size,
        cache=cache,
    )


def own_memory(size: Footprint, settings: Engine) -> int | None:
    """Return None: nobody has weighed it."""
    return None


def launch(request: LaunchRequest, installation: Installation) -> Launch:
    """Return how the server beside this file is started, or the same one in the engine's image."""
    name, script = served_name(request.model), request.folder / _SERVER.name
    start = ["python3", str(script)] if request.contained else [installation.executable, str(_SERVER)]
    command = [*start, "--weights", request.location, "--name", name]
    command += ["--host", request.host, "--port", str(request.port)]
    for flag, value in flags(request.settings).items():
        command += [flag, value]
    return Launch(
        engine="parrot",
        version=installation.version,
        command=(*command, *request.settings.extra_args, *(["--key-on-stdin"] if request.keyed else [])),
        environment={"PARROT": "1"},
        model=name,
        host=request.host,
        port=request.port,
        context=request.settings.context,
        parallel=request.settings.parallel,
        keyed=request.keyed,
        weights=request.location,
        tools=False,
        ready_within_s=120,
        metrics_path=METRICS_PATH,
        files={str(script): _SERVER.read_text(encoding="utf-8")} if request.contained else {},
    )


def image(contents: ImageContents) -> Recipe:
    """Return its image, with the server in it and no weights."""
    return without_weights("parrot", contents)


def start_times(log: str) -> dict[str, float]:
    """Return nothing: it does not look at the clock."""
    return {}


def explain(log: str) -> HomeportError | None:
    """Return None: a parrot explains nothing."""
    return None
