"""Which tables of the file make what no export has words for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from homeport.resources.google.answering_edge import AnsweringEdge
from homeport.resources.google.api_gateway import KINDS as API_GATEWAY
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.load_balancer import COLLECTIONS as BALANCER
from homeport.resources.google.managed_certificate import COLLECTIONS as MANAGER

_OF: Mapping[str, frozenset[str]] = {
    "[edge]": frozenset({*BALANCER, *MANAGER, AnsweringEdge.kind, ClosedDoor.kind, *API_GATEWAY}),
}


def tables_of(kinds: Iterable[str]) -> str:
    """Return the tables that make resources of these kinds, such as `[edge] and [guard]`; '' for none of them."""
    present = set(kinds)
    return " and ".join(table for table, of_table in _OF.items() if of_table & present)
