"""
Ollama, where its binary is installed. It keeps weights in a library of its own: a tag's, or those of a GGUF that it is given.

Not run by this project's tests: its binary is in no package registry. What is here follows its documentation:
OLLAMA_* variables (docs/faq), /api/version, /api/pull, /api/blobs and /api/create (docs/api), and the OpenAI-compatible /v1.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from homeport.child_environment import PROXIES, inherited
from homeport.engines.base import (
    FailureSign,
    Format,
    Installation,
    Launch,
    LaunchRequest,
    SetupRequest,
    served_name,
)
from homeport.engines.footprint import Footprint, MemoryTerm
from homeport.engines.llamacpp import memory
from homeport.engines.ollama import honours, paths
from homeport.engines.ollama.image import recipe
from homeport.errors import HomeportError, PortTaken, SpecError
from homeport.json_types import Json
from homeport.spec import Delivery, Engine
from homeport.weights.manifest import Format as FileFormat

TITLE = "Ollama"
FORMAT: Format = "library"
FILES: FileFormat = "gguf"
WEIGHTS = ("ollama",)
QUANTIZES_TO: tuple[str, ...] = ()
HALF_KV = "q8_0"
MOST_SEQUENCES = memory.MOST_SEQUENCES
USES_GPU = False
"""It takes a GPU by itself; how much of one is not known here, so it is sized by the machine's memory."""
ASKS_FOR_KEY = False
METRICS_PATH = None
METRICS = None
REQUEST_LINE = None
READS = ("text", "image")
READS_WITH_PROJECTOR: tuple[str, ...] = ()
NAMES_ADAPTERS = False
WITHOUT_ADAPTERS: Mapping[str, Json] = {}
ADAPTER_RANK = None
ENSURE_ADAPTER = None
ENSURE_PROJECTOR = None
STARTUP_CACHE = None
IDENTITY = None
PATHS = paths.PATHS
SIGNS: Mapping[FailureSign, str] = {
    "gpu-memory": r"cudaMalloc failed: out of memory",
    "too-old": r"unknown model architecture|requires a newer version of Ollama",
    "weights-missing": r"no manifest|model '[^']+' not found",
    "no-token": r"no token came out of (?P<model>\S+): (?P<said>[^\n]{1,300})",
}
"""The last is written by server/serve.sh."""
HONOURS = honours.HONOURS
DELIVERIES: tuple[Delivery, ...] = ("baked", "prebuilt")
USUAL_DELIVERY: Delivery = "baked"
RANK_ON_CLOUD = 2
HOST_MEMORY = (MemoryTerm("the server", 4 * 2**30, "an allowance; nobody's figure"),)
footprint = memory.footprint
image = recipe
INHERITS = (
    *PROXIES,
    *(
        "OLLAMA_MODELS",
        "OLLAMA_DEBUG",
        "OLLAMA_FLASH_ATTENTION",
        "OLLAMA_KV_CACHE_TYPE",
        "OLLAMA_LLM_LIBRARY",
    ),
    *("OLLAMA_GPU_OVERHEAD", "OLLAMA_SCHED_SPREAD", "OLLAMA_MAX_LOADED_MODELS", "OLLAMA_MAX_QUEUE"),
    *("OLLAMA_LOAD_TIMEOUT", "OLLAMA_NOPRUNE", "OLLAMA_INTEL_GPU", "OLLAMA_VULKAN", "OLLAMA_NEW_ENGINE"),
    *("OLLAMA_MULTIUSER_CACHE", "GGML_*", "VK_*"),
)
"""Not OLLAMA_ORIGINS, which would let web pages in, and not OLLAMA_API_KEY, which is for a service of Ollama's."""
TRACES = False
PULSE = None
INSTALL_HINT = "ollama: see ollama.com/download"
_RUNNER = re.compile(r"llama runner started in ([\d.]+) seconds")
"""As its server writes it; not checked against Ollama."""
_SERVER = Path(__file__).parent / "server" / "serve.sh"


def find() -> Installation | None:
    """Return the ollama on the PATH."""
    program = shutil.which("ollama")
    if program is None:
        return None
    try:
        answer = subprocess.run(
            [program, "--version"],
            env=inherited(INHERITS),
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.search(r"\d+\.\d+[\w.-]*", answer.stdout + answer.stderr)
    return Installation(engine="ollama", version=version[0] if version else "unknown", executable=program)


def check(settings: Engine) -> None:
    """Raise `SpecError` for settings that Ollama cannot honour."""
    for key in ("quantization", "tool_parser", "reasoning_parser", "chat_template", "projector"):
        if getattr(settings, key) is not None:
            raise SpecError(f"engine.{key} cannot be honoured by ollama", hint=f"remove engine.{key}")
    if settings.lora:
        raise SpecError(
            "ollama serves no adapters beside a model: each is a model of its own to it, and it loads the whole "
            "of it again whenever another one is asked for",
            hint='set engine.kind = "vllm", or merge the adapter into a GGUF of your own',
        )
    if settings.extra_args or settings.dtype != "auto":
        raise SpecError(
            "ollama takes no extra_args or dtype from homeport", hint="remove them, or use llamacpp"
        )
    if settings.kv_dtype == "fp8":
        raise SpecError(
            "engine.kv_dtype fp8 cannot be honoured by ollama", hint="its half is q8_0, its quarter q4_0"
        )


def flags(settings: Engine) -> dict[str, str]:
    """Return what Ollama is told of context and requests, through its environment."""
    environment = {
        "OLLAMA_CONTEXT_LENGTH": f"{settings.context}",
        "OLLAMA_NUM_PARALLEL": f"{settings.parallel}",
    }
    if settings.kv_dtype != "auto":
        # Ollama keeps them so only with flash attention.
        environment |= {"OLLAMA_KV_CACHE_TYPE": settings.kv_dtype, "OLLAMA_FLASH_ATTENTION": "1"}
    return environment


def own_memory(size: Footprint, settings: Engine) -> int | None:  # noqa: ARG001 - as the other engines have it
    """Return None: how much of its weights Ollama maps was never measured here."""
    return None


def launch(request: LaunchRequest, installation: Installation) -> Launch:
    """Return how to start `ollama serve` with the context and parallelism of the spec; its first requests
    pull the tag, or give it the GGUF. Raises `SpecError` where the spec asks for a key.
    """
    settings, model = request.settings, request.model
    if request.keyed:
        raise SpecError(
            "ollama cannot ask for a key, so local.api_key would protect nothing",
            hint="remove local.api_key and stay on loopback, or set engine.kind to llamacpp or vllm",
        )
    if request.contained:
        return _baked(request, installation)
    name, setup = _own(request) if request.sha256 else _from_the_library(model.weights["ollama"])
    return Launch(
        engine="ollama",
        version=installation.version,
        command=(installation.executable, "serve"),
        environment={
            "OLLAMA_HOST": f"{request.host}:{request.port}",
            "OLLAMA_KEEP_ALIVE": "-1",
            **flags(settings),
        },
        model=name,
        host=request.host,
        port=request.port,
        context=settings.context,
        parallel=settings.parallel,
        keyed=False,
        weights=str(request.weights) if request.sha256 else name,
        sees="image" in model.modalities and model.task == "generate",
        hears=None if "audio" in model.modalities and model.task == "generate" else False,
        tools=model.tool_parser is not None and model.task == "generate",
        task=model.task,
        ready_within_s=7200,
        setup=setup,
        health_path="/api/version",
        metrics_path=METRICS_PATH,
        inherits=INHERITS,
    )


def _from_the_library(tag: str) -> tuple[str, tuple[SetupRequest, ...]]:
    """Return the name of a model of its library, and what brings it."""
    return tag, (SetupRequest(path="/api/pull", body={"model": tag, "stream": False}, what=f"pull {tag}"),)


def _own(request: LaunchRequest) -> tuple[str, tuple[SetupRequest, ...]]:
    """Return the name of a model that is made of the GGUF, and what makes it: its bytes by their sha256, then the model."""
    name, blob = served_name(request.model), f"sha256:{request.sha256}"
    body: dict[str, Json] = {"model": name, "files": {request.weights.name: blob}, "stream": False}
    return name, (
        SetupRequest(path=f"/api/blobs/{blob}", upload=str(request.weights), what="take the weights"),
        SetupRequest(path="/api/create", body=body, what=f"make {name} of {request.weights.name}"),
    )


def _baked(request: LaunchRequest, installation: Installation) -> Launch:
    """Return how to start Ollama in an image that holds the model: nothing is pulled, ready after the first token."""
    settings, model = request.settings, request.model
    tag = model.weights.get("ollama")
    name = served_name(model) if request.served_from or tag is None else tag
    script = request.folder / _SERVER.name
    return Launch(
        engine="ollama",
        version=installation.version,
        command=("bash", str(script), name),
        environment={
            "OLLAMA_HOST": f"{request.host}:{request.port}",
            "OLLAMA_KEEP_ALIVE": "-1",
            "OLLAMA_MAX_LOADED_MODELS": "1",
            "OLLAMA_NOPRUNE": "1",
            "HOME": "/tmp",  # noqa: S108 - it writes a key there when it starts, and nothing else is writable
            "READY_PORT": f"{request.port + 1}",
            # Others' images let every web page in.
            **({"OLLAMA_ORIGINS": "http://localhost"} if request.prebuilt else {}),
            **flags(settings),
        },
        model=name,
        host=request.host,
        port=request.port,
        context=settings.context,
        parallel=settings.parallel,
        keyed=False,
        weights=request.served_from or name,
        sees="image" in model.modalities and model.task == "generate",
        hears=None if "audio" in model.modalities and model.task == "generate" else False,
        tools=model.tool_parser is not None and model.task == "generate",
        task=model.task,
        ready_within_s=600,
        files={str(script): _SERVER.read_text(encoding="utf-8")},
        health_path="/",
        ready_port=request.port + 1,
        metrics_path=METRICS_PATH,
    )


def start_times(log: str) -> dict[str, float]:
    """Return how long the runner took, which reads the weights: see the server's `llama runner started`."""
    matches = _RUNNER.findall(log)
    return {"engine + fetch": float(matches[-1])} if matches else {}


def explain(log: str) -> HomeportError | None:
    """Return what Ollama's last lines say, where they are recognised."""
    if "address already in use" in log:
        return PortTaken(
            "ollama could not listen on its port", hint="`homeport up --port 0` takes a free one"
        )
    return None
