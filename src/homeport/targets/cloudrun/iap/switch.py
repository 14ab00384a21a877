"""Turning Identity-Aware Proxy on or off before what serves: who comes in next is let in before, who came in until then goes last."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace

from homeport.reconcile import Resource
from homeport.resources.google.iam_binding import Grant, ServingGrant
from homeport.resources.google.service import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class IapSwitch:
    """
    The proxy is turned on or off for a service of which a verified revision serves.

    It is of the service and not of a revision: whoever the other side lets in is refused from then on, for as long as a proof takes,
    and until the next `up` where that fails.
    """

    leaving: frozenset[str]
    """Members that may call the service, by the names of its policy, and lose that once the next revision is proven."""

    def last(self, grants: Iterable[Grant]) -> list[Grant]:
        """Return the grants, with those of members that leave taken back at the end."""
        return [at_the_end(grant) if grant.member in self.leaving else grant for grant in grants]


def at_the_end(grant: Grant) -> ServingGrant:
    """Return a grant that goes once everything else is done, where it is wanted no more."""
    return ServingGrant(**{field.name: getattr(grant, field.name) for field in fields(Grant)})


def let_in_first(
    resources: Iterable[Resource], name: str, apis: str, first: Collection[str]
) -> list[Resource]:
    """Return all resources, with the grants of the ids `first` made before the service is changed, which is there."""
    service, behind = f"service/{name}", {f"service/{name}", f"release/{name}"}
    placed: list[Resource] = []
    for resource in resources:
        if isinstance(resource, Grant) and resource.id in first:
            needs = tuple(need for need in resource.needs if need not in behind)
            placed.append(replace(resource, needs=(apis, *needs)))
        elif isinstance(resource, Service) and resource.id == service:
            placed.append(replace(resource, after=(*resource.after, *first)))
        else:
            placed.append(resource)
    return placed
