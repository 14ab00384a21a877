"""Which weights are served by which engine on which shape: what is decided before anything is asked of Google."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from homeport.catalog import Model, Published, checksums
from homeport.catalog.prices import load
from homeport.catalog.safetensors_header import SafetensorsTensor
from homeport.catalog.served_for import served_for
from homeport.engines.base import EngineModule
from homeport.engines.registry import delivery_of, ensure_honoured, keeps_start, key_of, module, on_cloud
from homeport.errors import EngineMissing, GatedModel, MemoryTooSmall, SpecError, WeightsError
from homeport.fit import size_unknown
from homeport.fit.cloud import Estimate, estimate
from homeport.fit.cold_start import ColdStart, expected
from homeport.fit.own_starts import corrected
from homeport.fit.subject import ModelSubject, subject, subject_of
from homeport.google import Google
from homeport.home import Home
from homeport.progress import Progress
from homeport.resources.local.weights import fetching
from homeport.secret import Secret
from homeport.spec import Adapter, CloudRun, Spec
from homeport.targets.chat_template import with_template
from homeport.targets.cloudrun.adapters import ChosenAdapter, PinnedModel, judged
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.prebuilt import PREBUILT, prebuilt_base, refuse_own_weights
from homeport.targets.local.weights import find_model, weights_of
from homeport.weights import sentence_modules
from homeport.weights.manifest import Format, Pin, PinnedFile, digest
from homeport.weights.sources.gcs import BucketSource, LentBuckets, bucket_source
from homeport.weights.sources.hub import HubSource
from homeport.weights.sources.registry import canonical, parse
from homeport.weights.store import WeightsStore


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedModel:
    """What is served."""

    model: Model
    published: Published
    engine: str
    estimate: Estimate
    tag: str
    """Of Ollama's library, where the weights come from there; else ''."""
    pinned: PinnedModel | None
    """None where the engine brings its own."""
    adapters: tuple[ChosenAdapter, ...] = ()

    @property
    def adapter_rank(self) -> int:
        """Return the rank that all adapters have room in; 0 where there are none."""
        return max((adapter.rank for adapter in self.adapters), default=0)


def expected_start(spec: Spec, spec_file: Path) -> ColdStart:
    """
    Return the expected cold start of what `spec` says, without asking which commit of its weights that is.

    A model of the catalog asks no network. Raises `EngineMissing`, and what `homeport.fit.subject` raises.
    """
    described = subject(spec.model, spec_file.parent, weights=spec.weights, engine=spec.engine.kind)
    engine = _engine(spec, described)
    settings = spec.cloudrun or CloudRun()
    delivery, keeps = delivery_of(engine, settings.delivery), keeps_start(engine, settings.startup_cache)
    size = described.weights[engine].size
    return corrected(expected(engine=engine, delivery=delivery, weights_bytes=size, kept=keeps))


async def choose(
    spec: Spec,
    spec_file: Path,
    home: Home,
    progress: Progress,
    google: Google | None = None,
    *,
    token: Secret | None = None,
) -> ResolvedModel:
    """
    Return what `spec` comes to on Cloud Run. Buckets that the file names (`gs:`) are looked into through
    `google`; a hub is shown `token`, or else the one that its own library finds.

    Weights that no cloud can reach (`file:`, `wheel:`) are brought here first. Raises `MemoryTooSmall` where it
    fits no GPU that may be taken, `EngineMissing` where no engine of Cloud Run has weights of it, `SpecError` for
    settings and adapters that the engine does not serve, and what asking a hub or a bucket raises.
    """
    buckets = None
    if google is not None and google.project:
        names = Names(
            name=spec.endpoint_name, project=google.project, region=(spec.cloudrun or CloudRun()).region
        )
        carrier = names.email(names.carrier)
        buckets = LentBuckets(google=google, loop=asyncio.get_running_loop(), carrier=carrier)
    store = WeightsStore(home.weights, checksums())
    return await fetching(
        lambda reporter: _Chooser(spec, spec_file, store, reporter, buckets, token).choose(), progress
    )


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Asks hubs and disks, and blocks while it does."""

    spec: Spec
    spec_file: Path
    store: WeightsStore
    progress: Progress
    buckets: LentBuckets | None
    token: Secret | None

    def choose(self) -> ResolvedModel:
        spec = self.spec
        refuse_own_weights(spec)
        if spec.model.startswith("wheel:") or (spec.weights or "").startswith("wheel:"):
            # Nothing is known of what a wheel holds before it is here.
            self._carried(spec.weights or spec.model, "gguf")
        described = self._subject()
        described = replace(described, model=served_for(described.model, spec.task))
        engine = _engine(spec, described)
        ensure_honoured(engine, spec.engine)
        delivery = delivery_of(engine, (spec.cloudrun or CloudRun()).delivery)
        tag = self._tag(engine)
        if (spec.cloudrun or CloudRun()).delivery == PREBUILT:
            prebuilt_base(spec, engine, tag)  # Refused before anything is fetched.
        pinned = None if tag else self._weights(engine)
        _ensure_read(pinned, delivery)
        base = described.tensors or (self._tensors(pinned) if spec.engine.lora else ())
        source = pinned.pin.source if pinned else ""
        adapters = tuple(
            judged(self._adapter(adapter, module(engine)), module(engine), base, source, self.begin)
            for adapter in spec.engine.lora
        )
        rank = max((adapter.rank for adapter in adapters), default=0)
        serving = described.served(engine, spec.engine, adapter_rank=rank)
        reckoned = estimate(serving, spec.cloudrun or CloudRun(), load(), spec.scaling)
        if not reckoned.choice.known:
            raise size_unknown(described.model)
        if reckoned.best is None:
            remedies = [remedy.change for remedy in reckoned.choice.remedies]
            raise MemoryTooSmall(
                f"{described.model.name} with {engine} does not fit: {reckoned.choice.why}",
                hint=f"would fit: {'; or '.join(remedies)}"
                if remedies
                else "`homeport fit` shows every GPU and region",
            )
        return ResolvedModel(
            model=with_template(described.model, spec, self.spec_file),
            published=described.weights[engine],
            engine=engine,
            estimate=reckoned,
            tag=tag,
            pinned=pinned,
            adapters=adapters,
        )

    def _subject(self) -> ModelSubject:
        """Return the model, by the catalog or by its own headers."""
        spec = self.spec
        source = bucket_source(spec.weights or spec.model)
        if source is None:
            return subject(
                spec.model,
                self.spec_file.parent,
                weights=spec.weights,
                token=self.token,
                engine=spec.engine.kind,
            )
        from homeport.catalog import find
        from homeport.catalog.described import of_pin

        weights_format: Format = "gguf" if source.file else "safetensors"
        buckets = self._lent(source)
        pin = buckets.pin(source, weights_format)
        described = of_pin(
            pin, lambda file, length: buckets.begin(source, file, length), weights_format, name=spec.model
        )
        return subject_of(described, find(spec.model))

    def _lent(self, source: BucketSource) -> LentBuckets:
        if self.buckets is None:
            raise SpecError(
                f"{source.text} is in a bucket, and no project is named",
                hint="set project in [cloudrun] of homeport.toml, or export GOOGLE_CLOUD_PROJECT=…",
            )
        return self.buckets

    def _tag(self, engine: str) -> str:
        """Return the model's tag in the engine's own library; '' where its weights are files."""
        entry = find_model(self.spec, self.spec_file)
        if entry is None or self.spec.weights is not None or module(engine).FORMAT != "library":
            return ""
        key = key_of(entry, engine)
        return entry.weights[key] if key is not None else ""

    def _weights(self, engine: str) -> PinnedModel | None:
        weights = weights_of(self.spec, self.spec_file, engine, self.store)
        return None if weights is None else self._carried(weights.source, weights.format)

    def _carried(self, source: str, format_: Format) -> PinnedModel:
        short = _plain(self.spec.model.rpartition("/")[2].rpartition(":")[2]) or self.spec.endpoint_name
        return self._pinned(canonical(source, self.spec_file.parent), format_, "models", short)

    def _adapter(self, adapter: Adapter, engine: EngineModule) -> ChosenAdapter:
        source, rank_of = canonical(adapter.source, self.spec_file.parent), engine.ADAPTER_RANK
        pinned = self._pinned(source, engine.FILES, "adapters", adapter.name)
        where = f"the adapter {adapter.name} ({source})"
        if rank_of is None:
            return ChosenAdapter(name=adapter.name, pinned=pinned, rank=0)
        config = self._config(pinned, rank_of.config)
        return ChosenAdapter(
            name=adapter.name,
            pinned=pinned,
            rank=rank_of.of(config, where),
            trained_on=rank_of.trained_on(config),
        )

    def _pinned(self, source: str, format_: Format, kind: str, short: str) -> PinnedModel:
        external = bucket_source(source)
        if external is not None:
            pin = self._lent(external).pin(external, format_)
            folder = "/".join(_plain(part) or "-" for part in external.folder.split("/") if part)
            where = f"{external.bucket}/{folder}".rstrip("/")
            return PinnedModel(pin=pin, folder=None, prefix=f"{kind}/gs/{where}/{pin.revision}")
        if source.startswith("hf:"):
            # Whether the hub gives the files is a question of its own, which preflight asks.
            pin = self.store.pinned(source, format_) or self.store.expected(
                source, self._hub(source).look(format_)
            )
            repo = source.removeprefix("hf:").partition("@")[0].partition(":")[0]
            # One commit has many a GGUF, and each has a manifest of its own.
            which = f"-{_short_digest(pin)}" if format_ == "gguf" else ""
            return PinnedModel(pin=pin, folder=None, prefix=f"{kind}/{repo}/{pin.revision}{which}")
        manifest = self.store.ensure(source, format_, self.progress)
        return PinnedModel(
            pin=manifest.pin,
            folder=manifest.folder,
            prefix=f"{kind}/own/{short}/{digest(manifest.pin.files)}",
        )

    def _config(self, pinned: PinnedModel, name: str) -> bytes:
        """Return what the adapter says of itself. Raises `WeightsError` where it says nothing."""
        file = next((file for file in pinned.pin.files if file.path == name), None)
        if file is None:
            raise WeightsError(
                f"{pinned.pin.source} has no {name}, and so is no LoRA adapter",
                hint="name a folder or repository that PEFT has written",
            )
        return self.begin(pinned, file, file.size)

    def begin(self, pinned: PinnedModel, file: PinnedFile, length: int) -> bytes:
        """Return the first `length` bytes of a pinned file, wherever it lies."""
        if pinned.folder is not None:
            with (pinned.folder / file.path).open("rb") as opened:
                return opened.read(length)
        external = bucket_source(pinned.pin.source)
        if external is not None:
            return self._lent(external).begin(external, file, length)
        from homeport.weights.download import client

        with client() as http:
            return self._hub(pinned.pin.source).begin_of(http, pinned.pin, file, length)

    def _tensors(self, pinned: PinnedModel | None) -> tuple[SafetensorsTensor, ...]:
        """Return the tensors of the model that adapters are for; none where its headers cannot be read yet."""
        if pinned is None or not self.spec.engine.lora:
            return ()
        from homeport.catalog.described import tensors_of

        try:
            return tensors_of(pinned.pin, lambda file, length: self.begin(pinned, file, length))
        except GatedModel:
            return ()  # Preflight asks whether it may be read.

    def _hub(self, source: str) -> HubSource:
        parsed = parse(source, base=self.spec_file.parent)
        assert isinstance(parsed, HubSource)
        return replace(parsed, token=self.token)


def _ensure_read(pinned: PinnedModel | None, delivery: str | None) -> None:
    """Raise `SpecError` where a stream would leave layers behind the pooling in the bucket."""
    layers = (
        [file.path for file in pinned.pin.files if sentence_modules.is_weights(file.path)] if pinned else []
    )
    if delivery == "stream" and layers:
        raise SpecError(
            f"a stream reads the model's own weights alone, and {layers[0]} is a layer behind them: without it other "
            "vectors come",
            hint='set cloudrun.delivery = "gcsfuse-buffered"',
        )


def _plain(text: str) -> str:
    """Turn `text` into the name of one folder of a bucket, without the commas that part a mount's options; ''
    where nothing is left.
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-")
    return "" if name in {".", ".."} else name


def _short_digest(pin: Pin) -> str:
    """Return twelve digits that stand for which files of a commit were pinned."""
    paths = "\n".join(sorted(file.path for file in pin.files))
    return hashlib.sha256(paths.encode()).hexdigest()[:12]


def _engine(spec: Spec, described: ModelSubject) -> str:
    """Return the engine of the file where it is one of Cloud Run's; else the preferred one that has weights."""
    delivery = (spec.cloudrun or CloudRun()).delivery
    offered = [name for name in on_cloud() if name in described.weights]
    usable = [name for name in on_cloud(spec.engine.kind, delivery) if name in offered]
    if not usable:
        raise EngineMissing(
            f"there are no weights of {described.model.name} for {spec.engine.kind} on Cloud Run"
            + ("" if delivery == "auto" else f" with the delivery {delivery}"),
            hint=f"there are some for {' and '.join(offered) or 'no engine of Cloud Run'}: set engine.kind, or "
            "`weights` to a source of your own",
        )
    return usable[0]
