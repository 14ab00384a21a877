"""One spec on Cloud Run: everything that is wanted of it, as a graph of resources."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from homeport.catalog.cloudrun import Shape
from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.catalog.prices import load as load_prices
from homeport.engines.base import CacheableStart, Launch
from homeport.engines.image import Recipe
from homeport.engines.registry import delivery_of, module
from homeport.errors import HomeportError, SpecError
from homeport.fit.cloud import Estimate
from homeport.fit.cold_start import ColdStart, expected
from homeport.fit.own_starts import corrected
from homeport.google import Google
from homeport.reconcile import Ref, Resource
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Prove
from homeport.resources.google.repository import DOCKER_HUB
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import ServiceIdentity, service
from homeport.spec import CloudRun, Delivery, Spec
from homeport.targets.cloudrun.companions import Companion, CompanionServices
from homeport.targets.cloudrun.containers import ServiceContainer
from homeport.targets.cloudrun.diagnosis import newest_explained
from homeport.targets.cloudrun.edge.load_balancer import EndpointEdge
from homeport.targets.cloudrun.engine_container import launch_in_container, recipe_of
from homeport.targets.cloudrun.foundations import Foundations
from homeport.targets.cloudrun.guard.screen import armored, screen_apis
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.images import image, mirrored
from homeport.targets.cloudrun.invokers import callers
from homeport.targets.cloudrun.marks import marked, marks
from homeport.targets.cloudrun.model_selection import ResolvedModel
from homeport.targets.cloudrun.names import Names, names_of
from homeport.targets.cloudrun.observe.sidecar import Observing
from homeport.targets.cloudrun.prebuilt import base_image
from homeport.targets.cloudrun.preflight import GatedFile
from homeport.targets.cloudrun.registries import cached, parse
from homeport.targets.cloudrun.released import release
from homeport.targets.cloudrun.service_labels import labels_of
from homeport.targets.cloudrun.service_spec import Mount, ServiceInputs, beside_size
from homeport.targets.cloudrun.startup_cache.cache import FILES, CloudStartupCache, scripts
from homeport.targets.cloudrun.volumes import CloudWeights, OwnFiles
from homeport.targets.cloudrun.warm_schedule import SCHEDULER, WarmSchedule


@dataclass(frozen=True, kw_only=True)
class CloudRunGraph:
    """One spec, served on Cloud Run, as the resources that it takes. What many of them are made of is found once."""

    google: Google
    spec: Spec
    spec_file: Path
    chosen: ResolvedModel
    prove: Prove
    """How a new revision is verified."""
    token: HubToken | None = None
    """The hub's."""
    gates: tuple[GatedFile, ...] = ()
    """What the hub is asked for before anything is made."""
    canary: tuple[int, ...] = ()
    beside: tuple[ServiceContainer, ...] = ()
    """What runs in each instance beside the engine."""
    companions: tuple[Companion, ...] = ()
    """Services of their own beside the model's."""
    no_cache: str = ""
    """Why there is no startup cache though the file wants one; '' where there may be."""
    moment: datetime | None = field(default_factory=lambda: datetime.now(UTC))
    """When it is wanted: in warm hours an instance is kept. None for outside of them."""
    edge: EndpointEdge | None = None
    """The load balancer before it."""
    observing: Observing | None = None
    """What takes the engine's metrics to Cloud Monitoring."""
    gateway: tuple[Resource, ...] = ()
    """What the gateway's container is made of, where one stands before the engine."""

    @property
    def settings(self) -> CloudRun:
        """Return `[cloudrun]` of the file, or its defaults."""
        return self.spec.cloudrun or CloudRun()

    @cached_property
    def names(self) -> Names:
        """Return the names of its things."""
        return names_of(self.spec, self.google)

    @cached_property
    def foundations(self) -> Foundations:
        """Return what stands before anything is served."""
        return Foundations(
            google=self.google,
            names=self.names,
            cloudrun=self.settings,
            access=self.spec.access,
            token=self.token.value if self.token else None,
            baked=self.baked,
            streamed=self.delivery == "stream",
            registries=self.registries,
            more_apis=self.more_apis,
            guard=armored(self.spec.guard),
        )

    @property
    def more_apis(self) -> tuple[str, ...]:
        """Return the APIs that some tables of the file need besides."""
        return (
            *((SCHEDULER,) if self.spec.scaling.warm else ()),
            *(self.edge.apis if self.edge else ()),
            *(self.observing.apis if self.observing else ()),
            *screen_apis(self.spec.guard),
        )

    @cached_property
    def registries(self) -> tuple[str, ...]:
        """Return the registries whose images are fetched once and kept: that of the engine's image, and Docker Hub."""
        base = parse(self.base)
        return tuple(dict.fromkeys((DOCKER_HUB, *(() if base.is_googles else (base.host,)))))

    @cached_property
    def mirrored(self) -> bool:
        """Tell whether the engine's image is its makers' own, unchanged. Raises `SpecError` where more goes into it."""
        image_from, plain = self.settings.image_from, self.recipe.plain
        if image_from == "mirror" and not plain:
            raise SpecError(
                f"cloudrun.image_from mirror cannot be honoured by {self.chosen.engine} with the delivery {self.delivery}",
                hint="more is put into the image than its makers did, which is a build: leave it out",
            )
        return plain and image_from != "build"

    @property
    def baked(self) -> bool:
        """Tell whether the weights lie in an image of ours."""
        return self.delivery == "baked"

    @property
    def delivery(self) -> Delivery:
        """Return how weights get to the engine."""
        return delivery_of(self.chosen.engine, self.settings.delivery)

    @property
    def shape(self) -> Shape:
        """Return the shape of the instance."""
        best = self.chosen.estimate.best
        assert best is not None
        assert best.place.shape is not None
        return best.place.shape

    @property
    def cold_start(self) -> ColdStart:
        """Return the expected cold start."""
        return self._start(kept=self.cache is not None)

    @cached_property
    def first_start(self) -> ColdStart:
        """Return that of an instance that finds no startup cache."""
        return self._start(kept=False)

    def _start(self, *, kept: bool) -> ColdStart:
        size = self.chosen.published.size or self.pinned_size
        start = expected(engine=self.chosen.engine, delivery=self.delivery, weights_bytes=size, kept=kept)
        return corrected(start)

    @cached_property
    def weights(self) -> CloudWeights:
        """Return the model's weights and the adapters."""
        names, foundations = self.names, self.foundations
        return CloudWeights(
            google=self.google,
            names=names,
            chosen=self.chosen,
            delivery=self.delivery,
            build_region=self.settings.build_region or "",
            token=Ref(f"secret-version/{names.secret}", "name") if self.token is not None else None,
            after=(
                foundations.apis.id,
                f"service-account/{names.carrier}",
                *foundations.grants_of(names.carrier),
            ),
        )

    @property
    def stored(self) -> StoredWeights | None:
        """Return the model's weights in the bucket; None where the engine brings its own."""
        return self.weights.model

    @property
    def source(self) -> str:
        """Return where the model's weights come from; '' for Ollama's, and for this machine: its paths mean nothing there."""
        stored = self.stored
        return f"{stored.pin.source} at {stored.pin.revision}" if stored and stored.folder is None else ""

    @cached_property
    def launch(self) -> Launch:
        """Return how the engine is started in its container. Raises `SpecError` for settings that it cannot honour."""
        launch = launch_in_container(
            self.spec, self.weights, self.shape, base=self.base, observed=self.observing is not None
        )
        return replace(launch, files={**launch.files, **scripts()}) if self.keeps else launch

    @cached_property
    def base(self) -> str:
        """Return the reference of the image that ours is built on, or that serves as it is."""
        return base_image(self.spec, self.chosen.engine, self.chosen.tag)

    @cached_property
    def recipe(self) -> Recipe:
        """Return what goes into the engine's image."""
        return recipe_of(self.launch, self.weights, cached(self.names, self.base))

    @property
    def image(self) -> ContainerImage | MirroredImage:
        """Return the image that serves."""
        names, recipe, apis = self.names, self.recipe, self.foundations.apis.id
        if self.mirrored:
            return mirrored(self.google, names, self.base, (apis,))
        after = [apis, f"service-account/{names.builder}", *self.foundations.grants_of(names.builder)]
        if self.stored is not None and recipe.gguf is not None:
            after.append(self.stored.id)
        return image(self.google, names, self.settings, recipe, tuple(after))

    @property
    def own_files(self) -> OwnFiles:
        """Return the few files of ours that the engine reads, in the bucket; none where they are in the image."""
        texts = self.launch.files if self.mirrored else {}
        return OwnFiles(google=self.google, bucket=self.names.bucket, texts=texts, folder=FILES)

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """Return the folders of the bucket that the container sees: weights, adapters, files of ours."""
        return (*self.weights.mounts, *self.own_files.mounts)

    @property
    def cache(self) -> CloudStartupCache | None:
        """Return the startup cache; None where none is wanted or none is possible."""
        kept_start, foundations = self.keeps, self.foundations
        if kept_start is None or self.no_cache or self.stored is None:
            return None
        return CloudStartupCache(
            foundations=foundations,
            launch=self.launch,
            kept=kept_start,
            shape=self.shape,
            image=self.image,
            weights=self.stored,
            mounts=self.mounts,
            cold_start=self.first_start,
            files=tuple(file.id for file in self.own_files.objects),
        )

    @property
    def keeps(self) -> CacheableStart | None:
        """Return what the engine keeps of a start where the file wants that; None where it compiles nothing, too."""
        return module(self.chosen.engine).STARTUP_CACHE if self.settings.startup_cache == "auto" else None

    @property
    def service(self) -> RestResource:
        """Return the model's service."""
        names, cache = self.names, self.cache
        inputs = ServiceInputs(
            name=names.name,
            launch=self.launch,
            shape=self.shape,
            cloudrun=self.settings,
            scaling=self.spec.scaling,
            access=self.spec.access,
            cold_start=self.first_start,
            mounts=self.mounts,
            network=self.foundations.network,
            own_network=self.settings.network is None,
            runner=f"service-account/{names.runner}",
            marks=marks(self.launch, self.weights, self.source, cache.resource.id if cache else ""),
            beside=self.beside,
            moment=self.moment,
            guarded=armored(self.spec.gateway_guard) is not None,
            edge=self.edge.parts.edge if self.edge else None,
            labels=labels_of(self.observing, self.edge, *self.companions),
            cache=cache.use if cache else None,
        )
        self.weights.ensure_cache_fits(self.chosen.estimate)
        return service(
            self.google,
            ServiceIdentity(
                endpoint=names.name, region=names.region, released=True, has_edge=self.edge is not None
            ),
            marked(inputs, names),
            after=self._before_service,
            explain=self._why,
        )

    @property
    def _before_service(self) -> tuple[str, ...]:
        foundations, stored, cache = self.foundations, self.stored, self.cache
        # Nothing is served before its way out is as wanted.
        after = [foundations.apis.id, *foundations.grants_of(self.names.runner), *foundations.guards]
        after += [stored.id] if stored is not None and not self.baked else []
        after += [adapter.id for adapter in self.weights.adapters.values()]
        after += [file.id for file in self.own_files.objects]
        after += [resource.id for resource in self.observing.before] if self.observing else []
        return (*after, *(cache.before if cache else ()))

    @property
    def beside_it(self) -> CompanionServices:
        answers = self.edge.answers if self.edge else ""
        return CompanionServices(foundations=self.foundations, companions=self.companions, answers=answers)

    @property
    def warm(self) -> WarmSchedule:
        """Return what keeps an instance warm at the file's hours."""
        return WarmSchedule(google=self.google, names=self.names, hours=self.spec.scaling.warm_hours)

    @property
    def beside_size(self) -> CpuAndMemory:
        """Return what the other containers of an instance have together, beyond what the engine gives up for them."""
        return beside_size(self.shape, self.beside)

    @property
    def estimate(self) -> Estimate:
        """Return what was chosen, with the price and the quotas of all containers."""
        return self.chosen.estimate.with_beside(self.beside_size, load_prices())

    def resources(self) -> list[Resource]:
        """Return everything that is wanted, as resources."""
        return [
            *self.foundations.resources(),
            *([self.stored] if self.stored is not None else []),
            *self.weights.adapters.values(),
            *self.own_files.objects,
            self.image,
            *(self.cache.resources() if self.cache else ()),
            *(self.observing.resources() if self.observing else ()),
            *self.gateway,
            self.service,
            release(self.google, self.names, self.prove, self.canary),
            *callers(self.google, self.spec, self.names),
            *self.beside_it.resources(),
            *self.warm.resources(),
            *(self.edge.resources() if self.edge else ()),
        ]

    async def _why(self) -> HomeportError:
        return await newest_explained(self.google, self.names.service, self.chosen.engine)

    @property
    def pinned_size(self) -> int:
        return self.chosen.pinned.pin.size if self.chosen.pinned else 0
