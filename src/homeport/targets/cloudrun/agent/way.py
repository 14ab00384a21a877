"""The way from the agent to its model: the address that it asks, through which network, and what it shows and trusts there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from homeport.json_types import Json
from homeport.reconcile import Ref
from homeport.resources.google.service import ServiceRole
from homeport.spec import Edge, Spec
from homeport.targets.cloudrun.edge.names import read_pem
from homeport.targets.cloudrun.names import Names

ALL_TRAFFIC, PRIVATE_RANGES = "ALL_TRAFFIC", "PRIVATE_RANGES_ONLY"
"""What of an instance's traffic goes through its network, as run.v2 names it; of the latter all else takes the way of Cloud Run itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentWay:
    """How one agent reaches its model."""

    url: str | Ref
    """The address of the file's load balancer, else the service's own."""
    edge: Edge | None = None
    """The load balancer; None where it asks the service."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What each request says besides."""
    certificates: str = field(default="", repr=False)
    """The file's own certificate, as PEM, which it is to trust there, whoever signed it."""
    network: str = ""
    """The network of the user's that it sends through; '' for homeport's own."""

    @property
    def is_from_outside(self) -> bool:
        """Tell whether the address is on the internet."""
        return self.edge is not None and self.edge.kind != "internal"

    @property
    def egress(self) -> str:
        """Return what goes through its network. homeport's own leads nowhere but to Google, and the address is not Google's own API."""
        return PRIVATE_RANGES if self.is_from_outside and not self.network else ALL_TRAFFIC

    @property
    def described(self) -> dict[str, Json]:
        """Return what its container is told beside the address."""
        told = {"headers": dict(self.headers), "certificates": self.certificates}
        return {key: value for key, value in told.items() if value}

    def notes(self, member: str) -> Iterator[str]:
        """Yield what a plan warns of, where the agent calls as `member`."""
        edge = self.edge
        if edge is None:
            return
        if self.is_from_outside and self.network:
            yield (
                f"agent: it asks for its model at {edge.address}, and all that it sends goes through {self.network}: whether that has a way "
                "out to the internet, such as Cloud NAT, is not looked at"
            )
        if edge.kind == "internal":
            yield (
                f"agent: it asks for its model at {edge.address} from within {self.network}: a private zone of that network must lead "
                f"{edge.domain} there, which is not looked at"
            )
        if edge.shares:
            yield (
                f"agent: what it asks is drawn as all else is, so {', '.join(sorted(edge.shares))} must let it in: the file of each names "
                f"{member} among access.callers, once the agent is there. What refuses it ends its run"
            )


def way_of(
    spec: Spec, names: Names, base: Path, read: Callable[[str, str, Path], str] = read_pem
) -> AgentWay:
    """
    Return how the agent of a file whose paths start from `base` reaches its model.

    An API gateway is no way for it: that takes keys, and leaves the service's own address as it is. Raises `SpecError` for a
    certificate that cannot be read.
    """
    edge, network = spec.edge, (spec.cloudrun.network if spec.cloudrun else None) or ""
    if edge is None or edge.is_api_gateway:
        return AgentWay(url=Ref(f"service/{names.name}", "uri"), network=network)
    own = names.companion(ServiceRole.AGENT)
    return AgentWay(
        url=edge.address,
        edge=edge,
        headers={edge.key_header: own} if edge.requests_per_minute is not None else {},
        certificates=read(edge.certificate, "edge.certificate", base) if edge.certificate else "",
        network=network,
    )


__all__ = ["ALL_TRAFFIC", "PRIVATE_RANGES", "AgentWay", "way_of"]
