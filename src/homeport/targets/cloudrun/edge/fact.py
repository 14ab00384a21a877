"""What a plan tells of a load balancer: what it asks of the user's DNS, what it costs, and when one does without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from homeport.catalog.prices import Prices
from homeport.cost.edge import edge_month, with_traffic
from homeport.reconcile.fact import Fact
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.own import is_ip


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeFact(Fact):
    """The load balancer before the service."""

    key: ClassVar[str] = "edge"
    label: ClassVar[str] = "edge"
    kind: str
    """`global`, `regional` or `internal`."""
    address: str
    certificate: str
    """`managed`, or `own`."""
    requests_per_minute: int | None
    key_header: str
    preview: bool
    usd_per_month: float
    """While nobody asks anything: its forwarding rules, and Cloud Armor's policy and rule."""
    backends: Mapping[str, str]
    """Other endpoints behind the address, by their paths or headers."""
    shares: Mapping[str, int]
    """Other endpoints that answer a part of the requests at the address, with the percent of each."""
    with_traffic: str
    """What comes with traffic, in words."""
    screens: bool
    """Whether what the file's `[guard]` takes for a screen stands at it."""
    unconfirmed: tuple[str, ...]
    """Keys of the prices among them that nothing official confirms."""

    @classmethod
    def of(cls, edge: Edge, prices: Prices, *, screens: bool = False) -> EdgeFact:
        """Return what is told of the file's load balancer."""
        month = edge_month(prices, edge)
        return cls(
            kind=edge.kind,
            address=edge.address,
            certificate="managed" if edge.certificate is None else "own",
            requests_per_minute=edge.requests_per_minute,
            key_header=edge.key_header,
            preview=edge.preview,
            usd_per_month=round(month.value, 2),
            backends=dict(sorted(edge.backends.items())),
            shares=dict(sorted(edge.shares.items())),
            with_traffic=with_traffic(prices, edge),
            screens=screens,
            unconfirmed=month.unconfirmed,
        )

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for the way in, its limit, its price, and when it is not worth that."""
        domain = self.address.removeprefix("https://")
        records = (
            "an A record, and its DNS authorization's CNAME, both of which"
            if self.certificate == "managed"
            else "an A record, which"
        )
        led = (
            "its address is the one that you have reserved, and clients must be told to trust your certificate (SSL_CERT_FILE)"
            if is_ip(domain)
            else f"{domain} must lead to its address ({records} `up` says)"
        )
        way_in = (
            f"{self.address}/v1, by a {self.kind} load balancer; {led}. "
            "The service's own address is closed once this one answers"
        )
        texts = [way_in]
        if self.kind == "regional":
            texts.append(
                "TLS ends in the service's region, and its proxies have a network of their own; requests of other regions go there "
                "by Google's Standard tier"
            )
        if self.kind == "internal":
            texts.append(
                "it is reached from within the network of [cloudrun] alone, in the service's region, and so `up` and `verify` must run there: "
                "from outside nothing of it is proven"
            )
        texts.extend(self._behind())
        if self.requests_per_minute is not None:
            does = "only logged (preview)" if self.preview else "refused with 429"
            texts.append(
                f"more than {self.requests_per_minute} requests a minute of one {self.key_header} are {does}, counted by Google "
                f"in each region and not exactly{', for each endpoint by itself' if self.backends or self.shares else ''}"
            )
        guess = f" ({', '.join(self.unconfirmed)} not confirmed)" if self.unconfirmed else ""
        texts.append(
            f"${self.usd_per_month:.2f} a month while nobody asks anything{guess}, and {self.with_traffic}"
        )
        if self.requests_per_minute is None and not (self.backends or self.shares or self.screens):
            texts.append(
                f"{'an address' if is_ip(domain) else 'a domain'} is all that this adds: without [edge] the service's own address has TLS, asks for the same token, "
                "and costs nothing while the service is at zero"
            )
        return tuple((self.label, text) for text in texts)

    def _behind(self) -> Iterator[str]:
        """Yield what is told of each other endpoint behind the address."""
        for way, name in self.backends.items():
            at = (
                f"{self.address}{way}/v1"
                if way.startswith("/")
                else f"{self.address}/v1 with the header {way}"
            )
            yield f"{at} leads to {name}, whose own file says who may call it; its own address stays as it is"
        for name, percent in self.shares.items():
            yield (
                f"{percent}% of the requests at {self.address}/v1 are answered by {name}. Each is drawn by itself, so the turns of a "
                "conversation come to either, and what one has kept of a prompt is of no use to the other"
            )
