"""Is Identity-Aware Proxy before a service as planned, and does it let in those alone who are named?"""

from __future__ import annotations

from homeport.targets.cloudrun.observed_deployment import ObservedDeployment


def iap_misfit(deployed: ObservedDeployment) -> str:
    """Return what is wrong with the proxy before a service; '' for nothing, and where none is planned and none is there."""
    planned, enabled = deployed.planned.entrants, bool(deployed.service.get("iapEnabled"))
    if enabled is not bool(planned):
        return (
            "Identity-Aware Proxy does not stand before the service, and was planned"
            if planned
            else "Identity-Aware Proxy stands before the service, and was not planned: no caller's ID token is taken"
        )
    named = {member.casefold() for member in planned}
    unnamed = sorted(member for member in deployed.entrants if member.casefold() not in named)
    if unnamed:
        return (
            f"{' and '.join(unnamed)} may come in through Identity-Aware Proxy, though [access] iap does not name them: `homeport up` "
            "takes that back"
        )
    return ""
