"""What a user does with an endpoint on Cloud Run: plan, up, status, verify, swap, roll back, down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeport import google
from homeport.errors import (
    ApprovalDeclined,
    GatedModel,
    HomeportError,
    OperationFailed,
    SpecError,
    UnknownModel,
)
from homeport.google import Google
from homeport.home import find_home
from homeport.naming import load_named
from homeport.progress import Progress, Silent
from homeport.reconcile import Cancellation, Plan, apply, patient
from homeport.resources.google.traffic import Body, Receipt, foremost, latest
from homeport.secret import Secret, resolve
from homeport.spec import CloudRun, Spec
from homeport.targets.cloudrun import hub_token
from homeport.targets.cloudrun.checks import CLOUD_CHECKS
from homeport.targets.cloudrun.cold_start_check import Asleep, and_cold_start
from homeport.targets.cloudrun.diagnosis import cause
from homeport.targets.cloudrun.endpoints import describe, serving_annotations
from homeport.targets.cloudrun.expected import promise_of, refuse_other
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.logs import logs, starts
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose, expected_start
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight import Findings
from homeport.targets.cloudrun.service_spec import ANNOTATION
from homeport.targets.cloudrun.target import CloudRunTarget, names_of, release
from homeport.targets.cloudrun.teardown import Approve, take_down
from homeport.targets.cloudrun.verification import (
    Expectation,
    Verifier,
    endpoint_of,
    least_instances,
    live,
    receipt_of,
)
from homeport.verify import CHECKS, Report
from homeport.verify.check import OnResult, refuse_unknown

if TYPE_CHECKING:
    from homeport.endpoint import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """What `up --on cloudrun` came to."""

    endpoint: Endpoint
    plan: Plan
    changed: tuple[str, ...]
    """Ids of what was made or changed."""
    report: Report | None
    """Of the new revision; None where nothing had to be released."""
    public: bool
    """Whether anybody may call it."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """One file's endpoint on Cloud Run, seen through one door."""

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

    @property
    def names(self) -> Names:
        """What its things are called."""
        return names_of(self.spec, self.google)

    @property
    def path(self) -> str:
        """Of the service."""
        return f"v2/{self.names.service}"

    async def plan(self, *, progress: Progress | None = None) -> tuple[Plan, Findings]:
        """
        What `up` would do, and what was found of that before.

        Reads only; weights that no cloud can reach are brought to this machine.
        """
        return await (await self._target(progress or Silent(), asking=True)).plan()

    async def up(
        self,
        *,
        approve: Callable[[Plan], bool] = lambda _: True,
        progress: Progress | None = None,
        on_result: OnResult | None = None,
        canary: tuple[int, ...] = (),
    ) -> Up:
        """
        Make it so: what is missing is made, a new revision is verified without traffic, then it serves.

        Raises what stands in the way, all of it at once, before anything is made.
        """
        progress = progress or Silent()
        reports: list[Report] = []
        wanted = await self._target(
            progress, on_result=on_result, reports=reports, canary=canary, asking=True
        )
        plan, findings = await wanted.plan()
        if plan.pending:
            findings.stop()
        if plan.pending and not approve(plan):
            raise ApprovalDeclined("nothing was changed")
        changed: Mapping[str, float] = {}
        if plan.pending:
            try:
                async with patient(progress) as halt:
                    changed = await self._look_again(wanted, plan, findings, progress, halt)
                    changed = {**changed, **(await apply(plan, progress, halt)).seconds}
            except OperationFailed as error:
                raise await cause(self.google, self.names.service, error, wanted.chosen.engine) from error
        service = await live(self.google, self.path)
        return Up(
            endpoint=self._endpoint(service),
            plan=plan,
            changed=tuple(changed),
            report=reports[-1] if reports else None,
            public=self.spec.access.public,
        )

    async def _look_again(
        self, wanted: CloudRunTarget, plan: Plan, before: Findings, progress: Progress, halt: Cancellation
    ) -> Mapping[str, float]:
        """
        In a new project nothing can be seen before its APIs are on: they go on first, since they cost nothing.

        Raises what stands in the way, before anything else is made.
        """
        apis = tuple(action for action in plan.pending if action.resource.id == "apis")
        if not apis or not before.unchecked:
            return {}
        changed = (await apply(replace(plan, actions=apis), progress, halt)).seconds
        (await wanted.preflight()).stop()
        return changed

    async def exported(self, kind: str, *, progress: Progress | None = None) -> dict[str, str]:
        """What `up` would make, as files of another tool, by name. Raises what `export` raises."""
        from homeport.export import export

        # What is exported must make all of it where nothing is yet, so weights that lie there already count, too.
        target = await self._asked(await self._target(progress or Silent()), anew=True)
        return export(kind, target.resources())

    async def verify(
        self,
        *,
        only: tuple[str, ...] = (),
        cold: bool = False,
        idle: float | None = None,
        progress: Progress | None = None,
        on_result: OnResult | None = None,
    ) -> Report:
        """
        The report of all checks on what serves now, or of those named in `only`.

        With `cold`, a start from zero is measured after them: nobody may call it for `idle` seconds then, by default
        as long as Cloud Run may keep an idle instance, and two minutes. Raises `NotFound` where nothing is deployed,
        `StateError` where what serves is not what the file says, `HomeportError` for a name that is no check.
        """
        refuse_unknown(only, [*(check.name for check in CHECKS), *(check.name for check in CLOUD_CHECKS)])
        service = await live(self.google, self.path)
        serving = foremost(service) or latest(service)
        wanted = await self._target(Silent())
        promise = await self._promise(wanted, service, "")
        refuse_other(wanted, promise, serving, await serving_annotations(self.google, service))
        verifier = replace(self._verifier(on_result, only), progress=progress or Silent())
        report = await verifier.report(promise, service, serving)
        if not cold:
            return report
        asleep = Asleep(
            endpoint=promise.subject.endpoint,
            starts=lambda: starts(self.google, self.names.region, self.names.name),
            budget=wanted.cold_start,
            min_instances=least_instances(service),
            idle=idle,
            progress=progress or Silent(),
        )
        return await and_cold_start(report, asleep, on_result=on_result)

    async def roll_back(self) -> str:
        """All traffic on the newest verified revision that does not serve; its name. Raises `NotFound`."""

        async def unasked(_: Body, revision: str, __: str) -> Receipt:
            raise HomeportError(f"{revision} was verified before")

        await live(self.google, self.path)
        return await release(self.google, self.names, unasked).roll_back()

    async def down(
        self, *, purge: bool = False, approve: Approve | None = None, progress: Progress | None = None
    ) -> tuple[str, ...]:
        """Take away everything of it, but for weights and the hub's token, unless `purge`: see `take_down`."""
        return await take_down(
            self.google,
            self.names.name,
            regions=(self.names.region,),
            purge=purge,
            approve=approve,
            progress=progress or Silent(),
        )

    async def status(self) -> dict[str, Any]:  # Any: JSON
        """
        What is deployed, as JSON, found by its mark: also where the file's region has changed since.

        Raises `NotFound` where nothing is, `Incomplete` where that is not known.
        """
        return await describe(self.google, self.names.name, self.names.region)

    async def cold_start(self) -> str:
        """How long a start from zero is expected to take, in words; '' where that cannot be told from here."""
        try:
            return (await asyncio.to_thread(expected_start, self.spec, self.spec_file)).text
        except HomeportError:
            return ""

    async def connect(self) -> Endpoint:
        """The endpoint, for whoever is logged in. Raises `NotFound` where nothing is deployed."""
        service = await live(self.google, self.path)
        return self._endpoint(
            service, model=(await serving_annotations(self.google, service)).get(f"{ANNOTATION}model", "")
        )

    def logs(self, *, lines: int, follow: bool) -> AsyncIterator[str]:
        """The lines of its log."""
        return logs(self.google, self.names.region, self.names.name, lines=lines, follow=follow)

    def with_model(self, model: str) -> Deployment:
        """The same, serving another model. Raises `SpecError` where the file says which weights, too."""
        from homeport.spec import parse

        if self.spec.weights is not None:
            said = f"the file names weights, {self.spec.weights}, which would be served as {model}"
            raise SpecError(said, hint="take `weights` out of the file, then swap")
        spec = parse({**self.spec.model_dump(), "model": model}, where=str(self.spec_file))
        return replace(self, spec=spec)

    def _endpoint(self, service: Body, url: str = "", model: str = "") -> Endpoint:
        model = model or service["template"].get("annotations", {}).get(f"{ANNOTATION}model", "")
        return endpoint_of(self.google, service, model, url=url, via=self.via)

    async def _target(
        self,
        progress: Progress,
        *,
        on_result: OnResult | None = None,
        reports: list[Report] | None = None,
        canary: tuple[int, ...] = (),
        asking: bool = False,
    ) -> CloudRunTarget:
        """All that is wanted. With `asking` the hub is asked whether it gives what is not in the bucket yet."""
        chosen, token = await self._chosen(progress, self.ask_token if asking else None)

        async def prove(service: Body, revision: str, url: str) -> Receipt:
            promise = await self._promise(target, service, url)
            report = await self._verifier(on_result).report(promise, service, revision)
            if reports is not None:
                reports.append(report)
            return receipt_of(report, service, revision)

        target = CloudRunTarget(
            google=self.google,
            spec=self.spec,
            spec_file=self.spec_file,
            chosen=chosen,
            token=token,
            prove=prove,
            canary=canary,
        )
        if asking:
            target = await self._asked(target)
        return target

    def _verifier(self, on_result: OnResult | None, only: tuple[str, ...] = ()) -> Verifier:
        settings, names = self.spec.cloudrun or CloudRun(), self.names
        return Verifier(
            google=self.google,
            stranger=names.email(names.builder),
            network=settings.network or names.name,
            via=self.via,
            only=only,
            on_result=on_result,
        )

    async def _chosen(
        self, progress: Progress, ask: hub_token.Ask | None
    ) -> tuple[ResolvedModel, HubToken | None]:
        """What is served, and the token without which the hub would not even have described it."""

        async def chosen(token: HubToken | None) -> ResolvedModel:
            secret = token.value if token else None
            return await choose(self.spec, self.spec_file, find_home(), progress, self.google, token=secret)

        given = self._given()
        try:
            return await chosen(given), given
        except (GatedModel, UnknownModel) as closed:
            if given is not None or not closed.url:
                raise
            # That of the environment was shown to the hub by the hub's own library.
            async for token in hub_token.offered(self.google, self.names.secret, closed.url, ask=ask):
                with suppress(GatedModel, UnknownModel):
                    return await chosen(token), token
            raise

    async def _asked(self, target: CloudRunTarget, *, anew: bool = False) -> CloudRunTarget:
        """The same with the hub's gates, and a token for them; `anew` as if no weights were in the bucket yet."""
        gates = await hub_token.gates(target.weights.all, anew=anew)
        token = target.token
        if token is None and gates:
            token = await hub_token.find(
                self.google, self.names.secret, gates, env=self.env_token, ask=self.ask_token
            )
        value = token.value if token else None
        return replace(target, token=token, gates=tuple(replace(gate, token=value) for gate in gates))

    async def _promise(self, target: CloudRunTarget, service: Body, url: str) -> Expectation:
        return await promise_of(target, self._endpoint(service, url, target.launch.model))

    def _given(self) -> HubToken | None:
        """The token that was given by hand, or that the file refers to: it is kept whether or not the hub wants it."""
        if self.token is not None:
            return HubToken(value=self.token, source="given through standard input")
        reference = (self.spec.cloudrun or CloudRun()).hub_token
        if not reference:
            return None
        value = resolve(reference, key="cloudrun.hub_token", base=self.spec_file.parent)
        return HubToken(value=value, source=reference)


@asynccontextmanager
async def deployment(
    file: Path,
    *,
    env: Mapping[str, str] | None = None,
    token: Secret | None = None,
    ask_token: hub_token.Ask | None = None,
) -> AsyncIterator[Deployment]:
    """
    The endpoint of `file` on Cloud Run, for whoever is logged in.

    `env` is the environment by default; `token` is the hub's, and `ask_token` is called once the hub wants one that
    nobody has given. Raises `SpecError`, `NoCredentials`.
    """
    env = os.environ if env is None else env
    spec_file = await asyncio.to_thread(file.absolute)
    spec = await asyncio.to_thread(load_named, spec_file)
    project = (spec.cloudrun or CloudRun()).project or ""
    async with await google.from_env(env, project=project) as door:
        yield Deployment(
            google=door,
            spec=spec,
            spec_file=spec_file,
            via=env.get("HOMEPORT_GOOGLE_URL", ""),
            token=token,
            env_token=env.get(hub_token.VARIABLE, ""),
            ask_token=ask_token,
        )


__all__ = ["Deployment", "Up", "deployment"]
