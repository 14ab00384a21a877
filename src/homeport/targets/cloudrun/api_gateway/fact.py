"""What a plan tells of an API gateway: who may come, what it bounds, what it does not, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from homeport.catalog.prices import Prices
from homeport.cost.edge import edge_month, with_traffic
from homeport.reconcile.fact import Fact
from homeport.resources.google.api_gateway import KEY_HEADER
from homeport.spec import Edge


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiGatewayFact(Fact):
    """The API gateway before the service."""

    key: ClassVar[str] = "api_gateway"
    label: ClassVar[str] = "edge"
    region: str
    clients: tuple[str, ...]
    requests_per_minute: int | None
    deadline_s: int
    """What an answer may take, from its request to its end."""
    usd_per_month: float
    """While nobody asks anything."""
    with_traffic: str
    """What comes with traffic, in words."""

    @classmethod
    def of(cls, edge: Edge, region: str, deadline_s: int, prices: Prices) -> ApiGatewayFact:
        """Return what is told of the file's API gateway."""
        return cls(
            region=region,
            clients=tuple(edge.clients),
            requests_per_minute=edge.requests_per_minute,
            deadline_s=deadline_s,
            usd_per_month=round(edge_month(prices, edge).value, 2),
            with_traffic=with_traffic(prices, edge),
        )

    @property
    def text(self) -> str:
        return "; ".join(text for _, text in self.lines())

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return a line for the way in, its limits, what it leaves open, and its price."""
        way_in = (
            f"an API gateway in {self.region}, with streaming (a preview of Google's); a key, in the header {KEY_HEADER}, for "
            f"{', '.join(self.clients)}; who else may call the service at its own address stays as it is"
        )
        bounds = (
            f"it answers OpenAI's paths under /v1 alone; an answer ends after {self.deadline_s} s, streamed or not; a request has "
            "32 MB at most"
        )
        texts = [way_in, bounds]
        if self.requests_per_minute is not None:
            texts.append(
                f"more than {self.requests_per_minute} requests a minute are refused with 429: API Gateway counts by project, so all "
                "clients of this project's keys count together"
            )
        texts.append(
            "it screens nothing, and keeps nobody from asking for what is expensive: a key says who asks, and no more"
        )
        texts.append(f"${self.usd_per_month:.2f} a month while nobody asks anything, and {self.with_traffic}")
        return tuple((self.label, text) for text in texts)
