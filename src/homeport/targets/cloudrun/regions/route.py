"""Does the load balancer before several regions answer as clients ask it, without the header that leads to one of them?"""

from __future__ import annotations

from dataclasses import dataclass

from homeport.google import Google
from homeport.google.credentials import GoogleIdentity, SignedIdentity
from homeport.targets.cloudrun.verification.checks import ROUTE
from homeport.targets.cloudrun.verification.revision import outside
from homeport.verify.check import Check
from homeport.verify.report import Finding, Result, failed, passed

_ANSWERS = 200
_LONGEST_S = 1800.0
"""The region that it comes to may start from zero."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientsRoute:
    """The address that clients use, and who asks there."""

    google: Google
    address: str
    behind_iap: bool = False
    """Whether Identity-Aware Proxy stands before the service of each region."""
    via: str = ""


async def look_at_route(route: ClientsRoute) -> Result:
    """Return whether the address answers a request that names no region."""
    check = Check(ROUTE, "the address answers as clients ask it", answers_clients, _LONGEST_S)
    return await check.looked(route)


async def answers_clients(route: ClientsRoute) -> Finding:
    """Check that the address lists models to a request without a header of the proof's."""
    credentials = route.google.credentials
    of = SignedIdentity if route.behind_iap else GoogleIdentity
    token = await of(credentials, route.address).token()
    async with outside(route.via) as sender:
        status, models = await sender.models(route.address, "/v1/models", token=token)
    if status != _ANSWERS or not models:
        return failed(
            f"{route.address} says {status} to a request that names no region"
            + ("" if models else ", and lists no model"),
            status=status,
        )
    return passed(f"{route.address} serves {', '.join(models)} to a request that names no region")


__all__ = ["ClientsRoute", "answers_clients", "look_at_route"]
