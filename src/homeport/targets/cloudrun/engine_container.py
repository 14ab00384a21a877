"""The container of the engine: how it is started there, and what goes into its image."""

from __future__ import annotations

from pathlib import Path

from homeport.catalog.cloudrun import GIB, Shape, gpu
from homeport.engines.base import Installation, Launch, LaunchRequest
from homeport.engines.image import MODEL_FILE, Gguf, ImageContents, Recipe
from homeport.engines.registry import ensure_honoured, module
from homeport.hardware import Gpu, Machine
from homeport.spec import Spec
from homeport.targets.cloudrun.front import BEHIND, PORT, has_front, spans_of
from homeport.targets.cloudrun.observe.sidecar import METRICS_PORT
from homeport.targets.cloudrun.prebuilt import PREBUILT
from homeport.targets.cloudrun.startup_cache.cache import FILES
from homeport.targets.cloudrun.volumes import ADAPTERS, MODEL, CloudWeights


def launch_in_container(
    spec: Spec, weights: CloudWeights, shape: Shape, *, base: str, observed: bool
) -> Launch:
    """
    Return how the engine is started in an instance of that shape, of an image that is built on `base`.

    Raises `SpecError` for settings that it cannot honour.
    """
    chosen, delivery, stored = weights.chosen, weights.delivery, weights.model
    settings, engine = spec.engine, module(chosen.engine)
    ensure_honoured(chosen.engine, settings)
    pinned, accelerator = chosen.pinned, gpu(shape.gpu)
    assert accelerator is not None
    memory = shape.memory_gib * GIB
    served_from = {
        "baked": MODEL_FILE if pinned else "",
        "stream": stored.uri if stored else "",
        PREBUILT: "",
    }
    request = LaunchRequest(
        model=chosen.model,
        settings=settings,
        machine=Machine(
            cores=shape.cpu,
            memory=memory,
            memory_available=memory,
            gpus=(Gpu(name=accelerator.title, memory=accelerator.memory),),
        ),
        weights=pinned.folder if pinned and pinned.folder else Path(),
        footprint=None,
        adapters={name: Path(ADAPTERS, name) for name in weights.adapters},
        adapter_rank=chosen.adapter_rank,
        host="0.0.0.0",  # noqa: S104 - in a container, behind Cloud Run's front end
        port=BEHIND if has_front(spec, chosen.engine) else PORT,
        keyed=False,
        folder=FILES,
        contained=True,
        served_from=served_from.get(delivery, MODEL),
        streamed=delivery == "stream",
        prebuilt=delivery == PREBUILT,
        metrics_port=METRICS_PORT if observed else None,
        traces=spans_of(spec),
    )
    return engine.launch(request, Installation(engine=chosen.engine, version=base, executable=chosen.engine))


def recipe_of(launch: Launch, weights: CloudWeights, base: str) -> Recipe:
    """Return what goes into the image of an engine that is started so, built on `base`."""
    chosen, stored = weights.chosen, weights.model
    baked = weights.delivery == "baked"
    within: str | Gguf | None = chosen.tag if baked else None
    if baked and stored is not None:
        file = next(file for file in stored.pin.files if file.path.endswith(".gguf"))
        within = Gguf(origin=stored.uri, file=file)
    contents = ImageContents(
        base=base,
        model_name=launch.model,
        files=launch.files,
        weights=within,
        weights_bytes=chosen.published.size or (chosen.pinned.pin.size if chosen.pinned else 0),
    )
    return module(chosen.engine).image(contents)
