"""The file's `observe.uptime` on Cloud Run: what asks the service from outside, and who it comes as."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from homeport.google import Google, IamResource
from homeport.observe.uptime import EVERY_S, PLACES
from homeport.reconcile import Resource
from homeport.resources.google.monitoring import MonitoringPart
from homeport.resources.google.service_agent import MONITORING, AgentGrant, agent
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.observe.parts import uptime_check

_ROLE = "roles/run.servicesInvoker"
_PATH = "/v1/models"
"""What every engine answers by itself, through every gateway, and what clients ask for first; an engine's `/` may be anybody's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UptimeProbe:
    """The uptime check of one service, with what lets it in."""

    google: Google
    names: Names
    caller: str
    """Cloud Monitoring's own account, as policies name it; '' for a service that anybody may call."""

    @property
    def callers(self) -> tuple[str, ...]:
        """Return who may call the service for it."""
        return (self.caller,) if self.caller else ()

    @property
    def text(self) -> str:
        """Return what a plan tells of it."""
        who = (
            f"as {self.caller.partition(':')[2]}, which may call it then" if self.caller else "as anybody may"
        )
        return (
            f"{_PATH} is asked for from {len(PLACES)} places every {EVERY_S} s, {who}; these requests count as any do, and what "
            "Google may charge for them is not in the price"
        )

    def resources(self) -> list[Resource]:
        """Return everything that is wanted of it."""
        return [*self._grants(), self.check]

    @property
    def check(self) -> MonitoringPart:
        """Return the check: made once something verified serves, and once it may call it; else the first ones would be refused."""
        after = next((grant.id for grant in self._grants()), f"release/{self.names.name}")
        return uptime_check(
            self.google, self.names.name, self.names.region, _PATH, public=not self.caller, after=after
        )

    def _grants(self) -> Iterator[AgentGrant]:
        for member in self.callers:
            yield AgentGrant(
                google=self.google,
                agent_of=MONITORING,
                role=_ROLE,
                member=member,
                on=IamResource(api="run", path=f"v2/{self.names.service}"),
                known_as=f"service/{self.names.name}",
                needs=(f"release/{self.names.name}",),
            )


async def uptime_probe(google: Google, names: Names, *, public: bool) -> UptimeProbe:
    """Return it. Raises what keeps the project's number from being read."""
    caller = "" if public else await agent(google, MONITORING)
    return UptimeProbe(google=google, names=names, caller=caller)


__all__ = ["UptimeProbe", "uptime_probe"]
