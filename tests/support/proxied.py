"""Who deploys a service behind Identity-Aware Proxy, or one that stood there until now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from cloud import Raw, act
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import OWNER, Cloud
from homeport import spec
from homeport.google import Binding, IamResource, policy
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, apply
from homeport.targets.cloudrun.iap.entry import EndpointIap
from homeport.targets.cloudrun.iap.target import with_iap
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.plan import plan_of
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.permissions import needs
from homeport.targets.cloudrun.target import CloudRunTarget

TEAM, ROBOT = "group:team@example.com", "serviceAccount:robot@p.iam.gserviceaccount.com"
AGENT = "serviceAccount:service-481516234200@gcp-sa-iap.iam.gserviceaccount.com"
SERVICE = "projects/rehearsal/locations/europe-west4/services/home"
WEB = "projects/rehearsal/iap_web/cloud_run-europe-west4/services/home"


def behind_iap(target: CloudRunTarget) -> CloudRunTarget:
    """The target with the proxy of its file, whose account nobody is asked for; as it is where the file wants none."""
    members = target.spec.access.iap
    if not members:
        return target
    iap = EndpointIap(google=target.google, names=target.names, agent=AGENT, members=members)
    return replace(target, iap=iap, further=tuple(behind_iap(there) for there in target.further))


class Proxied(Deployer):
    """Deploys a service that stands behind the proxy where the file says so."""

    async def finished(self, target: CloudRunTarget) -> CloudRunTarget:
        return await with_iap(target, changing=True)

    def through(self, *members: str) -> spec.Spec:
        access = {"iap": list(members)} if members else {"callers": ["user:friend@example.com"]}
        return spec.parse({**self.wanted().model_dump(), "access": access})

    def made(self, wanted: spec.Spec) -> CloudRunTarget:
        """What a plan of that file is made of."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
        return act(self.finished(self.target(google_for(self.cloud), chosen, wanted)))

    def planned(self, wanted: spec.Spec) -> tuple[set[str], set[str]]:
        """What kinds of things a plan would change, and what it has found a problem."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

        async def work() -> tuple[set[str], set[str]]:
            target = await self.finished(self.target(google_for(self.cloud), chosen, wanted))
            plan, findings = await plan_of(target)
            kinds = {action.resource.kind for action in plan.pending}
            return kinds, {finding.subject for finding in findings.problems}

        return act(work())

    def members(self, api: str, name: str) -> dict[str, list[str]]:
        bindings = self.cloud.access.policy(api, name).get("bindings", [])
        return {one["role"].removeprefix("roles/"): sorted(one["members"]) for one in bindings}

    def looked_by(
        self, caller: str, wanted: spec.Spec, *, up: bool = False
    ) -> tuple[Plan, dict[str, PreflightFinding], frozenset[str]]:
        """What one plans, who finds that before, and which rights that asks for; with `up` it is applied, too."""
        chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))

        async def work() -> tuple[Plan, dict[str, PreflightFinding], frozenset[str]]:
            google = google_for(self.cloud, caller=caller)
            target = await self.finished(self.target(google, chosen, wanted))
            plan, findings = await plan_of(target)
            if up:
                await apply(plan, Silent())
            asked = target.preflight_input().needs
            rights = frozenset(right for name in asked for right in needs()[name].permissions)
            return plan, {finding.subject: finding for finding in findings.all}, rights

        return act(work())

    def allow(self, caller: str, rights: Iterable[str]) -> None:
        """Let an account have these rights on the project, too."""
        allow(self.cloud, caller, rights)

    def rights_asked_for(self, wanted: spec.Spec) -> frozenset[str]:
        """The permissions that a plan of that file wants of whoever deploys it, as things are now."""
        return self.looked_by(OWNER, wanted)[2]


def allow(cloud: Cloud, caller: str, rights: Iterable[str]) -> None:
    """Let an account have these rights on a cloud's project, too."""
    name = f"r{len(cloud.log)}"

    async def grant() -> None:
        roles = "iam.googleapis.com/v1/projects/rehearsal/roles"
        role = {"title": name, "includedPermissions": sorted(rights), "stage": "GA"}
        made = await Raw(cloud).send("POST", roles, {"roleId": name, "role": role})
        assert made.status == 200, made.body
        async with google_for(cloud) as google:
            project = IamResource(api="cloudresourcemanager", path="v3/projects/rehearsal")
            binding = Binding(role=f"projects/rehearsal/roles/{name}", members=(f"user:{caller}",))
            await policy.grant(google, project, [binding])

    act(grant())
