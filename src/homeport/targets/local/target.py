"""This machine: weights on disk, and a process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from homeport import catalog
from homeport.catalog import Model, Published
from homeport.catalog.served_for import served_for
from homeport.engines.base import EngineModule, Installation, Launch, LaunchRequest, served_as
from homeport.engines.footprint import memory_limit
from homeport.engines.registry import choose, ensure_honoured, published
from homeport.errors import MemoryTooSmall, NetworkError, SpecError
from homeport.fit import Fit, Serving, fit
from homeport.fit.devices import this
from homeport.fit.subject import published_as
from homeport.hardware import Machine, this_machine
from homeport.home import Home
from homeport.ownership import ensure_owner
from homeport.reconcile import Outputs, Resource
from homeport.resources.local import candidate
from homeport.resources.local.endpoint_key import GENERATED, NONE, EndpointKey
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.resources.local.process import EngineProcess
from homeport.resources.local.weights import Weights
from homeport.spec import Spec
from homeport.spec import parse as parse_spec
from homeport.supervisor.memory import COUNTS_MEMORY
from homeport.targets.chat_template import template_file, with_template
from homeport.targets.local import guard, weights_headers
from homeport.targets.local.projector import ensure_encodes, projector_of, size_of
from homeport.targets.local.room import what_would_fit
from homeport.targets.local.tracing import spans_go_to, traced
from homeport.targets.local.weights import ensure_one_file, find_model, path_of, sha256_of, weights_of
from homeport.weights import Manifest
from homeport.weights.sources.registry import canonical
from homeport.weights.store import WeightsStore

if TYPE_CHECKING:
    from homeport.catalog.described import Described

TAKE_OVER = (
    "give this one another `name`, or say `homeport up --take-over`, which makes that endpoint this file's"
)


@dataclass(frozen=True, kw_only=True)
class LocalTarget:
    """One spec, served on this machine."""

    spec: Spec
    spec_file: Path
    """Sources that are relative paths start from its folder."""
    home: Home
    renew_key: bool = False
    """Whether a key that homeport made is replaced by a new one."""
    take_over: bool = False
    """Whether the endpoint may be another file's: it is this one's then."""
    candidate: bool = False
    """Whether it is the new engine of a swap, which is verified on a spare port beside the endpoint."""

    def ensure_owner(self) -> None:
        """Raise `NotManaged` where the endpoint of this name belongs to another file, and is not to be taken over."""
        if not self.take_over:
            ensure_owner(self.spec, self.spec_file, self.home, hint=TAKE_OVER)

    @property
    def folder(self) -> Path:
        """Return the folder of the endpoint's record and log."""
        return candidate.folder_of(self.endpoint_folder) if self.candidate else self.endpoint_folder

    @property
    def endpoint_folder(self) -> Path:
        """Return the folder of its key, too, which a candidate shares."""
        return self.home.endpoint(self.spec.endpoint_name)

    @cached_property
    def model(self) -> Model | None:
        """Return what the catalog knows of the model; None for a source of the user's own."""
        return find_model(self.spec, self.spec_file)

    @cached_property
    def engine(self) -> tuple[EngineModule, Installation]:
        """Return the engine that will run it. Raises `EngineMissing`."""
        return choose(self.spec, self.model)

    @cached_property
    def store(self) -> WeightsStore:
        """Return the store of weights on this machine."""
        return WeightsStore(self.home.weights, catalog.checksums())

    @cached_property
    def machine(self) -> Machine:
        """Return what this machine has. GPUs do not matter to every engine, and asking their driver takes time."""
        return this_machine(gpus=self.engine[0].USES_GPU)

    @cached_property
    def key(self) -> EndpointKey:
        """Return where the key is that clients must send. Not every engine can ask for one that homeport would make."""
        reference = self.spec.local.api_key or (GENERATED if self.engine[0].ASKS_FOR_KEY else NONE)
        return EndpointKey(
            reference=reference,
            name=self.spec.endpoint_name,
            folder=self.endpoint_folder,
            base=self.spec_file.parent,
        )

    @cached_property
    def weights(self) -> Weights | None:
        """Return the model's weights as a resource; None where the engine keeps its own."""
        return weights_of(self.spec, self.spec_file, self.engine[1].engine, self.store)

    @cached_property
    def adapters(self) -> tuple[Weights, ...]:
        """Return the LoRA adapters as resources."""
        return tuple(
            Weights(
                name=f"lora-{adapter.name}",
                source=canonical(adapter.source, self.spec_file.parent),
                format=self.engine[0].FILES,
                store=self.store,
            )
            for adapter in self.spec.engine.lora
        )

    @cached_property
    def projector(self) -> Weights | None:
        """Return the encoder of images as a resource; None where the file names none."""
        return projector_of(self.spec, self.spec_file, self.engine[1].engine, self.weights)

    @cached_property
    def process(self) -> EngineProcess:
        """Return the engine's process as a resource."""
        reference = self.spec.local.api_key or ""
        installation = self.engine[1]
        served = served_as(self.model.name if self.model else self.spec.model)
        return EngineProcess(
            name=self.spec.endpoint_name,
            folder=self.folder,
            needs=tuple(weights.id for weights in self.all_weights),
            make_launch=self.launch,
            serves=f"{installation.engine} {installation.version} serving {served}",
            host=self.spec.local.host,
            port=self.spec.local.port,
            key=self.key,
            hidden=(reference.removeprefix("env:"),) if reference.startswith("env:") else (),
            spec=self.spec.model_dump(mode="json"),
            spec_file=str(self.spec_file),
            renew=self.renew_key,
            restart=self.spec.local.restart,
            root=self.home.root,
            usage_days=self.spec.local.usage_days,
            memory_limit=lambda outputs: self.memory_limit(self._size(outputs)),
        )

    @property
    def resources(self) -> tuple[Resource, ...]:
        """Return everything that is wanted, as resources."""
        return (*self.all_weights, self.process)

    def launch(self, outputs: Outputs, port: int) -> Launch:
        """Return how the engine is started, given the weights that are there. Raises what `check` raises."""
        engine, installation = self.engine
        manifest = outputs[self.weights.id] if self.weights else None
        size = self.check(manifest)
        request = LaunchRequest(
            model=served_for(
                with_template(self.described(path_of(manifest)), self.spec, self.spec_file), self.spec.task
            ),
            settings=self.spec.engine,
            machine=self.machine,
            weights=path_of(manifest),
            sha256=sha256_of(manifest),
            footprint=size.footprint if size else None,
            adapters={
                adapter.name: path_of(outputs[weights.id])
                for adapter, weights in zip(self.spec.engine.lora, self.adapters, strict=True)
            },
            projector=path_of(outputs[self.projector.id]) if self.projector else None,
            adapter_rank=weights_headers.adapter_rank(
                engine, [path_of(outputs[weights.id]) for weights in self.adapters], path_of(manifest)
            ),
            host=guard.ENGINE_HOST if self.spec.guard else self.spec.local.host,
            port=guard.ENGINE_PORT if self.spec.guard else port,
            keyed=self.key.required,
            folder=self.folder,
            traces=spans_go_to(self.spec, installation.engine, folder=self.endpoint_folder),
        )
        launch = traced(engine.launch(request, installation), request.traces, self.spec.endpoint_name)
        if self.spec.guard is None:
            return launch
        return guard.behind_gateway(
            launch, self.spec.guard, engine.PULSE, host=self.spec.local.host, port=port
        )

    def _size(self, outputs: Outputs) -> Fit | None:
        return self.check(outputs[self.weights.id] if self.weights else None)

    def memory_limit(self, size: Fit | None) -> int | None:
        """Return the bytes of memory of its own beyond which the engine is ended; None where its needs are not known."""
        if not COUNTS_MEMORY or size is None or size.footprint is None or size.place.device.gpu:
            return None
        planned = self.engine[0].own_memory(size.footprint, self.spec.engine)
        if planned is None:
            return None
        return memory_limit(planned) + (guard.MEMORY if self.spec.guard else 0)

    def check(self, manifest: Manifest | None) -> Fit | None:
        """
        Return how it fits this machine; None where that cannot be known before the weights are here.

        Raises `SpecError` for settings that the engine or the model cannot honour, or spans that nobody takes, `MemoryTooSmall`
        where it needs more memory than the machine has.
        """
        engine, installation = self.engine
        settings = self.spec.engine
        ensure_honoured(installation.engine, settings)
        spans_go_to(self.spec, installation.engine, folder=self.endpoint_folder)
        template_file(self.spec, self.spec_file)
        ensure_encodes(engine, self.spec, self.projector, self.weights, self.spec_file.parent)
        ensure_one_file(engine, manifest)
        weights_headers.ensure_adapters(engine, self.adapters, self.weights, self.spec_file.parent)
        model = self.made(manifest)
        if model is None:
            return None
        model = served_for(model, self.spec.task)
        most = catalog.context_of(model, installation.engine)
        if most and settings.context > most:
            raise SpecError(
                f"engine.context is {settings.context}, but {model.name} was made for {most} tokens"
                + ("" if most == model.context else f" as {installation.engine} serves it"),
                hint=f"set engine.context to at most {most}",
            )
        weights = self._published(model, manifest)
        if weights is None:
            return None
        serving = Serving(
            model=model,
            weights=weights,
            engine=installation.engine,
            settings=settings,
            projector_bytes=size_of(self.projector),
        )
        size = fit(serving, this(self.machine, installation.engine))
        if size.footprint is not None and size.problems:
            raise MemoryTooSmall(
                f"{model.name} does not fit this machine: {size.problems[0]}", hint=what_would_fit(size)
            )
        return size

    def made(self, manifest: Manifest | None) -> Model | None:
        """Return what is known of the model, whatever it is served for; None before its weights are here."""
        if manifest is not None:
            return self.described(path_of(manifest))
        return self.model or (self.headers.model if self.headers else None)

    def _published(self, model: Model, manifest: Manifest | None) -> Published | None:
        """Return the weights as sizing wants them: those on the disk where they are here, else as the catalog has them."""
        offered = published(model, self.engine[1].engine)
        usual = offered[0] if offered and self.spec.weights is None else None
        if manifest is not None:
            size = sum(
                file.size for file in manifest.pin.files if file.path.endswith((".gguf", ".safetensors"))
            )
            kind = usual.quantization if usual else model.quantization
            return Published(
                source=manifest.pin.source, size=size, quantization=kind, how="the size of its files"
            )
        return published_as(self.headers) if self.headers else usual

    @property
    def headers(self) -> Described | None:
        """Return what headers say of weights that were not read yet; None where the catalog knows them, or nothing does."""
        return self._headers[0]

    @property
    def headers_unread(self) -> str:
        """Return why a hub was not reached for `headers`; '' where it was, or none is wanted."""
        return self._headers[1]

    @cached_property
    def _headers(self) -> tuple[Described | None, str]:
        if self.weights is None or (self.model is not None and self.spec.weights is None):
            return None, ""
        try:
            found = weights_headers.described(
                self.weights.source, self.engine[0].FILES, self.spec_file.parent, name=self.spec.model
            )
        except NetworkError as error:
            return None, str(error)
        return found, ""

    def described(self, weights: Path) -> Model:
        """Return what is known of the model: from the catalog, else from its own files, a GGUF or a folder."""
        if self.model is not None:
            return self.model
        if weights not in self._inspected:
            self._inspected[weights] = weights_headers.model_in(weights, name=self.spec.model)
        return self._inspected[weights]

    @cached_property
    def _inspected(self) -> dict[Path, Model]:
        """Return the models read from headers, by file, each read once: that of a Gemma takes a quarter of a second."""
        return {}

    @property
    def all_weights(self) -> tuple[Weights, ...]:
        """Return the model's weights, its encoder's and the adapters', as resources."""
        return tuple(
            weights for weights in (self.weights, self.projector, *self.adapters) if weights is not None
        )


def remembered_target(record: EndpointRecord, name: str, home: Home) -> LocalTarget:
    """
    Return the target as it was when the endpoint `name` was last started.

    It is that endpoint, whatever name a record that somebody wrote may hold.
    """
    spec = parse_spec({**record.spec, "name": name}, where=f"the record of {name}")
    return LocalTarget(spec=spec, spec_file=Path(record.spec_file), home=home)
