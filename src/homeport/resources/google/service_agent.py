"""A grant for an account by which one of Google's own services acts in a project."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from homeport.errors import PermissionDenied
from homeport.google import Google
from homeport.progress import Progress
from homeport.reconcile import Outputs
from homeport.resources.google.iam_binding import Grant

IAP, MONITORING, NETWORK_SERVICES = "iap", "monitoring", "networkservices"
_DOMAINS = {IAP: "gcp-sa-iap", MONITORING: "gcp-sa-monitoring-notification", NETWORK_SERVICES: "gcp-sa-dep"}
"""Where a service's account lives: of Cloud Monitoring that is what its uptime checks call as, of Network Services what extensions do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentGrant(Grant):
    """A role for such an account, which Google makes only once somebody asks for it."""

    agent_of: str
    """The service, such as `monitoring`."""

    async def create(self, outputs: Outputs, progress: Progress) -> Any:  # Any: a Spreading
        """Let Google make the account, where it is not there, and add it to the policy."""
        path = f"v1beta1/projects/{self.google.project}/services/{self.agent_of}.googleapis.com:generateServiceIdentity"
        with suppress(
            PermissionDenied
        ):  # It may be there all the same; where it is not, the policy is refused.
            await self.google.post("serviceusage", path, {}, repeatable=True)
        return await Grant.create(self, outputs, progress)


async def agent(google: Google, service: str) -> str:
    """Return that account as policies name it. The project's number is asked of the one API that is always on."""
    answer = await google.get(
        "serviceusage", f"v1/projects/{google.project}/services/{service}.googleapis.com"
    )
    number = str(answer["name"]).split("/")[1]
    return f"serviceAccount:service-{number}@{_DOMAINS[service]}.iam.gserviceaccount.com"


__all__ = ["IAP", "MONITORING", "NETWORK_SERVICES", "AgentGrant", "agent"]
