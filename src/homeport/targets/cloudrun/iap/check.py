"""Is Identity-Aware Proxy before a service as planned, and does it let in those alone who are named?"""

from __future__ import annotations

from homeport.google.policy import folded
from homeport.targets.cloudrun.iap.entry import ACCESSOR
from homeport.targets.cloudrun.verification.observed_deployment import Entrant, ObservedDeployment


def iap_misfit(deployed: ObservedDeployment) -> str:
    """Return what is wrong with the proxy before a service; '' for nothing, and where none is planned and none is there."""
    planned, enabled = deployed.planned.entrants, bool(deployed.service.get("iapEnabled"))
    if enabled is not bool(planned):
        return (
            "Identity-Aware Proxy does not stand before the service, and was planned"
            if planned
            else "Identity-Aware Proxy stands before the service, and was not planned: no caller's ID token is taken"
        )
    named = {folded(member) for member in planned}
    unnamed = [one for one in deployed.entrants if folded(one.member) not in named]
    plain = sorted({one.member for one in unnamed if one.role == ACCESSOR and not one.condition})
    if plain:
        return (
            f"{' and '.join(plain)} may come in through Identity-Aware Proxy, though [access] iap does not name them: `homeport up` "
            "takes that back"
        )
    if unnamed:
        ways = " and ".join(sorted({_way(one) for one in unnamed}))
        return (
            f"{ways}: [access] iap does not name them, and homeport leaves alone what others granted under a condition or by "
            "another role: name them there, or take them out of Identity-Aware Proxy's policy for the service"
        )
    return ""


def _way(entrant: Entrant) -> str:
    """Return who may come in, and by what."""
    return f"{entrant.member} may come in{_by(entrant)}"


def in_words(entrant: Entrant) -> str:
    """Return who comes in, and by what where that is not as homeport grants it."""
    return f"{entrant.member}{_by(entrant)}"


def _by(entrant: Entrant) -> str:
    by = f" under the condition {entrant.condition!r}" if entrant.condition else ""
    by += f" by {entrant.role}" if entrant.role != ACCESSOR else ""
    perhaps = f", as far as is known (its permissions could not be read: {entrant.unread})"
    return f"{by}{perhaps if entrant.unread else ''}"
