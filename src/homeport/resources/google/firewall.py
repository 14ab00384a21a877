"""Firewall rules for what leaves a network."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.google import Google
from homeport.reconcile import Concat, Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource


def egress(
    google: Google, name: str, network_name: str, rule: str, *, ranges: Sequence[str | Concat], allow: bool
) -> RestResource:
    """Return the rule `rule` of the endpoint `name`: what goes to `ranges` may leave the network, or may not."""
    parent = f"compute/v1/projects/{google.project}/global/firewalls"
    protocol = [{"IPProtocol": "tcp", "ports": ["443"]}] if allow else [{"IPProtocol": "all"}]
    return RestResource(
        google=google,
        name=name,
        id=f"firewall/{rule}",
        kind="firewall rule",
        address=Address(api="compute", path=f"{parent}/{rule}", made_at=parent),
        wanted={
            "name": rule,
            "network": Ref(f"network/{network_name}", "selfLink"),
            "direction": "EGRESS",
            "priority": 1000 if allow else 65000,
            "destinationRanges": list(ranges),
            ("allowed" if allow else "denied"): protocol,
            "description": f"{LABEL}={name}",
        },
        rules=Rules(
            immutable=frozenset(("name", "network", "direction", "description")),
            unordered=frozenset(("destinationRanges", "allowed[].ports")),
            references=frozenset(("network",)),
        ),
        change="merge",
        marked="description",
    )
