"""What stands before a service besides its load balancer, as `status` tells it: an API gateway, and Identity-Aware Proxy with who comes in."""

from __future__ import annotations

from dataclasses import dataclass

from homeport.errors import ApiDisabled, HomeportError, NoCredentials, NotFound
from homeport.google import Google
from homeport.resources.google.api_gateway import address_of_gateway
from homeport.resources.google.traffic import Body
from homeport.targets.cloudrun.iap.check import in_words
from homeport.targets.cloudrun.iap.entrants import entering
from homeport.targets.cloudrun.service_labels import API_GATEWAY_LABEL


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoors:
    """Both, as far as they could be read."""

    gateway: str | None
    """Where clients with keys ask; None for nowhere."""
    iap: tuple[str, ...] | None
    """Who comes in through Identity-Aware Proxy, in words; None where it does not stand before the service, or where that is not known."""
    behind_iap: bool
    """Whether it stands before the service."""
    unread: tuple[str, ...]
    """What could not be read, in words."""


async def front_doors(google: Google, service: Body) -> FrontDoors:
    """Return what stands before a service."""
    gateway, unread = await _gateway(google, service)
    entrants, unseen = await _entrants(google, service)
    return FrontDoors(
        gateway=gateway, iap=entrants, behind_iap=bool(service.get("iapEnabled")), unread=(*unread, *unseen)
    )


async def _gateway(google: Google, service: Body) -> tuple[str | None, tuple[str, ...]]:
    region = service.get("labels", {}).get(API_GATEWAY_LABEL)
    if not region:
        return None, ()
    path = service["name"].replace(
        f"/locations/{service['name'].split('/')[3]}/services/", f"/locations/{region}/gateways/"
    )
    try:
        return f"{address_of_gateway(await google.get('apigateway', f'v1/{path}'))}/v1", ()
    except NoCredentials:
        raise
    except (NotFound, ApiDisabled):
        return None, ()
    except HomeportError as error:
        return None, (f"the API gateway: {error}",)


async def _entrants(google: Google, service: Body) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    if not service.get("iapEnabled"):
        return None, ()
    try:
        return tuple(in_words(one) for one in await entering(google, str(service["name"]))), ()
    except NoCredentials:
        raise
    except HomeportError as error:
        return None, (f"who comes in through Identity-Aware Proxy: {error}",)


__all__ = ["FrontDoors", "front_doors"]
