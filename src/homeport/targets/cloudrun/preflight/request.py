"""What a deployment would ask of Google, as far as it can be checked beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from homeport.catalog.cloudrun import Shape
from homeport.catalog.cpu_and_memory import NOTHING, CpuAndMemory
from homeport.secret import Secret

FormerState = Literal["there", "unknown", ""]
"""What was seen of a thing that the file wants no more; '' for none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GatedFile:
    """A file of a hub that a deployment fetches; only where the weights are not in the bucket yet."""

    endpoint: str
    """The hub's address, without a slash at its end."""
    repo: str
    revision: str
    """The pinned commit."""
    file: str
    token: Secret | None = None

    @property
    def page(self) -> str:
        """Return the address of the repository's page, where its licence is accepted."""
        return f"{self.endpoint}/{self.repo}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImage:
    """An image that is taken from Google's own registry as it is."""

    host: str
    path: str
    """`PROJECT/REPOSITORY/NAME`."""
    tag: str
    """Or a digest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSubnetwork:
    """A subnetwork that is made, in a network of homeport's own of the same name."""

    name: str
    addresses: str
    """Its range, such as `10.8.0.0/23`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightInput:
    """One deployment."""

    name: str
    """Of the endpoint: what its label says, and what its service and repository are called."""
    project: str
    region: str
    shape: Shape
    bucket: str
    """The bucket of the weights; '' for none."""
    repository: str
    beside: CpuAndMemory = NOTHING
    """What the other containers of an instance have."""
    companions: CpuAndMemory = NOTHING
    """What the most instances of the endpoint's other services have, all together."""
    egress: tuple[str, ...] = ()
    """What of the traffic of each of these goes through the network, such as `private-ranges-only`."""
    max_instances: int = 1
    min_instances: int = 0
    warm: bool = False
    """Whether a schedule keeps an instance warm at some hours."""
    cached: bool = False
    """Whether a job makes a startup cache."""
    zonal_redundancy: bool = False
    public: bool = False
    key: str = ""
    """The key of Cloud KMS for what lies there; '' for Google's own."""
    isolated: bool = False
    """Internal ingress, and all egress through the network."""
    screened: bool = False
    """Whether Model Armor screens what is said."""
    road: bool = False
    """Whether a load balancer calls Model Armor."""
    edge: str = ""
    """The kind of the load balancer before it, or `api-gateway`; '' for none."""
    observed: bool = False
    """Whether its metrics go to Cloud Monitoring."""
    iap: bool = False
    """Whether Identity-Aware Proxy stands before it."""
    registered: bool = False
    """Whether its agent's card stands in Agent Registry."""
    former_entry: FormerState = ""
    """Whether an entry stands there that the file wants no more; '' for none, or none of ours."""
    former_iap: FormerState = ""
    """Whether anybody may come in by the proxy's policy, where the file wants it no more; '' for nobody."""
    uptime: bool = False
    """Whether it is asked from outside."""
    callers: tuple[str, ...] = ()
    """Members that may call it, such as `user:YOU@EXAMPLE.COM`."""
    network: str = ""
    """An existing network; '' where one is made."""
    subnetwork: str = ""
    """Its subnetwork in the region; '' where one is made."""
    own_subnetworks: tuple[OwnSubnetwork, ...] = ()
    """Those that are made in the region."""
    secret: bool = True
    """Whether the hub's token is kept as a secret."""
    mounted_secrets: tuple[str, ...] = ()
    """Secrets of the project's own that a container is given, by name."""
    gates: tuple[GatedFile, ...] = ()
    image: RegistryImage | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Return what permissions are needed for: names of `permissions.toml`."""
        needed = {
            "secret": self.secret or self.observed,
            "given-secret": bool(self.mounted_secrets),
            "edge": self.edge == "global",
            "edge-regional": self.edge in {"regional", "internal"},
            "api-gateway": self.edge == "api-gateway",
            "observe": self.observed,
            "uptime": self.uptime,
            "iap": self.iap or bool(self.former_iap),
            "agent-registry": self.registered,
            "agent-registry-former": bool(self.former_entry),
            "screen": self.screened or self.road,
            "screen-road": self.road,
            "screen-way": self.screened and not self.network,
            "network": not self.network,
            "isolation": self.isolated and not self.network,
            "warm": self.warm,
            "startup-cache": self.cached,
        }
        return frozenset(
            (
                "foundations",
                "build",
                "weights",
                "service",
                "inventory",
                *(name for name, is_so in needed.items() if is_so),
            )
        )

    @property
    def unwanted(self) -> frozenset[str]:
        """Return what of `needs` is for a thing that the file wants no more."""
        return frozenset({"agent-registry-former", *(() if self.iap else ("iap",))}) & self.needs

    @property
    def spared(self) -> Mapping[str, str]:
        """
        Return what of it is left by who may not look, and all else is deployed all the same: each with the right to look, '' where it is known
        that nobody could.
        """
        looks = {
            "agent-registry-former": "" if self.former_entry == "unknown" else "agentregistry.services.get",
            "iap": "" if self.former_iap == "unknown" else "iap.webServices.getIamPolicy",
        }
        return {name: looks[name] for name in self.unwanted}

    @property
    def ingress(self) -> str:
        """Return the ingress as the constraint `run.allowedIngress` names it."""
        return "internal" if self.isolated else "all"
