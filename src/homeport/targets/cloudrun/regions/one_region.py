"""An endpoint on Cloud Run, seen through one door to Google: what `Deployment` asks of this target, in one region."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from homeport import google
from homeport.engines.registry import module
from homeport.errors import GatedModel, HomeportError, NotFound, UnknownModel
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Progress, Silent
from homeport.reconcile.teardown import Teardown
from homeport.resources.google.traffic import Body, Receipt, foremost, latest
from homeport.results import Removal, Rollback, Status
from homeport.secret import Secret, resolve
from homeport.spec import CloudRun, Spec, ensure_no_weights, parse
from homeport.targets.base import Capability, OnResult, UpOptions, VerifyOptions
from homeport.targets.cloudrun import hub_token
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.api_gateway.check import and_more
from homeport.targets.cloudrun.edge.proof import expected_at, with_edge
from homeport.targets.cloudrun.endpoints import describe, ensure_alone, model_and_price, serving_annotations
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.guard.road_target import with_road
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.iap.export import ensure_exported
from homeport.targets.cloudrun.iap.target import with_iap
from homeport.targets.cloudrun.logs import lines_after, logs, starts
from homeport.targets.cloudrun.managed import tables_of
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose, expected_start
from homeport.targets.cloudrun.names import Names, names_of
from homeport.targets.cloudrun.observe.check import (
    ObserveFindings,
    TakenFor,
    look,
    missing_region,
    observe_region,
)
from homeport.targets.cloudrun.observe.target import with_observe, with_uptime
from homeport.targets.cloudrun.regions.same_endpoint import ensure_same, unfiled
from homeport.targets.cloudrun.regions.unnamed import SeenServices
from homeport.targets.cloudrun.released import no_proof, release
from homeport.targets.cloudrun.rollout import CloudRunRollout
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.status_usage import with_usage
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.teardown import ensure_known, take_down
from homeport.targets.cloudrun.verification.access import let_in
from homeport.targets.cloudrun.verification.caller_probe import taken_for
from homeport.targets.cloudrun.verification.checks import check_names
from homeport.targets.cloudrun.verification.cold_start_check import Asleep, and_cold_start
from homeport.targets.cloudrun.verification.expected import refuse_other
from homeport.targets.cloudrun.verification.revision import (
    Expectation,
    Verifier,
    endpoint_of,
    least_instances,
    live,
    receipt_of,
)
from homeport.targets.cloudrun.way_back import WayBack
from homeport.verify import Report
from homeport.verify.check import refuse_unknown

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint

CAPABILITIES = frozenset((
    Capability.AGENT, Capability.CANARY, Capability.COLD_START, Capability.CONTRACT, Capability.EXPORT, Capability.HUB_TOKEN,
    Capability.OBSERVED, Capability.PLACE, Capability.PROXY, Capability.ROLLBACK, Capability.SWAP,
))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CloudRunLifecycle:
    """One file's endpoint on Cloud Run."""

    kind: ClassVar[str] = "cloudrun"
    capabilities: ClassVar[frozenset[Capability]] = CAPABILITIES

    google: Google
    spec: Spec
    spec_file: Path
    via: str
    """A rehearsal's address, which stands in for Cloud Run's own; '' for Google's."""
    token: Secret | None = None
    """The hub's, where it was given; else it is that of the file, or is looked for once the hub wants one."""
    env_token: str = field(default="", repr=False)
    """What stands in the environment for it."""
    ask_token: hub_token.Ask | None = None
    """Asks a person for it."""
    notes: tuple[str, ...] = ()
    """What the reader of a plan should know of where it is."""
    seen: SeenServices = field(default_factory=SeenServices, compare=False)
    by_name: bool = False
    """Whether somebody named it whose file here is another endpoint's, or none."""
    filed: bool = True
    """Whether the spec is that of a file; else it has a name and a region, and what is served is not known from it."""
    first: str = ""
    """The region that this one follows, to which the load balancer belongs; '' where it is the first itself."""

    @property
    def name(self) -> str:
        """Return the endpoint's name."""
        return self.names.name

    @property
    def names(self) -> Names:
        """Return the names of its things."""
        return names_of(self.spec, self.google)

    @property
    def path(self) -> str:
        """Return the service's path in the API."""
        return f"v2/{self.names.service}"

    async def resolve(
        self, options: UpOptions, progress: Progress, on_result: OnResult | None
    ) -> CloudRunRollout:
        """
        Return what the spec comes to, with the hub asked whether it gives what is not in the bucket yet.

        Reads only; weights that no cloud can reach are brought to this machine.
        """
        reports: dict[str, Report] = {}
        graph = await self.graph(
            progress, on_result=on_result, reports=reports, canary=options.canary, asking=True
        )
        return CloudRunRollout(graph, reports)

    async def export(self, kind: str, progress: Progress) -> dict[str, str]:
        """Return what `up` would make as files of another tool, by name. Raises what `homeport.export` raises."""
        from homeport.export import export

        if self.spec.access.iap:
            ensure_exported(kind)
        # What is exported must make all of it where nothing is yet, so weights that lie there already count, too.
        target = await self._with_hub_access(await self.graph(progress), stored_too=True)
        further = tuple(
            replace(each, token=each.token or target.token, moment=None) for each in target.further
        )
        return export(kind, replace(target, further=further, moment=None).resources())

    async def verify(self, options: VerifyOptions, progress: Progress, on_result: OnResult | None) -> Report:
        """
        Return the report of all checks on what serves now, or of those named.

        A start from zero is measured after them: nobody may call it for `idle_s` then, by default as long as Cloud Run
        may keep an idle instance, and two minutes. Raises `NotFound` where nothing is deployed, `StateError` where
        what serves is not what the file says, `HomeportError` for a name that is no check.
        """
        only = options.only
        refuse_unknown(only, check_names(self.spec.task))
        service = await live(self.google, self.path)
        serving = foremost(service) or latest(service)
        graph = await self.graph(Silent())
        expectation = await self._expectation(graph, service, "")
        refuse_other(graph, expectation, serving, await serving_annotations(self.google, service))
        verifier = replace(self._verifier(on_result, only), progress=progress)
        report = await verifier.report(expectation, service, serving)
        report = await and_more(report, verifier, expectation.subject.endpoint, graph)
        if not options.cold:
            return report
        called = (self.google, self.names.region, self.names.name)
        asleep = Asleep(
            endpoint=expectation.subject.endpoint, budget=graph.start_of(service), starts=lambda: starts(*called),
            log=lambda after: lines_after(*called, after), parts=module(graph.chosen.engine).start_times,
            min_instances=least_instances(service), idle=options.idle_s, progress=progress,
            rehearsed=bool(self.via),
        )  # fmt: skip
        return await and_cold_start(report, asleep, on_result=on_result)

    async def roll_back(self, progress: Progress) -> Rollback:
        """
        Give all traffic to the newest verified revision that does not serve.

        Raises `NotFound`; `StateError` where that one would not start any more, would refuse everything, or would answer unscreened,
        and where further regions serve the endpoint, which would be left on the other.
        """
        await ensure_alone(self.google, self.name, await live(self.google, self.path))
        one = replace(release(self.google, self.names, no_proof), ensure_fit=self._way_back.ensure_fit)
        return Rollback(serving=await one.roll_back(), changed=(one.id,))

    async def take_down(
        self, *, purge: bool, approve: Callable[[Teardown], bool], progress: Progress
    ) -> Removal:
        """Remove everything that carries its mark except weights and the hub's token, and these too with `purge`."""
        door, where, tables = self.google, (self.names.region,), tables_of(self.spec)
        gone = await take_down(
            door, self.name, regions=where, tables=tables, purge=purge, approve=approve, progress=progress
        )
        if self.by_name and not gone:
            await ensure_known(door, self.name, regions=where)
        stays = "left: nothing; weights and the hub's token stay, if there are any: --purge removes them"
        return Removal(name=self.name, gone=gone, kept="left: nothing" if purge else stays)

    async def status(self, *, usage: bool = True) -> Status:
        """
        Return what is deployed, found by its mark: also where the file's region has changed since.

        What it was used for is told with `usage`, where metrics can be read. Raises `NotFound` where nothing is, `Incomplete` where that is not known.
        """
        fit = self._way_back.ensure_fit
        status = await describe(self.google, self.name, self.names.region, fit)
        return await with_usage(self.google, status) if usage else status

    async def observed(self) -> ObserveFindings:
        """Return what Cloud Monitoring has of it. Raises `NotFound` where nothing is deployed, `SpecError` without `[observe]`."""
        service = await live(self.google, self.path)
        return await look(
            self.google, (await self.graph(Silent())).observing, service, self._taken_for(service)
        )

    async def observed_in_region(self) -> ObserveFindings:
        """Return what Cloud Monitoring has of it as a further region."""
        try:
            service = await live(self.google, self.path)
        except NotFound as error:
            return missing_region(self.names.region, error)
        observing = (await self.graph(Silent())).observing
        assert observing is not None
        return await observe_region(self.google, observing, service, self._taken_for(service))

    def _taken_for(self, service: Body) -> TakenFor:
        return partial(taken_for, self._endpoint(service))

    async def expected_cold_start(self) -> str:
        """Return how long a start from zero is expected to take, in words; '' where that cannot be told from here."""
        if not self.filed:
            return ""
        try:
            return (await asyncio.to_thread(expected_start, self.spec, self.spec_file)).text
        except HomeportError:
            return ""

    async def endpoint(self) -> Endpoint:
        """Return the endpoint, for the logged-in user. Raises `NotFound` where nothing is deployed."""
        service = await live(self.google, self.path)
        model, usd = await model_and_price(self.google, service)
        own = replace(self._endpoint(service, model=model), usd_per_hour=usd)
        return replace(own, verifier=partial(self._verify_anew, own))

    async def logs(self, *, lines: int | None, follow: bool) -> AsyncIterator[str]:
        """Yield its log, its last `lines` or all."""
        log_lines = logs(self.google, self.names.region, self.names.name, lines=lines, follow=follow)
        async for line in log_lines:
            yield f"{line}\n"

    def with_model(self, model: str) -> CloudRunLifecycle:
        """Return this with another model. Raises `SpecError` where the file says which weights, too."""
        ensure_no_weights(self.spec, model)
        spec = parse({**self.spec.model_dump(), "model": model}, where=str(self.spec_file))
        return replace(self, spec=spec)

    def access(self) -> Mapping[str, str]:
        """Return who may call it: label and words."""
        if self.spec.access.public:
            return {"access": "public: anybody on the internet may use it, and you pay"}
        if self.spec.access.iap:
            return {"access": f"through Identity-Aware Proxy: {', '.join(self.spec.access.iap)}"}
        who = ", ".join(self.spec.access.callers)
        return {"access": f"private: {who or 'owners of the project, and nobody else'}"}

    def next_steps(self) -> str:
        """Return how it is called from here."""
        if self.spec.access.public:
            return "it is public: anybody on the internet may use it, and you pay"
        if self.spec.access.iap:
            return (
                "people open it in a browser, through Identity-Aware Proxy; `homeport proxy`, as a service account that it lets in "
                "(HOMEPORT_IMPERSONATE), opens a local port to it for any OpenAI client"
            )
        return "it is private: `homeport proxy` opens a local port to it for any OpenAI client"

    @property
    def _way_back(self) -> WayBack:
        """Return what looks at an earlier revision before it may serve again."""
        gateway = self.spec.gateway_guard
        road = self.spec.guard if gateway is None else None
        return WayBack(google=self.google, names=self.names, guard=gateway, road=road)

    async def _verify_anew(self, own: Endpoint, asked: Endpoint) -> Report:
        """Verify what serves, through a door of its own. Raises `Unsupported` where `asked` is not what was found, or serves by now."""
        ensure_same(asked, own)
        env = {"HOMEPORT_GOOGLE_URL": self.via} if self.via else {}
        project = (self.spec.cloudrun or CloudRun()).project or ""
        async with await google.from_env({**os.environ, **env}, project=project) as door:
            anew = replace(self, google=door)
            ensure_same(asked, replace(await anew.endpoint(), identity=own.identity))
            return await anew.verify(VerifyOptions(), Silent(), None)

    def _endpoint(self, service: Body, url: str = "", model: str = "") -> Endpoint:
        model_name = model or service["template"].get("annotations", {}).get(f"{ANNOTATION}model", "")
        return endpoint_of(self.google, service, model_name, url=url, via=self.via, task=self.spec.task)

    async def graph(
        self,
        progress: Progress,
        *,
        on_result: OnResult | None = None,
        reports: dict[str, Report] | None = None,
        canary: tuple[int, ...] = (),
        asking: bool = False,
    ) -> CloudRunTarget:
        """
        Return all that is wanted. With `asking` the hub is asked whether it gives what is not in the bucket yet.

        Raises `SpecError` where no file says what is wanted.
        """
        if not self.filed:
            raise unfiled(self.name)
        chosen, token = await self._chosen(progress, self.ask_token if asking else None)

        async def prove(service: Body, revision: str, url: str) -> Receipt:
            expectation = await self._expectation(target, service, url, proving=revision)
            async with let_in(self.google, expectation, service, via=self.via) as expectation:
                report = await self._verifier(on_result).report(expectation, service, revision)
            if reports is not None:
                reports[self.names.region] = report
            return receipt_of(report, service, revision)

        bare_target = CloudRunTarget(
            google=self.google.telling(progress.note), spec=self.spec, spec_file=self.spec_file, chosen=chosen, token=token,
            prove=prove, canary=canary, notes=self.notes, seen=self.seen,
        )  # fmt: skip
        observed = await with_uptime(with_observe(bare_target))
        ready = with_agent(with_gateway(observed))
        ready = await with_iap(ready, changing=asking)
        target = await with_road(await with_edge(ready, prove, via=self.via, first=self.first))
        if asking:
            target = await self._with_hub_access(target)
        return target

    def _verifier(self, on_result: OnResult | None, only: tuple[str, ...] = ()) -> Verifier:
        settings, names = self.spec.cloudrun or CloudRun(), self.names
        return Verifier(
            google=self.google, stranger=names.email(names.builder), network=settings.network or names.name,
            via=self.via, only=only, on_result=on_result,
        )  # fmt: skip

    async def _chosen(
        self, progress: Progress, ask: hub_token.Ask | None
    ) -> tuple[ResolvedModel, HubToken | None]:
        """Return what is served, and the token without which the hub would not even have described it."""

        async def chosen(token: HubToken | None) -> ResolvedModel:
            secret = token.value if token else None
            return await choose(self.spec, self.spec_file, find_home(), progress, self.google, token=secret)

        known_token = self._given_token()
        try:
            return await chosen(known_token), known_token
        except (GatedModel, UnknownModel) as closed:
            if known_token is not None or not closed.url:
                raise
            # The hub's own library has shown the hub the token of the environment.
            async for token in hub_token.offered(self.google, self.names.secret, closed.url, ask=ask):
                with suppress(GatedModel, UnknownModel):
                    return await chosen(token), token
            raise

    async def _with_hub_access(self, target: CloudRunTarget, *, stored_too: bool = False) -> CloudRunTarget:
        """Return the target with the hub's gates, and a token for them; `stored_too` for weights that lie in the bucket, too."""
        gates = await hub_token.gates(target.weights.all, stored_too=stored_too)
        token = target.token
        if token is None and gates:
            token = await hub_token.find(
                self.google, self.names.secret, gates, env=self.env_token, ask=self.ask_token
            )
        value = token.value if token else None
        return replace(target, token=token, gates=tuple(replace(gate, token=value) for gate in gates))

    async def _expectation(
        self, target: CloudRunTarget, service: Body, url: str, proving: str = ""
    ) -> Expectation:
        endpoint = self._endpoint(service, url, target.launch.model)
        return await expected_at(target, endpoint, service, proving)

    def _given_token(self) -> HubToken | None:
        """Return the token that was given by hand, or that the file refers to, whether or not the hub wants it."""
        if self.token is not None:
            return HubToken(value=self.token, source="given through standard input")
        reference = (self.spec.cloudrun or CloudRun()).hub_token
        if not reference:
            return None
        value = resolve(
            reference, key="cloudrun.hub_token", base=self.spec_file.parent, example=hub_token.EXAMPLE
        )
        return HubToken(value=value, source=reference)
