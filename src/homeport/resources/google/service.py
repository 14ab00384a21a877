"""A Cloud Run service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeport.backoff import Backoff
from homeport.catalog.cloudrun import gpu
from homeport.errors import HomeportError, OperationFailed, PermissionDenied, QuotaExceeded
from homeport.google import Google
from homeport.google.quotas import request_command
from homeport.json_types import Json
from homeport.progress import Progress
from homeport.reconcile import Change, Outputs
from homeport.reconcile.diff import Rules
from homeport.resources.google.propagation import patient, while_it_spreads
from homeport.resources.google.rest import LABEL, Address, RestResource
from homeport.resources.google.traffic import BACK_DOOR, BEHIND, EDGE, EDGE_KIND, Body, pinned, to_latest

ROLE = "homeport-role"
"""The label that says what a service is to its endpoint; the model's has none, as those of older versions."""
Explain = Callable[[], Awaitable[HomeportError]]
_POLL_S = 2.0
DEADLINE_S = 2400.0
"""Longer than the longest startup probe of a GPU service (30 minutes), with time to pull its image."""
# Of launchStage run.v2 reads back the stage that is really used: GA for BETA, where nothing is in preview.
RULES = Rules(
    keys={"traffic": "tag"},
    unread=frozenset({"launchStage"}),
    references=frozenset(
        {
            "template.vpcAccess.networkInterfaces[].network",
            "template.vpcAccess.networkInterfaces[].subnetwork",
            "template.containers[].env[].valueSource.secretKeyRef.secret",
            "template.volumes[].secret.secret",
        }
    ),
    defaults={"ingress": "INGRESS_TRAFFIC_ALL", "defaultUriDisabled": False},
)
_NO_GPU = "A project on the free trial gets none; another region may have some: `homeport fit` lists them"
_OURS = ("customAudiences", "defaultUriDisabled")
"""
What a change takes back where it is wanted no more; the latter only where no load balancer stands before the service, which
is what closes it. launchStage is not: a stage too low would refuse what others have
set beside it, one too high hurts nothing.
"""


class ServiceRole(StrEnum):
    """What a service is to its endpoint. Only the model's is the endpoint; all others are parts of it."""

    MODEL = "model"
    AGENT = "agent"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceIdentity:
    """Which service of which endpoint."""

    endpoint: str
    """What its label says."""
    region: str
    name: str = ""
    """Its own; '' for the endpoint's, which is that of the model's service."""
    role: ServiceRole = ServiceRole.MODEL
    released: bool = False
    """Whether a `Release` says who serves. Else its newest revision has all traffic as soon as it is ready."""
    has_edge: bool = False
    """Whether a load balancer stands before it, and a `ClosedDoor` says from where requests come."""

    @property
    def own_name(self) -> str:
        """Return what it is called."""
        return self.name or self.endpoint

    @property
    def labels(self) -> Mapping[str, str]:
        """Return the labels by which it is found."""
        role = {} if self.role == ServiceRole.MODEL else {ROLE: self.role.value}
        return {LABEL: self.endpoint, **role}


def tell_once(google: Google, wait: Backoff) -> None:
    """Tell once what is waited for, and for how long at most."""
    if not wait.told:
        wait.told = True
        google.note(
            f"waiting for {wait.what}: a change of it is under way, {wait.within / 60:.0f} min at most"
        )


def role_of(live: Body) -> str:
    """Return the role of a live service: that of its label, which a later version may have written; else the model's."""
    return str(live.get("labels", {}).get(ROLE) or ServiceRole.MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service(RestResource):
    """
    A service. A change makes a new revision, and what serves goes on serving where that does not start.

    Where a `Release` says who serves, the new revision comes up without traffic and under a tag; else `wanted` has the
    traffic.
    """

    role: str = ServiceRole.MODEL
    has_edge: bool = False
    """Whether a `ClosedDoor` says from where requests come. Else whatever one has closed is opened by the next change."""
    explain: Explain | None = None
    """
    Why the newest revision did not come up. A container that lacked a permission is begun again while grants spread:
    what a mount lacks Google tells by itself, what a program lacks stands in its log alone.
    """

    async def read(self) -> Json | None:
        """Return what is live, once nobody's change is under way any more."""
        wait = Backoff(what=f"{self.id} to settle", within=self.deadline, first=_POLL_S)
        while True:
            live = await self.read_at_once()
            if live is None or not live.get("reconciling"):
                return live
            tell_once(self.google, wait)
            if not await wait.pause():
                return live

    async def read_at_once(self) -> Json | None:
        """Return what is live, also while a change of it is under way."""
        return await RestResource.read(self)

    @property
    def own_name(self) -> str:
        """Return what it is called, which is not always what its endpoint is."""
        return self.address.path.rpartition("/")[2]

    @property
    def region(self) -> str:
        """Return where it is."""
        return self.address.path.split("/")[4]

    def diff(self, live: Json, outputs: Outputs) -> tuple[Change, ...]:
        """Return how live differs, a newest revision that did not start included."""
        ended = live.get("terminalCondition", {})
        failed = ended.get("state") == "CONDITION_FAILED"
        why = (Change(path="state", before=f"failed: {ended.get('message', '')}", after="ready"),)
        return (*RestResource.diff(self, live, outputs), *(why if failed else ()))

    def unchanged_after_update(self, live: Json) -> Json | None:
        """Return its name and addresses, which stay: a change makes another revision."""
        return {key: live[key] for key in ("name", "uri", "urls") if key in live}

    async def create(self, outputs: Outputs, progress: Progress) -> Json:
        """Deploy it, and wait until its revision is ready."""
        return await self._deploy(None, outputs, progress)

    async def update(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        """Deploy the change, and wait until its revision is ready."""
        return await self._deploy(live, outputs, progress)

    async def _deploy(self, live: Json | None, outputs: Outputs, progress: Progress) -> Json:
        tried = False

        async def deploy() -> Json:
            nonlocal live, tried
            # A try that failed leaves the service as we want it, with a revision that does not start.
            leftover = await self.read() if tried else None
            if leftover is not None and not RestResource.diff(self, leftover, outputs):
                live = leftover
            tried = True
            try:
                if live is None:
                    return await RestResource.create(self, outputs, progress)
                return await self._revise(live, outputs, progress)
            except QuotaExceeded as error:
                error.hint = await self._request_for_gpu(error) or error.hint
                raise
            except OperationFailed as error:
                raise await self._lacked(error) from error

        return await while_it_spreads(deploy, outputs, self.needs)

    async def _request_for_gpu(self, error: QuotaExceeded) -> str:
        """Return what to do where Google gives no GPU: the exact request; '' for another quota."""
        template = self.wanted.get("template", {})
        accelerator = gpu(str(template.get("nodeSelector", {}).get("accelerator", "")))
        if accelerator is None or "gpu" not in str(error).lower():
            return ""
        quota = accelerator.quota["no-zonal" if template.get("gpuZonalRedundancyDisabled") else "zonal"]
        most = int(template.get("scaling", {}).get("maxInstanceCount") or 1)
        try:
            email = await self.google.credentials.who()
        except HomeportError:
            email = ""
        ask = request_command(
            project=self.google.project,
            region=self.region,
            quota=quota,
            value=most * accelerator.quota_unit,
            why=f"{most} instances of {accelerator.title}",
            email=email,
        )
        return f"ask for it: {ask}; then run the same command again: it goes on from what is there. {_NO_GPU}"

    async def _lacked(self, error: OperationFailed) -> HomeportError:
        """Return what to raise instead: what the container lacked, where it ended for want of a permission."""
        try:
            cause = await self.explain() if self.explain is not None else error
        except HomeportError:
            return error
        return cause if isinstance(cause, PermissionDenied) else error

    async def _revise(self, live: Json, outputs: Outputs, progress: Progress) -> Json:
        query = {} if RestResource.diff(self, live, outputs) else {"forceNewRevision": "true"}
        google = patient(self.google, outputs, self.needs)
        annotations = {"annotations": self._foreign_annotations(live)} if live.get("annotations") else {}
        desired = self._body(outputs)
        labels = {**live.get("labels", {}), **desired["labels"]}
        body = {**desired, **annotations, "labels": labels, "traffic": desired.get("traffic") or pinned(live)}
        # What others have set beside it stays: without a mask the rest would be taken back.
        masked = {"customAudiences"} if self.has_edge else set(_OURS)
        query["updateMask"] = ",".join(sorted({*body, *masked}))
        changed = await google.patch("run", self.address.path, {**body, "etag": live["etag"]}, **query)
        return await self._settled(changed, progress)

    def _foreign_annotations(self, live: Json) -> dict[str, str]:
        """Return the annotations that others have written; a door that is opened leaves none."""
        gone = frozenset[str]() if self.has_edge else frozenset((EDGE, BACK_DOOR, BEHIND, EDGE_KIND))
        return {key: value for key, value in live["annotations"].items() if key not in gone}


def service(
    google: Google,
    identity: ServiceIdentity,
    body: Mapping[str, Json],
    *,
    after: tuple[str, ...] = (),
    explain: Explain | None = None,
) -> Service:
    """
    Return the service of that identity; `body` is Google's, with `Ref`s where values are known later.

    `explain` is asked why its newest revision did not come up.
    """
    parent, name = f"v2/projects/{google.project}/locations/{identity.region}/services", identity.own_name
    traffic = {} if identity.released else {"traffic": to_latest()}
    return Service(
        google=google,
        name=identity.endpoint,
        role=identity.role,
        has_edge=identity.has_edge,
        id=f"service/{name}",
        kind="service",
        address=Address(api="run", path=f"{parent}/{name}", made_at=parent, query={"serviceId": name}),
        wanted={**body, **traffic, "labels": {**body.get("labels", {}), **identity.labels}},
        after=after,
        rules=RULES,
        deadline=DEADLINE_S,
        explain=explain,
    )
