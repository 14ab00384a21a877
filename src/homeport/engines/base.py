"""
How a model is run. An engine turns (model, machine, spec) into a `Launch`; it knows nothing of targets.

Each engine is a module that satisfies `EngineModule`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from homeport.catalog import Model
from homeport.engines.footprint import Footprint, MemoryTerm, Sizing
from homeport.errors import HomeportError
from homeport.hardware import Machine
from homeport.json_types import Json, JsonObject
from homeport.spec import Delivery, Engine
from homeport.task import Task
from homeport.weights.manifest import Format as FileFormat
from homeport.weights.selection import is_quantization

if TYPE_CHECKING:
    from homeport.catalog.safetensors_header import SafetensorsTensor
    from homeport.engines.conformance import Conformance, Feature
    from homeport.engines.image import ImageContents, Recipe
    from homeport.engines.metric_names import MetricNames
    from homeport.engines.served_paths import ServedPaths

Format = Literal["gguf", "safetensors", "library"]
"""Which weights an engine takes; "library" means that it fetches and keeps its own (Ollama's tags)."""

FailureSign = Literal["gpu-memory", "no-gpu", "other-tensors", "too-old", "weights-missing", "no-token"]
"""Why a start failed, where the engine's own words tell it; each target says what is to be done about it there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An engine that is installed here."""

    engine: str
    version: str
    executable: str
    """The program that starts it: a Python interpreter for llamacpp and vllm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRequest:
    """What an engine is started for."""

    model: Model
    settings: Engine
    machine: Machine
    weights: Path
    """A GGUF file, or a folder of safetensors. For ollama's library an empty path."""
    footprint: Footprint | None
    """The memory that it takes; None where the model's architecture is not known."""
    adapters: Mapping[str, Path]
    """LoRA adapters, by the name that they are served under."""
    projector: Path | None = None
    """The encoder of images, where it is a file of its own."""
    adapter_rank: int = 0
    """The rank that all of them have room in; for vllm, where there are any."""
    host: str
    port: int
    keyed: bool
    """Whether clients must send a key. The key itself reaches the engine through its standard input."""
    folder: Path
    """Where the engine may write what it needs beside its log; in a container, where the image has its files."""
    contained: bool = False
    """Whether it runs in the engine's own image, where its own program starts it."""
    served_from: str = ""
    """Where the engine finds the weights, if not at `weights`: a path in a container, or the address of a bucket."""
    sha256: str = ""
    """Of the file of weights, where they are one file on this machine."""
    streamed: bool = False
    """Whether a streamer reads the weights from `served_from`, many pieces at once."""
    prebuilt: bool = False
    """Whether the image is another's with the weights in it, and with settings of theirs."""
    metrics_port: int | None = None
    """
    Where on loopback its metrics are told, and at no other port: for a container that something beside it asks. None leaves
    them where the engine has them.
    """

    traces: str = ""
    """
    Where spans are sent, as a whole address of OpenTelemetry's protocol over HTTP; '' for nowhere. Engines that have none ignore it.
    """

    @property
    def location(self) -> str:
        """Return the path or address where the engine finds the weights."""
        return self.served_from or str(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupRequest:
    """A request that the engine needs once, after it answers and before it can generate."""

    path: str
    what: str
    body: Mapping[str, Json] = field(default_factory=dict)
    upload: str = ""
    """The file that is sent in place of `body`, unless HEAD finds that the engine has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How an engine is started for one model on this hardware. Holds no secret."""

    engine: str
    version: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Added to the environment; shown in plans."""
    model: str
    """The name that the model is served under."""
    host: str
    port: int
    context: int
    parallel: int
    keyed: bool
    """The key is written to standard input as one line of JSON: {"api_key": …}."""
    weights: str
    tools: bool
    """Whether tool calls come back parsed."""
    ready_within_s: float
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that the engine reads, by path, with their text."""
    setup: tuple[SetupRequest, ...] = ()
    health_path: str = "/health"
    ready_port: int | None = None
    """Where `health_path` is asked for while it starts, if not at `port`."""
    metrics_path: str | None = "/metrics"
    pulse_path: str = ""
    """Where it is asked whether it works, if not at its engine's own path: by what stands before it."""
    task: Task = "generate"
    """What it is asked for: text, or vectors."""
    sees: bool = False
    """Whether a chat may hold images."""
    hears: bool | None = False
    """Whether a chat may hold sound; None where the weights say so, and nobody here has tried the engine."""
    inherits: tuple[str, ...] = ()
    """Variables, or patterns of them, that it takes from homeport's environment on this machine, besides those that
    every engine takes: see `homeport.child_environment`."""

    @property
    def url(self) -> str:
        """Return the address that clients on this machine use, without `/v1`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def as_json(self) -> JsonObject:
        """Return everything that makes one start differ from another, for records and diffs."""
        return {
            "engine": self.engine,
            "version": self.version,
            "command": list(self.command),
            "environment": dict(self.environment),
            "model": self.model,
            "host": self.host,
            "port": self.port,
            "context": self.context,
            "parallel": self.parallel,
            "keyed": self.keyed,
            "weights": self.weights,
            "tools": self.tools,
            "files": dict(self.files),
            **({"task": self.task} if self.task != "generate" else {}),
            **({"sees": True} if self.sees else {}),
            **({"hears": self.hears} if self.hears is not False else {}),
        }


@dataclass(frozen=True, slots=True)
class Pulse:
    """How an engine shows that its work goes on, and not merely its HTTP server."""

    path: str
    """Asked with the key, if there is one."""
    busy: str
    """A regular expression that the answer matches while it works on requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedWeights:
    """How an engine is asked which weights it has loaded."""

    path: str
    loaded: Callable[[Json, str], str | None]
    """By the answer and the name that clients use: the `location` of the weights; None where unsaid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterRank:
    """How an engine knows the rank that a LoRA adapter needs room in."""

    config: str
    """The file of the adapter's folder that tells."""
    of: Callable[[bytes, str], int]
    """
    By what that file says, and by where it is from, for errors: `WeightsError` for what is no adapter, `SpecError` for
    one that the engine does not serve.
    """
    weights: str
    """The file of the adapter's folder that holds its tensors."""
    ensure_served: Callable[[Sequence[SafetensorsTensor], Sequence[SafetensorsTensor], str, int], str]
    """
    By the adapter's tensors, those of the model (none where they are not known), where it is from, and its rank: raises
    `SpecError` for tensors that the engine refuses or ignores, returns what may go wrong all the same.
    """
    ensure_trained: Callable[[Path, str], None]
    """By the file of the tensors, on this machine, and where it is from: raises `SpecError` where they are zeros, and so change nothing."""
    trained_on: Callable[[bytes], str]
    """By what the file says: the model that the adapter says it was trained on; '' where it names none of a hub."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheableStart:
    """What an engine can keep of a start for the next one, and what does not tell two starts apart."""

    folders: Mapping[str, str]
    """The folders that it keeps it in, below one of ours, by the variables that name them."""
    settings: Mapping[str, str]
    """Variables that let it keep more."""
    keys: tuple[str, ...]
    """Patterns of the folders, below ours, that it names by a hash of its own of what the cache is good for."""
    indifferent_flags: Mapping[str, int]
    """Flags that change nothing of what is kept, and how many values stand behind each."""
    indifferent_variables: frozenset[str]

    def environment(self, folder: str) -> dict[str, str]:
        """Return the variables by which the engine keeps it below `folder`."""
        return {**{name: f"{folder}/{below}" for name, below in self.folders.items()}, **self.settings}


class EngineModule(Protocol):
    """
    What each engine's module offers: all that is true of one engine and not of another.

    Nothing outside this package names an engine; code that needs to know something of one asks here.
    """

    TITLE: str
    """As its makers write it."""
    INSTALL_HINT: str
    """How it is installed here: its name, a colon, and what to do."""
    INHERITS: tuple[str, ...]
    """Variables of homeport's environment that it takes, besides those that every engine takes."""

    FORMAT: Format
    FILES: FileFormat
    """The format of weights of one's own that it loads, and of LoRA adapters."""
    WEIGHTS: tuple[str, ...]
    """Whose weights in the catalog it loads: keys of `Model.weights`; of several, the first that a model has."""
    QUANTIZES_TO: tuple[str, ...]
    """What it can make of bfloat16 weights while it loads them (`engine.quantization`), the most exact first."""
    HALF_KV: str
    """The `engine.kv_dtype` that keeps keys and values in half the bytes."""
    MOST_SEQUENCES: int | None
    """The most requests that it can serve at once, whatever the memory; None where it sets no such limit."""
    TRACES: bool
    """Whether it sends spans of its own."""
    PULSE: Pulse | None
    """None where it has no such path."""
    USES_GPU: bool
    """Whether it serves on a GPU of this machine, where there is one; else in the machine's memory alone."""
    ASKS_FOR_KEY: bool
    """Whether it serves those alone who send the endpoint's key."""
    METRICS_PATH: str | None
    """Where it tells what it does, for Prometheus; None where it tells nothing."""
    METRICS: MetricNames | None
    """By which names it tells that; None where it tells nothing."""
    REQUEST_LINE: str | None
    """A regular expression of the line that each request leaves in its log, where no series counts them; else None."""

    READS: tuple[str, ...]
    """What it serves of a model's modalities with the weights that the catalog has for it, as far as it is known."""
    READS_WITH_PROJECTOR: tuple[str, ...]
    """What it serves besides with `engine.projector`; empty where an encoder is no file of its own."""
    NAMES_ADAPTERS: bool
    """Whether each LoRA adapter is a model of its own to clients; else it is applied to whatever is asked."""
    WITHOUT_ADAPTERS: Mapping[str, Json]
    """Fields of a request for which the base model alone answers, where adapters are applied to whatever is asked."""
    ADAPTER_RANK: AdapterRank | None
    """How large the room for an adapter must be; None where that makes no difference."""
    ENSURE_ADAPTER: Callable[[Path, Path | None], None] | None
    """
    Judges the file of an adapter by the file of the model's weights, None where these are not here: raises `WeightsError`
    or `SpecError` for one that it would refuse. None where adapters are no single files, or nobody here can tell.
    """
    ENSURE_PROJECTOR: Callable[[Path], None] | None
    """Judges the file of `engine.projector`: raises `WeightsError` for what is no encoder. None where that is no file of its own."""
    IDENTITY: LoadedWeights | None
    """How it is asked which weights it has loaded; None where it does not tell."""
    PATHS: ServedPaths
    """Every path that it is known to answer, so that strangers are seen to be refused there."""
    SIGNS: Mapping[FailureSign, str]
    """
    Regular expressions of what it alone writes into its log when a start fails. What Python, CUDA or a hub's library
    writes is known without. The groups `tensor`, `model` and `said` are told to the user.
    """
    HONOURS: Mapping[Feature, Conformance]
    """Which APIs it offers, and what it honours there: every `Feature`, as far as it is known."""

    DELIVERIES: tuple[Delivery, ...]
    """
    How weights can get to it on a cloud, the quickest first; empty where it is for this machine alone.

    `baked` means that the weights are in its image: see `image`; `prebuilt` that they are in another's, as it is. What each takes is in catalog/cold_start.toml, and
    so are the parts of its own start, which are those that the file has.
    """
    USUAL_DELIVERY: Delivery | None
    """What `cloudrun.delivery = "auto"` means: one of `DELIVERIES`; None where there are none."""
    RANK_ON_CLOUD: int
    """Where `kind` names no engine of a cloud, the one with the lowest number that has weights is taken there."""
    STARTUP_CACHE: CacheableStart | None
    """What it can keep of a start; None where it compiles nothing, and so has nothing to keep."""
    HOST_MEMORY: tuple[MemoryTerm, ...]
    """What its server takes of a container's memory beside the GPU, the reading of weights included."""

    def find(self) -> Installation | None:
        """Return the installation that would be used, or None."""

    def check(self, settings: Engine) -> None:
        """Raise `SpecError` for settings that this engine cannot honour; `registry.ensure_honoured` knows `MOST_SEQUENCES` besides."""

    def flags(self, settings: Engine) -> Mapping[str, str]:
        """Return what it is told of context, requests and precision on a GPU: its flags, or its variables."""

    def footprint(self, sizing: Sizing) -> Footprint | None:
        """Return the memory that it takes; None where the model's architecture is not known."""

    def own_memory(self, size: Footprint, settings: Engine) -> int | None:
        """Return the memory of its own that it was planned to take on a machine without a GPU; None where nobody knows."""

    def launch(self, request: LaunchRequest, installation: Installation) -> Launch:
        """Return how to start it."""

    def image(self, contents: ImageContents) -> Recipe:
        """Return what goes into its image. Raises `SpecError` where it is for this machine alone."""

    def start_times(self, log: str) -> Mapping[str, float]:
        """
        Return the seconds that parts of its newest start took, as far as its log tells them.

        By term of the cold start, such as `compile`; of two that it tells together, `engine + fetch`.
        """

    def explain(self, log: str) -> HomeportError | None:
        """Return the error behind the last lines of a log, where they are recognised."""


def served_name(model: Model) -> str:
    """Return the name that clients use for `model`: the catalog's, or the last part of its source."""
    return served_as(model.name)


def served_as(name: str) -> str:
    """Return the name that clients use for a model of the catalog's, or of a source."""
    head, _, last = name.rpartition(":")
    if "/" in head and is_quantization(last):  # `hf:ORG/NAME:Q8_0` is called by its name, and not Q8_0.
        last = head.rpartition("@")[0] or head
    return last.rsplit("/", 1)[-1].removesuffix(".gguf")


def template_of(request: LaunchRequest) -> tuple[Path | None, dict[str, str]]:
    """
    Return where the engine finds the chat template that it is told of, and the files that must be written for that.

    The user's own is copied, so that another text of it is another start; in a container so is the catalog's.
    """
    template = request.model.chat_template
    if template is None or not (request.contained or request.settings.chat_template):
        return template, {}
    path = request.folder / "chat_template.jinja"
    return path, {str(path): template.read_text(encoding="utf-8")}
