"""Where a project's parts of load balancers are listed: of global ones, and of those of regions."""

from __future__ import annotations

from collections.abc import Iterator

from homeport.resources.google import load_balancer as lb
from homeport.resources.google import managed_certificate as manager
from homeport.targets.cloudrun.listed_kind import ListedKind

_PLURALS = {lb.MAP: "URL maps", lb.HTTPS_PROXY: "HTTPS proxies", lb.HTTP_PROXY: "HTTP proxies", lb.ADDRESS: "addresses",
            lb.POLICY: "security policies"}  # fmt: skip
_MANAGER_PLURALS = {manager.AUTHORIZATION: "DNS authorizations"}
_OF_REGIONS = frozenset((manager.AUTHORIZATION, manager.MANAGED))
"""What Certificate Manager has in a region: a proxy there names its certificate itself, and no map of them."""


def _kinds(*, regional: bool) -> Iterator[ListedKind]:
    for kind, collection in lb.COLLECTIONS.items():
        # A serverless group is always of a region, below a global load balancer, too.
        place = "regions/{region}" if kind == lb.GROUP or regional else "global"
        yield ListedKind(
            kind=kind,
            plural=_PLURALS.get(kind, f"{kind}s"),
            api="compute",
            path=f"compute/v1/projects/{{project}}/{place}/{collection}",
            items="items",
        )
    for kind, collection in manager.COLLECTIONS.items():
        if kind in _OF_REGIONS or (kind != manager.ENTRY and not regional):  # An entry goes with its map.
            yield ListedKind(
                kind=kind,
                plural=_MANAGER_PLURALS.get(kind, f"{kind}s"),
                api="certificatemanager",
                path=f"v1/projects/{{project}}/locations/{'{region}' if regional else 'global'}/{collection}",
                items=collection,
            )


EDGE_KINDS = tuple(_kinds(regional=False))
REGIONAL_EDGE_KINDS = tuple(_kinds(regional=True))
