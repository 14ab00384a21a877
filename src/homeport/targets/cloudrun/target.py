"""One spec on Cloud Run, in all of its regions, with all that its tables put before and beside the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.fit.cold_start import ColdStart
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google.agent_registry import API as REGISTRY
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service_agent import IAP
from homeport.resources.google.startup_cache import NONE
from homeport.targets.cloudrun.agent.entry_found import FormerEntry
from homeport.targets.cloudrun.api_gateway.gateway import EndpointApiGateway
from homeport.targets.cloudrun.edge.names import EdgeNames
from homeport.targets.cloudrun.graph import CloudRunGraph
from homeport.targets.cloudrun.guard.road import GuardRoad, before_it_serves
from homeport.targets.cloudrun.guard.screen import armored
from homeport.targets.cloudrun.iap.entry import EndpointIap
from homeport.targets.cloudrun.iap.switch import IapSwitch, let_in_first
from homeport.targets.cloudrun.invokers import callers
from homeport.targets.cloudrun.marks import CACHED
from homeport.targets.cloudrun.preflight import PreflightInput, RegistryImage
from homeport.targets.cloudrun.preflight.request import FormerState, OwnSubnetwork
from homeport.targets.cloudrun.regions.in_region import over_regions
from homeport.targets.cloudrun.regions.unnamed import SeenServices
from homeport.targets.cloudrun.service_labels import API_GATEWAY_LABEL, ROAD_LABEL


@dataclass(frozen=True, kw_only=True)
class CloudRunTarget(CloudRunGraph):
    """One spec, served on Cloud Run."""

    told: tuple[Fact, ...] = ()
    """What a plan tells beside what every plan does."""
    notes: tuple[str, ...] = ()
    """What the reader of a plan should know of where it is."""
    seen: SeenServices = field(default_factory=SeenServices, compare=False)
    api_gateway: EndpointApiGateway | None = None
    """What takes clients' keys before the service, which stays as it is without one."""
    iap: EndpointIap | None = None
    """Identity-Aware Proxy before the service."""
    former_iap: FormerState = ""
    """Whether anybody may still come in through Identity-Aware Proxy, which the file wants no more; '' for nobody."""
    former_entry: FormerEntry | None = None
    """The agent's entry in Agent Registry that the file wants no more, where a service says that there was one."""
    switch: IapSwitch | None = None
    """That it is turned on or off for what serves already."""
    road: GuardRoad | None = None
    """What of Google's screens at its load balancer."""
    further: tuple[CloudRunTarget, ...] = ()
    """The same in further regions, in the order in which they follow this one."""

    @property
    def every(self) -> tuple[CloudRunTarget, ...]:
        """Return the target in each region, this one being the first."""
        return (self, *self.further)

    @property
    def more_apis(self) -> tuple[str, ...]:
        """Return the APIs that some tables of the file need besides."""
        gateway = self.api_gateway.apis if self.api_gateway else ()
        own = ((IAP, self.iap), (REGISTRY, self.spec.registers_agent))
        return (*super().more_apis, *gateway, *(api for api, is_used in own if is_used))

    @property
    def callers(self) -> tuple[str, ...]:
        """Return the members that may call the model's service: those of the file, services of the endpoint, its API gateway, and what watches it."""
        watching = self.observing.callers if self.observing else ()
        gateway = (self.api_gateway.member,) if self.api_gateway else ()
        iap = (self.iap.agent,) if self.iap else ()
        return (*self.spec.access.callers, *self.beside_it.callers, *gateway, *watching, *iap)

    @property
    def service(self) -> RestResource:
        """Return the model's service, with labels that tell where its API gateway is, which of Google's roads screens it, and of an entry that is to go."""
        service = super().service
        told = {API_GATEWAY_LABEL: self.api_gateway.region} if self.api_gateway else {}
        told |= {ROAD_LABEL: self.road.guard.where} if self.road else {}
        told |= self.former_entry.labels if self.former_entry else {}
        if not told:
            return service
        labels = {**service.wanted.get("labels", {}), **told}
        return replace(service, wanted={**service.wanted, "labels": labels})

    def resources(self) -> list[Resource]:
        """Return everything that is wanted, as resources: those of all regions."""
        own = [*super().resources(), *(self.api_gateway.resources() if self.api_gateway else ())]
        own = before_it_serves(own, self.road, self.beside_it.callers) if self.road else own
        own = [*self.iap.before_proof(own), *self.iap.resources()] if self.iap else own
        if self.switch:
            own = let_in_first(own, self.names.name, self.foundations.apis.id, self._first)
        if not self.further:
            return own
        there = [(target.names.region, target.resources()) for target in self.further]
        led_by = f"backend-service/{EdgeNames(name=self.names.name).main}"
        return over_regions(self.names.name, own, there, led_by=led_by)

    @property
    def _first(self) -> tuple[str, ...]:
        """Return the grants without which nobody would come in once the proxy is turned on or off; a guarded road lets callers in itself."""
        callers_now = callers(self.google, self.spec, self.names) if self.road is None else ()
        return tuple(grant.id for grant in (self.iap.resources() if self.iap else callers_now))

    def start_of(self, service: Mapping[str, Json]) -> ColdStart:
        """Return the expected cold start of a service as it is: its revision may have been made without a startup cache."""
        marks = service["template"].get("annotations", {})
        return self.cold_start if marks.get(CACHED, NONE) != NONE else self.first_start

    @property
    def agents_secrets(self) -> frozenset[str]:
        """Return the secrets that the agent reads for its tools."""
        return frozenset(self.spec.agent.mcp_secrets.values() if self.spec.agent else ())

    def preflight_input(self) -> PreflightInput:
        """Return what the deployment would ask of Google."""
        access, settings, names = self.spec.access, self.settings, self.names
        return PreflightInput(
            name=names.name,
            project=names.project,
            region=names.region,
            shape=self.shape,
            beside=self.beside_size,
            companions=sum((companion.most for companion in self.companions), CpuAndMemory()),
            egress=self.beside_it.egress,
            bucket=names.bucket,
            repository=names.name,
            max_instances=self.spec.scaling.max,
            min_instances=self.spec.scaling.most_warm,
            warm=bool(self.spec.scaling.warm),
            cached=self.cache is not None,
            zonal_redundancy=settings.zonal_redundancy,
            public=access.public,
            key=self.foundations.key or "",
            isolated=access.isolated,
            edge=self.edge.parts.edge.kind if self.edge else "api-gateway" if self.api_gateway else "",
            observed=self.observing is not None,
            uptime=self.observing is not None and self.observing.probe is not None,
            screened=armored(self.spec.gateway_guard) is not None,
            road=self.road is not None,
            callers=(*access.callers, *access.iap),
            iap=self.iap is not None,
            registered=self.spec.registers_agent,
            former_entry=self.former_entry.state if self.former_entry else "",
            former_iap=self.former_iap,
            network=settings.network or "",
            subnetwork=settings.subnetwork or "",
            own_subnetworks=self._own_subnetworks,
            secret=self.token is not None,
            mounted_secrets=tuple(sorted(self.agents_secrets)) if self.beside_it.led else (),
            gates=self.gates,
            image=self._registry_image,
        )

    @property
    def _own_subnetworks(self) -> tuple[OwnSubnetwork, ...]:
        here = f"/regions/{self.names.region}/"
        return tuple(
            OwnSubnetwork(name=resource.wanted["name"], addresses=resource.wanted["ipCidrRange"])
            for resource in self.resources()
            if isinstance(resource, RestResource)
            and resource.kind == "subnetwork"
            and here in resource.address.path
        )

    @property
    def _registry_image(self) -> RegistryImage | None:
        """Return the image of the model's service, where it is taken from Google's registry as it is."""
        taken = self.image
        if not isinstance(taken, MirroredImage) or taken.through:
            return None
        return RegistryImage(host=taken.host, path=taken.path, tag=taken.tag)
