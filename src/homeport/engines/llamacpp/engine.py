"""llama.cpp, embedded: the `xllamacpp` wheel, run in a child process of its own."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.child_environment import PYTHON
from homeport.engines.base import (
    FailureSign,
    Format,
    Installation,
    Launch,
    LaunchRequest,
    LoadedWeights,
    Pulse,
    served_name,
    template_of,
)
from homeport.engines.footprint import Footprint, MemoryTerm
from homeport.engines.llamacpp import adapter, fields, honours, memory, metrics, paths, projector
from homeport.errors import EngineFailed, HomeportError, MemoryTooSmall, PortTaken, SpecError, WeightsError
from homeport.json_types import Json
from homeport.spec import Delivery, Engine
from homeport.weights.manifest import Format as FileFormat

if TYPE_CHECKING:
    from homeport.engines.image import ImageContents, Recipe

TITLE = "llama.cpp"
FORMAT: Format = "gguf"
FILES: FileFormat = "gguf"
WEIGHTS = ("llamacpp",)
QUANTIZES_TO: tuple[str, ...] = ()
HALF_KV = "q8_0"
MOST_SEQUENCES = memory.MOST_SEQUENCES
USES_GPU = False
ASKS_FOR_KEY = True
METRICS_PATH = "/metrics"
METRICS = metrics.NAMES
REQUEST_LINE = metrics.REQUEST_LINE
_SPINS = "1000"
"""
OpenMP's threads spin while they wait for each other. By default they spin for so long that a busy machine stalls for
seconds: 64 tokens took 35 s at a load of 5, and 1.2 s when they did not spin; so little as this costs nothing on a quiet one
(2 cores, 2026-11-23).
"""
READS = ("text",)
READS_WITH_PROJECTOR: tuple[str, ...] = ("image", "audio")
NAMES_ADAPTERS = False
WITHOUT_ADAPTERS: Mapping[str, Json] = {"lora": [{"id": 0, "scale": 0.0}]}
ADAPTER_RANK = None
ENSURE_ADAPTER = adapter.ensure_applied
ENSURE_PROJECTOR = projector.ensure_encodes
STARTUP_CACHE = None
IDENTITY = LoadedWeights(path="/props", loaded=lambda properties, _: str(properties["model_path"]))
PATHS = paths.PATHS
SIGNS: Mapping[FailureSign, str] = {}  # It is for this machine alone, where `explain` tells all.
HONOURS = honours.HONOURS
DELIVERIES: tuple[Delivery, ...] = ()
USUAL_DELIVERY = None
RANK_ON_CLOUD = 0
HOST_MEMORY: tuple[MemoryTerm, ...] = ()
footprint = memory.footprint
TRACES = False
PULSE = Pulse("/slots", r'"is_processing":\s*true')
"""Answered by the loop that decodes, between two batches; /metrics would begin its averages again for everyone."""
_FOREIGN = re.compile(
    r"(?:unknown model architecture: '|unknown tokenizer: '|unknown (?:pre-tokenizer|projector) type: '?"
    r"|has invalid (?=ggml type \d))([^'\n]{1,60}?)(?:'|\n|$|\. should be)"
)
_OTHERWISE = re.compile(
    r"error loading model: (?:error loading model \w+: )?((?:check_tensor_dims: |done_getting_tensors: )?"
    r"(?:missing tensor|tensor '|wrong number of tensors|(?:array )?key not found in model|key \S+ has wrong)[^\n]{0,200})"
)
_ANOTHER_RELEASE = (
    "upgrade homeport and xllamacpp (pip install --upgrade 'homeport[local]'), or take another GGUF of a model that it "
    "knows (`homeport models`)"
)
_SERVER = Path(__file__).parent / "server" / "homeport_llamacpp.py"
INHERITS = (*PYTHON, "GGML_*", "VK_*", "SYCL_*", "ONEAPI_*", "ZE_*")
"""Not LLAMA_*: LLAMA_ARG_HOST and its like would overrule what homeport says."""
INSTALL_HINT = "llamacpp: pip install 'homeport[local]'"


def find() -> Installation | None:
    """Return the xllamacpp of this Python, if it has one."""
    if find_spec("xllamacpp") is None:
        return None
    return Installation(engine="llamacpp", version=metadata.version("xllamacpp"), executable=sys.executable)


def check(settings: Engine) -> None:
    """Raise `SpecError` for settings that llama.cpp cannot honour."""
    _refuse(settings.dtype != "auto", "dtype", "a GGUF file carries its own")
    _refuse(settings.quantization is not None, "quantization", "choose another GGUF file in `model`")
    _refuse(settings.kv_dtype == "fp8", "kv_dtype", "its halves are q8_0, its quarters q4_0")
    _refuse(
        len(settings.lora) > 1,
        "lora",
        "it applies adapters to every request, so it takes one; vllm takes many",
    )
    for argument in settings.extra_args:
        fields.parsed(argument)


def flags(settings: Engine) -> dict[str, str]:
    """Return what our server of llama.cpp is told of context and requests."""
    options = {"--context": f"{settings.context}", "--parallel": f"{settings.parallel}"}
    return options if settings.kv_dtype == "auto" else {**options, "--kv-dtype": settings.kv_dtype}


def own_memory(size: Footprint, settings: Engine) -> int | None:
    """
    Return what it was planned to take, mapped weights left out; None with adapters, an encoder of images or parameters
    that nobody reckoned with.
    """
    return None if settings.extra_args or settings.lora or settings.projector else size.own(settings.parallel)


def launch(request: LaunchRequest, installation: Installation) -> Launch:
    """Return the start of a server process of our own, with flags named as llama-server's."""
    settings, model = request.settings, request.model
    name = served_name(model)
    command = [installation.executable, str(_SERVER)]
    command += ["--model", str(request.weights), "--alias", name]
    command += ["--host", request.host, "--port", f"{request.port}", "--threads", f"{request.machine.cores}"]
    for flag, value in flags(settings).items():
        command += [flag, value]
    template, files = template_of(request)
    if template is not None:
        command += ["--chat-template", str(template)]
    command += [word for stop in model.stop for word in ("--stop", stop)]
    command += _besides(request)
    for key in ("temperature", "top_p", "top_k"):
        if key in model.sampling:
            command += [f"--{key.replace('_', '-')}", f"{model.sampling[key]:g}"]
    command += ["--embed", model.pooling or "own"] if model.task == "embed" else []
    if request.keyed:
        command.append("--api-key-on-stdin")
    for argument in settings.extra_args:
        field, number = fields.parsed(argument)
        command += ["--set", f"{field}={number}"]
    sees, hears = projector.senses(request.projector)
    return Launch(
        engine="llamacpp",
        version=installation.version,
        command=tuple(command),
        environment={
            # An assertion that fails in ggml starts gdb for a backtrace, which can hang.
            "GGML_NO_BACKTRACE": "1",
            "GOMP_SPINCOUNT": _SPINS,
        },
        model=name,
        host=request.host,
        port=request.port,
        context=settings.context,
        parallel=settings.parallel,
        keyed=request.keyed,
        weights=str(request.weights),
        sees=sees,
        hears=hears,
        tools=model.tool_parser is not None and model.task == "generate",
        task=model.task,
        ready_within_s=600,
        metrics_path=METRICS_PATH,
        inherits=INHERITS,
        files=files,
    )


def _besides(request: LaunchRequest) -> list[str]:
    """Return the flags that name files beside the model's."""
    lora = [word for name, path in request.adapters.items() for word in ("--lora", name, str(path))]
    return [*lora, "--mmproj", str(request.projector)] if request.projector else lora


def image(contents: ImageContents) -> Recipe:
    """Raise `SpecError`: it is for this machine alone."""
    raise SpecError(
        f"llamacpp is for this machine alone, and has no image on {contents.base}",
        hint='set engine.kind = "auto" for Cloud Run',
    )


def start_times(_: str) -> dict[str, float]:
    """Return nothing: it serves on this machine, where nothing starts from zero."""
    return {}


def explain(log: str) -> HomeportError | None:
    """Return what llama.cpp's last lines say, where they are recognised."""
    if "couldn't bind" in log or "failed to bind" in log or "Address already in use" in log:
        return PortTaken(
            "llama.cpp could not listen on its port", hint="`homeport up --port 0` takes a free one"
        )
    if "failed to allocate" in log or "unable to allocate" in log or "std::bad_alloc" in log:
        return MemoryTooSmall(
            "llama.cpp could not get the memory that it needs",
            hint="make engine.context or engine.parallel smaller, or choose a smaller model",
        )
    unfit = _unfit(log)
    if unfit is not None:
        return unfit
    if "failed to load model" in log or "error loading model" in log or "gguf_init_from_file" in log:
        return WeightsError(
            "llama.cpp cannot load these weights",
            hint="`homeport weights check` compares them with their checksums; those that homeport fetched `homeport up` "
            "mends, a file of yours wants another copy",
        )
    if "GGML_ASSERT" in log:
        return EngineFailed(
            "an assertion of llama.cpp failed",
            hint="the model or a setting is one that it cannot run; see the log",
        )
    return None


def _unfit(log: str) -> EngineFailed | None:
    """Return the error of whole weights that this llama.cpp cannot serve as they are."""
    foreign = _FOREIGN.search(log)
    if foreign:
        return EngineFailed(
            f"this release of llama.cpp does not know {foreign[1]}, which the weights are of: they are newer than it, or "
            "of another program",
            hint=_ANOTHER_RELEASE,
        )
    otherwise = _OTHERWISE.search(log)
    if otherwise:
        return EngineFailed(
            f"the weights are not what this release of llama.cpp expects of their architecture: {otherwise[1]}",
            hint=f"they were made for another release, or by another converter: {_ANOTHER_RELEASE}",
        )
    if "chat template" in log and ("parsing error" in log or "Unable to generate parser" in log):
        return EngineFailed(
            "llama.cpp cannot read the model's chat template",
            hint='name another in homeport.toml: engine.chat_template = "template.jinja" under [engine]',
        )
    return None


def _refuse(condition: bool, key: str, why: str) -> None:
    if condition:
        raise SpecError(f"engine.{key} cannot be honoured by llamacpp: {why}", hint=f"remove engine.{key}")
