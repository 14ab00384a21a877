"""Google's own roads to Model Armor: what else a file must say for one, and with what one cannot be together."""

from __future__ import annotations

from typing import Any

KINDS = ("regional", "internal")
"""Load balancers at which Google has them. Of global ones no page was found that says so for Model Armor."""


def road_refusal(spec: Any) -> str:  # Any: the spec, whose module imports this one
    """Return why the file's screen cannot stand at a load balancer; '' where it can, or stands before the engine."""
    guard, edge = spec.guard, spec.edge
    if guard is None or guard.in_gateway:
        return ""
    road = f'guard.where = "{guard.where}"'
    if edge is None:
        return (
            f'{road} stands at a load balancer, and the file has none: add [edge] with kind = "regional" and a domain of yours, or '
            'set where = "gateway", which needs none'
        )
    if edge.kind not in KINDS:
        return (
            f"{road} stands at a load balancer of a region: Google calls Model Armor by no {edge.kind} one that its pages tell of. Let "
            'the [edge] be of kind = "regional" or "internal", or set where = "gateway"'
        )
    reasons = {
        f'{road} knows no embeddings, so that nothing would be screened where task is "embed"; set where = "gateway", or remove [guard]': spec.task == "embed",
        f"{road} is called for everything at the load balancer, and edge.backends and edge.shares lead to other endpoints, whose own files say "
        "how they are screened; remove one of the two": edge.backends or edge.shares,
        f'{road} stands at {edge.address}, and access.audience = "{spec.access.audience}" lets tokens in that another load balancer of the '
        'project brings past it. Set where = "gateway", or remove access.audience': spec.access.audience not in (None, edge.address),
    }  # fmt: skip
    return next((reason for reason, so in reasons.items() if so), "")


__all__ = ["KINDS", "road_refusal"]
