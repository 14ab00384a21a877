"""One spec on Cloud Run: what a plan tells of it, and what is looked at before anything is made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from homeport.catalog.cpu_and_memory import CpuAndMemory
from homeport.catalog.prices import load as load_prices
from homeport.engines.registry import module
from homeport.fit.cold_start import ColdStart
from homeport.home import find_home
from homeport.json_types import Json
from homeport.reconcile import Plan, Resource, make_plan
from homeport.reconcile.fact import Fact
from homeport.resources.google.agent_registry import API as REGISTRY
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service_agent import IAP
from homeport.resources.google.startup_cache import NONE
from homeport.targets.cloudrun import facts
from homeport.targets.cloudrun.agent_entry_found import FormerEntry
from homeport.targets.cloudrun.agent_secrets import unwanted_readers
from homeport.targets.cloudrun.api_gateway import EndpointApiGateway
from homeport.targets.cloudrun.api_gateway_found import unwanted_api_gateway
from homeport.targets.cloudrun.docker_login import login_findings
from homeport.targets.cloudrun.doubts import with_doubts
from homeport.targets.cloudrun.durations import duration_fact
from homeport.targets.cloudrun.edge_backends import FrontEndpoint
from homeport.targets.cloudrun.edge_found import unwanted_parts
from homeport.targets.cloudrun.edge_names import EdgeNames
from homeport.targets.cloudrun.encryption_fact import EncryptionFact
from homeport.targets.cloudrun.former_iap import entrants_of, unwanted_iap, unwanted_ways_in
from homeport.targets.cloudrun.graph import CloudRunGraph
from homeport.targets.cloudrun.guard import armored
from homeport.targets.cloudrun.guard_found import unwanted_screen
from homeport.targets.cloudrun.guard_road import GuardRoad, before_it_serves
from homeport.targets.cloudrun.guard_road_found import unwanted_road
from homeport.targets.cloudrun.iap import EndpointIap
from homeport.targets.cloudrun.iap_fact import IapFact
from homeport.targets.cloudrun.iap_switch import IapSwitch, let_in_first
from homeport.targets.cloudrun.in_region import over_regions, surplus_in
from homeport.targets.cloudrun.invokers import callers, unexpected_invokers
from homeport.targets.cloudrun.left_behind import left_behind
from homeport.targets.cloudrun.marks import CACHED
from homeport.targets.cloudrun.observe_found import settings_in_region, unwanted_observing
from homeport.targets.cloudrun.prebuilt import PREBUILT
from homeport.targets.cloudrun.preflight import Findings, PreflightFinding, PreflightInput, RegistryImage
from homeport.targets.cloudrun.preflight.encryption import key_findings
from homeport.targets.cloudrun.preflight.request import FormerState
from homeport.targets.cloudrun.preflight.run import preflight
from homeport.targets.cloudrun.region_found import before_services, unwanted_regions
from homeport.targets.cloudrun.regions_fact import RegionsFact
from homeport.targets.cloudrun.service_labels import API_GATEWAY_LABEL, ROAD_LABEL, read_labels
from homeport.targets.cloudrun.startup_cache_fact import CacheState, StartupCacheFact
from homeport.targets.cloudrun.startup_cache_found import unwanted_cache
from homeport.targets.cloudrun.template_check import template_findings
from homeport.targets.facts import ModelFact


@dataclass(frozen=True, kw_only=True)
class CloudRunTarget(CloudRunGraph):
    """One spec, served on Cloud Run."""

    told: tuple[Fact, ...] = ()
    """What a plan tells beside what every plan does."""
    notes: tuple[str, ...] = ()
    """What the reader of a plan should know of where it is."""
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

    async def plan(self) -> tuple[Plan, Findings]:
        """Return what `up --on cloudrun` would do, and what was found of that before. Reads only."""
        plan, findings = await asyncio.gather(self._planned(), self._looked())
        if any(action.resource.kind == Release.kind for action in plan.pending):
            findings = Findings((*findings.all, *await self._provable()))
        warnings = [*plan.warnings, *self.notes]
        warnings += [self.chosen.model.note] if self.chosen.model.note else []
        warnings += self._notes_of_further_regions
        warnings += [doubt for adapter in self.chosen.adapters for doubt in adapter.doubts]
        warnings += [f"{finding.subject}: {finding.text}" for finding in findings.warnings]
        if findings.unchecked:
            unseen = ", ".join(finding.subject for finding in findings.unchecked)
            later = any(action.resource.id == self.foundations.apis.id for action in plan.pending)
            when = "; `up` looks again once the APIs are on, before it makes anything else"
            warnings.append(f"not checked: {unseen}{when if later else ''}")
        warnings += self.warm.warnings(self.moment)
        warnings += self.road.warnings() if self.road else ()
        warnings += self.observing.warnings(plan) if self.observing else ()
        warnings += [f"isolated: {self.foundations.isolation}"] if self.spec.access.isolated else []
        return replace(
            plan,
            facts=(*self._facts(findings), *self._startup_cache(plan), *self._duration(plan)),
            warnings=tuple(warnings),
            problems=tuple(
                f"{finding.subject}: {finding.text}\n      do: {finding.hint}"
                for finding in findings.problems
            ),
        ), findings

    def start_of(self, service: Mapping[str, Json]) -> ColdStart:
        """Return the expected cold start of a service as it is: its revision may have been made without a startup cache."""
        marks = service["template"].get("annotations", {})
        return self.cold_start if marks.get(CACHED, NONE) != NONE else self.first_start

    @property
    def _notes_of_further_regions(self) -> list[str]:
        """Return what is to be known of further regions alone."""
        notes: list[str] = []
        for target in self.further:
            region = target.names.region
            notes += [f"{region}: {note}" for note in target.notes if note not in self.notes]
            if target.no_cache and target.no_cache != self.no_cache:
                notes.append(f"{region}: no startup cache: {target.no_cache}")
        return notes

    async def _planned(self) -> Plan:
        surplus = await self.unwanted()
        return with_doubts(await make_plan(self.names.name, "cloudrun", self.resources(), surplus), surplus)

    def _startup_cache(self, plan: Plan) -> tuple[Fact, ...]:
        """Return whether starts use what an earlier one compiled; nothing where nobody asked for that."""
        if self.settings.startup_cache != "auto":
            return ()
        pending = {action.resource.id for action in plan.pending}
        making = [target.estimate for target in self.every if self._cache_of(target) in pending]
        state: CacheState = "to be made" if making else "there" if self.cache else "none"
        return (StartupCacheFact.of(state, self.no_cache, (self.cold_start, self.first_start), making),)

    def _cache_of(self, target: CloudRunTarget) -> str:
        """Return what the startup cache of a region's target is called in the whole; '' where there is none."""
        return (target.cache.resource.id + self._in(target)) if target.cache else ""

    def _in(self, target: CloudRunTarget) -> str:
        """Return the end that ids of a region's own things have in the whole."""
        return "" if target is self else f" in {target.names.region}"

    def _duration(self, plan: Plan) -> tuple[Fact, ...]:
        """Return how long the plan takes; nothing where there is nothing to do."""
        size = self.chosen.published.size or self.pinned_size
        baked = size if self.baked else None
        starts = {self.service.id + self._in(target): target.cold_start for target in self.every}
        starts |= {self._cache_of(target): target.first_start for target in self.every if target.cache}
        return (duration_fact(plan, starts, baked),) if plan.pending else ()

    async def unwanted(self) -> list[Resource]:
        """Return what another state of the file may have made, and what is to go: who may call it, services beside it."""
        invokers = await unexpected_invokers(self.google, self.names, self.callers)
        invokers = self.switch.last(invokers) if self.switch else invokers
        live_labels = await read_labels(self.google, self.names)
        labels = live_labels or {}
        parts = await unwanted_parts(self.google, self.names, self.edge, labels)
        watched = await unwanted_observing(self.google, self.names, self.observing, labels)
        parts += await unwanted_api_gateway(self.google, self.names, self.api_gateway, labels, invokers)
        parts += await unwanted_screen(self.foundations, labels)
        parts += await unwanted_road(
            self.google, self.names, self.road, labels, template=self.foundations.guard, leftovers=parts
        )
        # Who is not named may not come in for the time of a proof, either: all go last where nobody comes in that way any more.
        parts += await unwanted_iap(self.google, self.names, self.iap, labels, last=self.switch is not None)
        if live_labels is None:
            parts += await left_behind(self.foundations, observed=self.observing is not None)
        there = [target.names for target in self.further]
        gone = await unwanted_regions(self.foundations, [names.region for names in there], labels)
        parts = [*before_services(parts, gone), *gone, *await entrants_of(self.google, self.names, gone)]
        # Where there is only no room now, a cache is still wanted, and the account that writes it stays.
        parts += await unwanted_cache(self.google, self.names, there, wanted=self.keeps is not None)
        stays = self.spec.agent is not None
        readers = await unwanted_readers(self.google, self.names, self._agents_secrets, stays=stays)
        beside = [*self.beside_it.unwanted([*invokers, *readers]), *readers]
        beside += [self.former_entry] if self.former_entry else []
        own = [*invokers, *beside, *await self.warm.unwanted(), *parts, *watched, *self.unwanted_grants()]
        return [*own, *await self._unwanted_in_further_regions(labels, own)]

    async def _unwanted_in_further_regions(
        self, labels: Mapping[str, str], own: Sequence[Resource]
    ) -> list[Resource]:
        """
        Return what is to go of the further regions that are wanted, beside what is `own` to the first.

        The `labels` are those of the first one's service: it has what another state of the file wanted before a further one does. Of
        Identity-Aware Proxy each region's own service tells, since its label goes by itself.
        """
        gone: list[Resource] = []
        for target in self.further:
            surplus = [
                *await unwanted_ways_in(self.google, target.names, target.callers, target.iap, target.switch),
                *target.unwanted_grants(),
                *await unwanted_screen(target.foundations, labels),
                *await target.warm.unwanted(),
                *([] if target.observing else settings_in_region(self.google, target.names, labels)),
            ]
            gone += surplus_in(target.names.region, surplus, [*self.resources(), *own, *gone])
        return gone

    def unwanted_grants(self) -> list[Resource]:
        """Return what lets builds read the bucket, where none does any more."""
        wanted_ids = {resource.id for resource in self.resources()}
        return [
            grant for grant in replace(self.foundations, baked=True).grants() if grant.id not in wanted_ids
        ]

    @property
    def _agents_secrets(self) -> frozenset[str]:
        return frozenset(self.spec.agent.mcp_secrets.values() if self.spec.agent else ())

    async def preflight(self) -> Findings:
        """Return what can be known before anything is created, and a revision proven. Reads only, raises nothing."""
        return Findings((*(await self._looked()).all, *await self._provable()))

    async def _provable(self) -> list[PreflightFinding]:
        """Return whether a revision can be proven; nothing where nothing has to be signed for that."""
        return await self.iap.findings() if self.iap else []

    async def _looked(self) -> Findings:
        """Return what can be known before anything is created, of all but a proof."""
        asked = [target.preflight_input() for target in self.every]
        findings = await preflight(self.google, asked[0])
        for there in asked[1:]:
            findings = findings.and_in(there.region, await preflight(self.google, there))
        front = FrontEndpoint.of(self.spec, self.launch.model)
        more = (*login_findings(self.settings, self.names.project),)
        more += tuple(await key_findings(self.google, findings, asked))
        engine, root = module(self.chosen.engine), find_home().root
        more += await template_findings(self.chosen.model, self.spec, engine, root)
        more += await self.api_gateway.findings() if self.api_gateway else ()
        more += tuple(self.road.findings()) if self.road else ()
        iaps = [target.iap for target in self.every if target.iap]
        more += tuple(await iaps[0].looked_at(findings, iaps[1:])) if iaps else ()
        return Findings((*findings.all, *more, *(await self.edge.looked_at(front) if self.edge else ())))

    def _facts(self, findings: Findings) -> Iterator[Fact]:
        settings, model = self.spec.engine, self.chosen.model
        size = self.chosen.published.size or self.pinned_size
        estimate, best = self.estimate, self.estimate.best
        assert best is not None
        library = f"{self.chosen.tag} of {module(self.chosen.engine).TITLE}'s library"
        yield facts.ProjectFact(project=self.google.project, region=self.names.region)
        yield ModelFact(title=model.title, licence=model.licence)
        yield facts.ImageFact(name=self.chosen.engine, image=self.base)
        yield facts.WeightsFact(delivery=self.delivery, source=self.stored.uri if self.stored else library)
        if self.weights.adapters:
            yield facts.AdaptersFact(
                sources={name: adapter.uri for name, adapter in self.weights.adapters.items()}
            )
        yield facts.InstanceFact(
            gpu=self.shape.gpu,
            cpu=estimate.size.cpu,
            memory_gib=estimate.size.memory_gib,
            min_instances=self.spec.scaling.min,
            max_instances=self.spec.scaling.max,
            target_concurrency=self.spec.scaling.target_concurrency,
            target_cpu=self.spec.scaling.target_cpu,
        )
        yield facts.concurrency_of(best, settings.context)
        if findings.quotas:
            yield facts.QuotasFact(found=findings.quotas)
        if self.token:
            yield facts.HubTokenFact(source=self.token.source, secret=self.names.secret)
        yield facts.PriceFact.of(estimate, self.spec.scaling.min)
        yield from self._warm_hours()
        # Each region has its own.
        stored_bytes = 0 if self.delivery == PREBUILT else size * (1 + len(self.further))
        yield facts.StayingFact.of(load_prices(), self.foundations.zones, stored_bytes, baked=self.baked)
        yield facts.ColdStartFact.of(self.cold_start)
        yield from self._who_calls()
        yield from self.told
        yield from self.road.facts() if self.road else ()
        yield from self.edge.facts(load_prices(), screens=self.road is not None) if self.edge else ()
        yield from self.api_gateway.facts(load_prices()) if self.api_gateway else ()
        if self.further:
            priced = [(target.names.region, target.estimate) for target in self.every]
            yield RegionsFact.of(priced, self.spec.scaling.min)
        yield from self.observing.facts(load_prices()) if self.observing else ()
        keys = {target.names.region: target.foundations.key for target in self.every}
        yield from (*EncryptionFact.of(keys), *facts.of_companions(self.companions, self.names))

    def _who_calls(self) -> Iterator[Fact]:
        yield facts.CallersFact(public=self.spec.access.public, callers=self.callers)
        if self.iap:
            address = self.edge.address if self.edge else ""
            yield IapFact(members=self.iap.members, agent=self.iap.agent, address=address)

    def _warm_hours(self) -> Iterator[Fact]:
        """Yield what warm hours cost, in all regions together; nothing without any."""
        scaling, every = self.spec.scaling, [target.estimate for target in self.every]
        if scaling.warm and (hours := scaling.warm_hours) is not None:
            yield facts.WarmFact.of(every, scaling.warm, hours, self.moment)

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
            secret=self.token is not None,
            mounted_secrets=tuple(sorted(self._agents_secrets)) if self.beside_it.led else (),
            gates=self.gates,
            image=self._registry_image,
        )

    @property
    def _registry_image(self) -> RegistryImage | None:
        """Return the image of the model's service, where it is taken from Google's registry as it is."""
        taken = self.image
        if not isinstance(taken, MirroredImage) or taken.through:
            return None
        return RegistryImage(host=taken.host, path=taken.path, tag=taken.tag)
