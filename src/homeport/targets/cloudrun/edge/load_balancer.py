"""The load balancer of the file: its parts in order, from the service to the address that clients use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from homeport.catalog.prices import Prices
from homeport.certificates import certificates
from homeport.google import Google
from homeport.reconcile import Ref, Resource
from homeport.reconcile.fact import Fact
from homeport.resources.google import load_balancer as lb
from homeport.resources.google import managed_certificate as manager
from homeport.resources.google.answering_edge import AnsweringEdge
from homeport.resources.google.closed_door import Ask, ClosedDoor
from homeport.resources.google.network import network, proxy_subnetwork
from homeport.resources.google.release import Prove
from homeport.resources.google.rest import RestResource
from homeport.resources.google.traffic import Body
from homeport.secret import Secret
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.backends import FrontEndpoint, NamedBackend, findings, named_backends
from homeport.targets.cloudrun.edge.fact import EdgeFact
from homeport.targets.cloudrun.edge.limit import policy_body
from homeport.targets.cloudrun.edge.names import EdgeNames, read_pem
from homeport.targets.cloudrun.edge.own import address_findings, certificate_findings, trust_findings
from homeport.targets.cloudrun.edge.regions import EJECTED, told_apart
from homeport.targets.cloudrun.edge.standing import standing_findings
from homeport.targets.cloudrun.edge.url_map import EdgeMap
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.preflight import PreflightFinding, PreflightVerdict
from homeport.targets.cloudrun.service_labels import FURTHER_LABEL, region_labels

APIS = ("certificatemanager",)
"""What a certificate of Google's needs beside what every endpoint needs."""
_TIER = {"networkTier": "STANDARD"}
"""Google's guide to regional ones makes address and rules so; another page lets them be PREMIUM, too."""
_PROXIES = "10.9.0.0/23"
"""Of the proxies of a regional one: as many as Google's guide gives them. They are alone in a network of their own."""
_OWN_WITHIN_S, _MANAGED_WITHIN_S = 1200.0, 3600.0
"""
How long a new load balancer may take to answer. No page of Google's has a figure; ten minutes are common, and a managed
certificate waits for the user's DNS, too.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParts:
    """The parts of one load balancer."""

    google: Google
    names: Names
    edge: Edge
    base: Path
    """The folder that paths of the file start from."""
    read: Callable[[str, str, Path], str] = read_pem
    """Returns the PEM that a reference of the file leads to, by its key and the folder."""
    behind: tuple[NamedBackend, ...] = ()
    """What its paths lead to besides."""
    network: tuple[str, str] = ("", "")
    """The paths of the network and subnetwork that an internal one is in."""

    @property
    def region(self) -> str:
        """Return where all of it is; '' for a global one."""
        return "" if self.edge.kind == "global" else self.names.region or "-"

    def resources(self) -> list[RestResource]:
        """Return all parts, each after what it needs."""
        groups = list(self._groups())
        policy = self._policy()
        others = self._others()
        backends = [
            self._serving(),
            *(self._backend(group) for group in (*groups[len(self.regions) :], *others)),
        ]
        if policy is not None:
            backends = [lb.guarded_by(backend, policy) for backend in backends]
        address = [] if self.edge.ip else [self._part(lb.ADDRESS, self._called.main, self._address())]
        at = self.edge.ip or Ref(address[0].id, "address")
        certificates = self._certificates()
        plain, secure = self._proxies(certificates)
        shown = [*backends, self._map(), self._redirect(), *address]
        own = [*groups, *others, *([policy] if policy else []), *shown]
        rules = [
            self._rule(self._called.main, "443", secure, at),
            self._rule(self._called.redirect, "80", plain, at),
        ]
        return [*self._proxies_network(), *own, *certificates, plain, secure, *rules]

    @property
    def _called(self) -> EdgeNames:
        return EdgeNames(name=self.names.name)

    def _part(
        self, kind: str, name: str, body: Mapping[str, Any], region: str = ""
    ) -> lb.BalancerPart:  # Any: JSON
        return lb.part(self.google, self.names.name, kind, name, body, region=region or self.region)

    @property
    def from_where(self) -> str:
        """Return from where an internal one is asked, in words; '' for every other."""
        name = self.network[0].rpartition("/")[2]
        return (
            f"it answers within the network {name} alone: run this on a machine there"
            if self._is_internal
            else ""
        )

    @property
    def _is_internal(self) -> bool:
        return self.edge.kind == "internal"

    @property
    def _scheme(self) -> str:
        return "INTERNAL_MANAGED" if self._is_internal else "EXTERNAL_MANAGED"

    def _address(self) -> dict[str, Any]:  # Any: JSON
        if self._is_internal:
            # Both ports share it.
            return {
                "addressType": "INTERNAL",
                "purpose": "SHARED_LOADBALANCER_VIP",
                "subnetwork": self.network[1],
            }
        return {"addressType": "EXTERNAL", **(_TIER if self.region else {"ipVersion": "IPV4"})}

    def _proxies_network(self) -> list[RestResource]:
        """Return the network that the proxies of a regional one are in: of its own, so that they take nobody's addresses."""
        if not self.region or self._is_internal:
            return []
        google, name, called = self.google, self.names.name, self._called.main
        return [network(google, name, called), proxy_subnetwork(google, name, called, self.region, _PROXIES)]

    @property
    def regions(self) -> tuple[str, ...]:
        """Return where the endpoint's services are, the first of which makes what all share."""
        return (self.names.region, *self.edge.regions)

    @property
    def _told_apart(self) -> list[tuple[str, str, str]]:
        return told_apart(self._called, self.names.region, self.edge.regions)

    def _groups(self) -> Iterator[lb.BalancerPart]:
        """Yield the serverless groups: those that clients are led to, one of each region, and those of the proof."""
        for region in self.regions:
            group = self._group(self._called.main, region, "")
            further = region != self.names.region
            yield replace(group, id=f"{group.id} in {region}") if further else group
        for name, region, tag in self._told_apart:
            yield self._group(name, region, tag)

    def _group(self, name: str, region: str, tag: str) -> lb.BalancerPart:
        target = {"service": self.names.name, **({"tag": tag} if tag else {})}
        body = {"networkEndpointType": "SERVERLESS", "cloudRun": target}
        service = f"service/{self.names.name}"
        after = service if region == self.names.region else f"{service} in {region}"
        return replace(self._part(lb.GROUP, name, body, region), after=(after,))

    def _serving(self) -> lb.BalancerPart:
        """Return what clients are led to: to the nearest region that answers."""
        groups = list(self._groups())[: len(self.regions)]
        backend = self._backend(groups[0])
        members = [{"group": Ref(group.id, "selfLink")} for group in groups]
        ejected = {"outlierDetection": EJECTED} if self.edge.regions else {}
        return replace(backend, wanted={**backend.wanted, "backends": members, **ejected})

    def _others(self) -> list[lb.BalancerPart]:
        """Return a serverless group for each other endpoint, in the region of its service."""
        groups = {}
        for backend in self._found:
            body = {"networkEndpointType": "SERVERLESS", "cloudRun": {"service": backend.service_name}}
            name = self._called.to(backend.endpoint)
            groups[name] = self._part(lb.GROUP, name, body, backend.region)
        return list(groups.values())

    @property
    def unfound(self) -> dict[str, str]:
        """Return the ways of the file that lead nowhere, each to the name of an endpoint of which no service was found; a share's by that name."""
        found = {backend.listed for backend in self._found}
        named = {backend.listed: backend.endpoint for backend in named_backends(self.edge)}
        return {listed: endpoint for listed, endpoint in named.items() if listed not in found}

    @property
    def _found(self) -> list[NamedBackend]:
        return [backend for backend in self.behind if backend.service]

    def _backend(self, group: lb.BalancerPart) -> lb.BalancerPart:
        # A serverless group refuses timeoutSec, health checks and maxUtilization: Cloud Run's own timeout counts.
        name = group.address.path.rpartition("/")[2]
        body = {
            "loadBalancingScheme": self._scheme,
            "protocol": "HTTPS",
            "backends": [{"group": Ref(group.id, "selfLink")}],
            "logConfig": {"enable": True, "sampleRate": 1.0},
        }
        return self._part(lb.BACKEND, name, body)

    def _map(self) -> lb.BalancerPart:
        routes = EdgeMap(edge=self.edge, called=self._called, behind=self._found, told_apart=self._told_apart)
        return self._part(lb.MAP, self._called.main, routes.body())

    def _redirect(self) -> lb.BalancerPart:
        to_https = {
            "httpsRedirect": True,
            "redirectResponseCode": "MOVED_PERMANENTLY_DEFAULT",
            "stripQuery": False,
        }
        return self._part(lb.MAP, self._called.redirect, {"defaultUrlRedirect": to_https})

    def _policy(self) -> lb.BalancerPart | None:
        if self.edge.requests_per_minute is None:
            return None
        return self._part(lb.POLICY, self._called.main, policy_body(self.edge))

    def _certificates(self) -> list[RestResource]:
        """Return the certificate, or what makes one: the last but one is the map of it."""
        if self.edge.certificate is None:
            assert self.edge.domain is not None
            # A proxy of a region names the certificate itself, a global one a map, whose entry goes before the certificate.
            name = self._called.of(self.edge.domain) if self.region else self._called.main
            return manager.for_domain(
                self.google, self.names.name, name, self.edge.domain, region=self.region
            )
        pem = self.own_certificate
        # Nothing of a certificate can be changed: another one has another name, and the old one goes after it.
        certificate = self._part(
            lb.CERTIFICATE,
            self._called.of(pem),
            {"type": "SELF_MANAGED", "selfManaged": {"certificate": pem}},
        )
        assert isinstance(certificate, lb.OwnCertificate)
        return [replace(certificate, key=self.own_key)]

    @property
    def own_certificate(self) -> str:
        """Return the user's own certificate with its chain, as PEM. Raises `SpecError` where there is none."""
        return self.read(self.edge.certificate or "", "edge.certificate", self.base)

    def own_key(self) -> Secret:
        """Return that certificate's key. Raises `SpecError` where there is none."""
        assert self.edge.private_key is not None
        return Secret(self.read(self.edge.private_key, "edge.private_key", self.base))

    def _proxies(self, certificates: list[RestResource]) -> tuple[lb.BalancerPart, lb.BalancerPart]:
        main, redirect = f"url-map/{self._called.main}", f"url-map/{self._called.redirect}"
        plain = self._part(lb.HTTP_PROXY, self._called.redirect, {"urlMap": Ref(redirect, "selfLink")})
        if self.edge.certificate is None and self.region:
            shows: dict[str, Any] = {"sslCertificates": [manager.link_of(certificates[-1])]}  # Any: Refs
            after: tuple[str, ...] = ()
        elif self.edge.certificate is None:
            *_, shown, entry = certificates
            shows, after = {"certificateMap": manager.link_of(shown)}, (entry.id,)
        else:
            shows, after = {"sslCertificates": [Ref(certificates[0].id, "selfLink")]}, ()
        secure = self._part(lb.HTTPS_PROXY, self._called.main, {"urlMap": Ref(main, "selfLink"), **shows})
        return plain, replace(secure, after=after)

    def _rule(self, name: str, port: str, proxy: lb.BalancerPart, at: str | Ref) -> lb.BalancerPart:
        body = {
            "loadBalancingScheme": self._scheme,
            "IPAddress": at,
            "IPProtocol": "TCP",
            "portRange": f"{port}-{port}",
            "target": Ref(proxy.id, "selfLink"),
        }
        if not self.region:
            return self._part(lb.RULE, name, body)
        if self._is_internal:
            return self._part(
                lb.RULE, name, {**body, "network": self.network[0], "subnetwork": self.network[1]}
            )
        body |= {**_TIER, "network": Ref(f"network/{self._called.main}", "selfLink")}
        # Without the proxies' subnetwork it is refused.
        return replace(self._part(lb.RULE, name, body), after=(f"subnetwork/{self._called.main}",))


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointEdge:
    """A load balancer, and the door of the service that is closed once it answers."""

    parts: EdgeParts
    ask: Ask
    prove: Prove
    of: Names | None = None
    """Of the service whose door it is, in a further region; None for that of the first, which all of the load balancer belongs to."""
    service: Body = field(default_factory=dict)
    """The service as it is now; {} where there is none."""
    is_isolated: bool = False
    """Whether the service takes requests from its network alone."""
    led: tuple[str, ...] = ()
    """The ids of the endpoint's own services that ask for the model at the address."""
    is_judged: bool = False
    """Whether it is asked by TLS from here, as it is everywhere but in a rehearsal."""

    @property
    def address(self) -> str:
        """Return the address that clients use, without `/v1`."""
        return self.parts.edge.address

    @property
    def apis(self) -> tuple[str, ...]:
        """Return the APIs that it needs beside what every endpoint needs."""
        return APIS if self.parts.edge.certificate is None else ()

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels of the service that tell of further regions: where it is repeated, or what it repeats."""
        if self.of is not None:
            return {FURTHER_LABEL: self.parts.names.region}
        return region_labels(self.parts.edge.regions)

    def facts(self, prices: Prices, *, screens: bool = False) -> Iterator[Fact]:
        """Yield what a plan tells of it; with `screens` the file's screen stands at it."""
        yield EdgeFact.of(self.parts.edge, prices, screens=screens)

    def findings(self, front: FrontEndpoint) -> Iterator[PreflightFinding]:
        """Yield what stands in its way, and what was found of the endpoints behind it, for the endpoint of the file at its front."""
        edge = self.parts.edge
        yield from standing_findings(self.service, edge)
        if edge.certificate:
            own = self.parts.own_certificate
            found = [*certificate_findings(own, edge.host)]
            yield from found
            if self.is_judged and not any(one.verdict is PreflightVerdict.PROBLEM for one in found):
                yield from trust_findings(own, self.parts.own_key(), edge.host, certificates())
        yield from findings(
            self.parts.behind,
            self.address,
            front,
            region=self.parts.region,
            is_internal=self.parts.edge.kind == "internal",
        )

    async def looked_at(self, front: FrontEndpoint) -> list[PreflightFinding]:
        """Return all of that, and whether the address that the file names is there for it."""
        parts, own = self.parts, EdgeNames(name=self.parts.names.name)
        reserved = await address_findings(parts.google, parts.edge, parts.region, (own.main, own.redirect))
        return [*self.findings(front), *reserved]

    def resources(self) -> list[Resource]:
        """Return all parts, where something of the endpoint asks there that they answer, and the door as the last."""
        # The service's label tells of them: none may be made before it, or an `up` that was broken off would leave it unseen.
        before = ("apis", f"service/{self.parts.names.name}")
        parts = [replace(part, after=(*before, *part.after)) for part in self.parts.resources()]
        door = self._door(tuple(part.id for part in parts))
        return [*parts, *([AnsweringEdge(door=door)] if self.led else []), door]

    @property
    def answers(self) -> str:
        """Return the id of what says that it answers; '' where nothing of the endpoint asks there."""
        return AnsweringEdge(door=self._door(())).id if self.led else ""

    def _door(self, after: tuple[str, ...]) -> ClosedDoor:
        names, edge = self.parts.names, self.parts.edge
        return ClosedDoor(
            google=self.parts.google,
            name=names.name,
            path=f"v2/{(self.of or names).service}",
            address=edge.address,
            after=after,
            ask=self.ask,
            prove=self.prove,
            within=_MANAGED_WITHIN_S if edge.certificate is None else _OWN_WITHIN_S,
            led=self.led,
            is_isolated=self.is_isolated,
            behind=edge.ways,
            unfound=self.parts.unfound,
            edge_kind=edge.kind,
            from_where=self.parts.from_where,
        )


def every_part(google: Google, names: Names) -> Iterator[list[RestResource]]:
    """Yield the parts that different options of a file make under these names, for the order among their kinds."""
    for edge in (
        Edge(domain="example.com", requests_per_minute=1),
        Edge.model_construct(domain="example.com", certificate="own", private_key="own"),
        Edge(domain="example.com", kind="regional"),
    ):
        yield EdgeParts(google=google, names=names, edge=edge, base=Path(), read=lambda *_: "").resources()


__all__ = ["APIS", "EdgeParts", "EndpointEdge", "every_part"]
