"""The load balancer that stands before a service now, and what becomes of it by the file's."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.resources.google.traffic import Body, edge_address_of, edge_kind_of
from homeport.spec import Edge
from homeport.targets.cloudrun.edge.own import is_ip
from homeport.targets.cloudrun.preflight import PreflightFinding
from homeport.targets.cloudrun.preflight.finding import problem, warning


def standing_findings(service: Body, edge: Edge) -> Iterator[PreflightFinding]:
    """Yield what the load balancer of a service has to do with the file's `edge`; nothing where its door is open."""
    kind, address = edge_kind_of(service), edge_address_of(service)
    if kind not in {"", edge.kind}:
        # The domain leads to the old one's address: it would answer for the new one, and be taken away then.
        yield problem(
            "edge",
            f"a {kind} load balancer stands before it, and the domain leads there: no other kind takes its place at once",
            "take [edge] out of the file and say `homeport up --on cloudrun`; then put it in again, and let the domain lead to the new address",
        )
    elif address not in {"", edge.address} and (edge.ip or is_ip(address.removeprefix("https://"))):
        yield problem(
            "edge",
            f"the load balancer before it has the address {address}, and none goes from or to an address without a domain at once",
            "take [edge] out of the file and say `homeport up --on cloudrun`; then put it in again",
        )
    elif address not in {"", edge.address}:
        yield warning(
            "edge",
            f"{address} answers no more once `up` changes its load balancer for {edge.address}, and until that answers clients reach nothing",
            f"let {edge.domain} lead to the load balancer's address before, which stays the same"
            + (
                ""
                if edge.certificate
                else "; Google's certificate for it still comes after `up` says its CNAME"
            ),
        )


__all__ = ["standing_findings"]
