"""
Load balancers before Cloud Run, global ones, those of regions and internal ones: which hosts they answer to, and where a request of theirs goes.

It reads what was created, forwarding rule by forwarding rule: target proxy, certificate, URL map, backend service, group. What
of them is not acted out (limits of Cloud Armor) is acted out by Envoy: see `envoy_config.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import random
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import at
from gcp_rehearsal.apis.compute.url_maps import RoutedRequest, way_of
from gcp_rehearsal.json_types import Json
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_RULES = ("compute.globalForwardingRules", "compute.forwardingRules")
_INTERNAL = "INTERNAL_MANAGED"
_SCHEMES = frozenset({"EXTERNAL", "EXTERNAL_MANAGED", _INTERNAL})
_MANAGER = "//certificatemanager.googleapis.com/"


@dataclass(frozen=True, slots=True)
class Listener:
    """One forwarding rule with all that stands behind it."""

    rule: StoredResource
    proxy: StoredResource
    routes: StoredResource
    """The URL map."""

    @property
    def secure(self) -> bool:
        """Tell whether it speaks TLS."""
        return "/targetHttpsProxies/" in self.proxy.name

    @property
    def internal(self) -> bool:
        """Tell whether it is reached from within a network alone."""
        return bool(self.rule.body.get("loadBalancingScheme") == _INTERNAL)

    @property
    def hosts(self) -> frozenset[str]:
        """Return the names in the host rules of its map."""
        return frozenset(
            host for rule in self.routes.body.get("hostRules") or () for host in rule.get("hosts") or ()
        )

    def answers_to(self, host: str) -> bool:
        """Tell whether a request for a host comes to it: by a name of its map's, or by the address itself where rules are for any host."""
        return host in self.hosts or ("*" in self.hosts and host == self.rule.body.get("IPAddress"))


@dataclass(frozen=True, slots=True)
class ServerlessGoal:
    """A service of Cloud Run, as a serverless group names it."""

    service: str
    """Its full name."""
    tag: str
    internal: bool = False
    """Whether it is a load balancer within a network that leads there."""


class NoWay(Exception):
    """A load balancer has no answer of a service's to give."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class LoadBalancers:
    """All load balancers of a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def listeners(self) -> Iterator[Listener]:
        """Yield those whose parts are all there."""
        for collection in _RULES:
            for rule in self._cloud.store.of("compute", collection):
                if rule.body.get("loadBalancingScheme") not in _SCHEMES:
                    continue
                proxy = at(self._cloud, str(rule.body.get("target") or ""))
                routes = at(self._cloud, str(proxy.body.get("urlMap") or "")) if proxy else None
                if proxy is not None and routes is not None:
                    yield Listener(rule, proxy, routes)

    def secure(self, host: str, *, within: bool) -> Listener | None:
        """
        Return the listener that answers to a host by TLS, an internal one to those `within` the project's networks alone, and every
        other to those outside: a network has no way to the internet before somebody makes one, such as Cloud NAT, of which there is none
        here. None where there is none, or no certificate for it yet.
        """
        for listener in self.listeners():
            if listener.internal is not within:
                continue
            if listener.secure and listener.answers_to(host) and self.has_certificate(listener, host):
                return listener
        return None

    def names(self, host: str) -> bool:
        """Tell whether some load balancer has rules for a host."""
        return any(listener.answers_to(host) for listener in self.listeners())

    def has_certificate(self, listener: Listener, host: str) -> bool:
        """Tell whether there is a certificate to show for a host: one of the user's own, or one that was issued."""
        body = listener.proxy.body
        if body.get("certificateMap"):
            return any(self._is_active(name, "") for name in self.in_map(str(body["certificateMap"]), host))
        named = [str(certificate) for certificate in body.get("sslCertificates") or ()]
        if any(certificate.startswith(_MANAGER) for certificate in named):
            # Those of a region are named by the proxy itself.
            paths = (self._cloud.by_id(certificate.removeprefix(_MANAGER)) for certificate in named)
            return any(self._is_active(path, host) for path in paths)
        certificates = [at(self._cloud, certificate) for certificate in named]
        return any(
            certificate is not None
            and (
                certificate.body.get("type") != "MANAGED"
                or certificate.body.get("managed", {}).get("status") == "ACTIVE"
            )
            for certificate in certificates
        )

    def in_map(self, certificate_map: str, host: str) -> list[str]:
        """Return the certificates of Certificate Manager that a map has for a host."""
        path = self._cloud.by_id(certificate_map.removeprefix(_MANAGER))
        return [
            self._cloud.by_id(str(name))
            for entry in self._cloud.store.of("certificatemanager")
            if entry.name.startswith(f"{path}/certificateMapEntries/")
            and (entry.body.get("hostname") == host or entry.body.get("matcher") == "PRIMARY")
            for name in entry.body.get("certificates") or ()
        ]

    def goal(
        self, listener: Listener, host: str, path: str, headers: Mapping[str, str]
    ) -> tuple[ServerlessGoal, RoutedRequest]:
        """Return where a request goes, and as what it arrives. Raises `NoWay`."""
        drawn = random()  # noqa: S311 - who answers is drawn, and nothing is kept secret by it
        way = way_of(listener.routes.body, host, path, headers, drawn=drawn)
        backend = at(self._cloud, way.service)
        if backend is None:
            raise NoWay(404, "no backend service of the URL map is there")
        return self.behind(backend.body), way

    def behind(self, backend: Mapping[str, Json]) -> ServerlessGoal:
        """
        Return the service behind a backend service; where it has groups of several regions, that of the first, to which all clients here
        are the nearest. Raises `NoWay`.
        """
        goals = self.members(backend)
        if not goals:
            raise NoWay(502, "the backend service has no serverless group of Cloud Run")
        return goals[0]

    def members(self, backend: Mapping[str, Json]) -> list[ServerlessGoal]:
        """Return the services behind a backend service, one of each of its groups."""
        goals = []
        for member in backend.get("backends") or ():
            group = at(self._cloud, str(member.get("group") or ""))
            target = (group.body.get("cloudRun") or {}) if group else {}
            if group is not None and target.get("service"):
                region = group.name.split("/")[3]
                service = f"projects/{group.project}/locations/{region}/services/{target['service']}"
                internal = backend.get("loadBalancingScheme") == _INTERNAL
                goals.append(ServerlessGoal(service, str(target.get("tag") or ""), internal=internal))
        return goals

    def _is_active(self, name: str, host: str) -> bool:
        certificate = self._cloud.store.get("certificatemanager", name)
        if certificate is None or (host and host not in certificate.body.get("sanDnsnames", ())):
            return False
        return "managed" not in certificate.body or certificate.body["managed"].get("state") == "ACTIVE"


__all__ = ["Listener", "LoadBalancers", "NoWay", "ServerlessGoal"]
