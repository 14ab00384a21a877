"""What API Gateway took for an endpoint, found again: listed where the account is that it was made after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from homeport.errors import ApiDisabled, HomeportError, NoCredentials, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.reconcile import Resource
from homeport.resources.google import api_gateway as parts
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.rest import LABEL, RestResource
from homeport.targets.cloudrun.api_gateway.gateway import WORD, EndpointApiGateway, account_of
from homeport.targets.cloudrun.inventory import Inventory, Unread
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.service_labels import API_GATEWAY_LABEL


async def unwanted_api_gateway(
    google: Google,
    names: Names,
    wanted: EndpointApiGateway | None,
    labels: Mapping[str, str],
    granted: Sequence[Grant] = (),
) -> list[Resource]:
    """
    Return what another state of the file has left: all of it without a gateway, else configs, keys and gateways of before.

    A gateway that leaves the file goes before its clients' keys and what its account is `granted`: until then it serves.
    Nothing is asked of API Gateway where neither the account tells of one that it was made after nor the service, in its `labels`. Raises `Incomplete` where something could not be read.
    """
    who = account_of(google, names)
    live = await who.read()
    ours = live is not None and who.is_managed(live)
    if not ours and API_GATEWAY_LABEL not in labels:
        return []
    there = await _marked(google, names.name, (who.id,) if ours else ())
    if wanted is None:
        rights = tuple(grant.id for grant in granted if who.id in grant.needs)
        return [*_gateways_first(there, rights), *([who] if ours else [])]
    paths = {part.address.path for part in (wanted.api, wanted.config, wanted.gateway)}
    kept = {key.id for key in wanted.keys}
    return [part for part in there if part.id not in kept and _path(part) not in paths]


def _gateways_first(there: Sequence[Resource], rights: tuple[str, ...]) -> Iterator[Resource]:
    """Yield all of it, gateways so that they go before keys and `rights`, and keys before `rights`."""
    keys = tuple(part.id for part in there if isinstance(part, parts.ClientKey))
    for part in there:
        if isinstance(part, parts.ClientKey):
            yield replace(part, after=(*part.after, *rights))
        elif isinstance(part, RestResource) and part.kind == parts.GATEWAY:
            yield replace(part, after=(*part.after, *keys, *rights))
        else:
            yield part


async def find_api_gateway(
    google: Google, name: str, inventory: Inventory
) -> tuple[Sequence[Resource], tuple[Unread, ...]]:
    """Return what there is of the gateway of an endpoint whose account or service tells of one, and what could not be read."""
    accounts = [
        thing for thing in inventory.of(name) if WORD in str(thing.body.get("description", "")).split()
    ]
    labelled = any(API_GATEWAY_LABEL in thing.body.get("labels", {}) for thing in inventory.of(name))
    if not accounts and not labelled:
        return (), ()
    try:
        ids = tuple(f"service-account/{account.name}" for account in accounts)
        return await _marked(google, name, (*ids, f"service/{name}")), ()
    except NoCredentials:
        raise
    except HomeportError as error:
        return (), (Unread(kind=parts.GATEWAY, region="", what="API gateways and keys", error=error),)


def tells_of_api_gateway(inventory: Inventory, account: str) -> bool:
    """Tell whether the account of that id is what tells of a gateway."""
    return any(
        thing.name == account and WORD in str(thing.body.get("description", "")).split()
        for thing in inventory.things
        if thing.kind == "service account"
    )


async def _marked(google: Google, name: str, after: tuple[str, ...]) -> list[Resource]:
    """Return all that carries the mark, each before what it was made after, and `after` all of it."""
    root = f"v1/projects/{google.project}/locations"
    gateways = await _listed(google, f"{root}/-/gateways", "gateways", name)
    apis = await _listed(google, f"{root}/global/apis", "apis", name)
    configs: list[Json] = []
    for owner in apis:
        configs += await _listed(google, f"v1/{owner['name']}/configs", "apiConfigs", "")
    found_apis = [_at(parts.api(google, name), owner, f"api/{_last(owner)}", after) for owner in apis]
    above = (*after, *(owner.id for owner in found_apis))
    found_configs = [
        _at(parts.config(google, name, _last(each), "", "", {}), each, f"api-config/{_last(each)}", above)
        for each in configs
    ]
    serving = (*above, *(each.id for each in found_configs))
    keys = await parts.keys_of(google, name)
    clients = sorted({str(key["annotations"][parts.CLIENT]) for key in keys})
    return [
        *found_apis,
        *found_configs,
        # After a change of region that was broken off there are two of a name, and each keeps the config that it serves.
        *(
            _at(
                parts.gateway(google, name, "-", ""),
                each,
                f"api-gateway/{_last(each)} in {_place(each)}",
                serving,
            )
            for each in gateways
        ),
        *(parts.ClientKey(google=google, name=name, client=client, after=above) for client in clients),
    ]


async def _listed(google: Google, path: str, items: str, name: str) -> list[Json]:
    """Return the things of a list that carry the mark of `name`; '' for all. Raises `Incomplete` for a list that lacks some."""
    every = google.pages("apigateway", path, items)
    try:
        return [each async for each in every if not name or each.get("labels", {}).get(LABEL) == name]
    except (ApiDisabled, NotFound):
        return []


def _at(resource: RestResource, live: Json, id_: str, after: tuple[str, ...]) -> RestResource:
    """Return a resource at the address of what was found: enough of it to be read and taken away."""
    address = replace(resource.address, path=f"v1/{live['name']}")
    return replace(resource, id=id_, address=address, wanted={}, after=after)


def _last(live: Json) -> str:
    return str(live["name"]).rpartition("/")[2]


def _path(part: Resource) -> str:
    return part.address.path if isinstance(part, RestResource) else ""


def _place(live: Json) -> str:
    return str(live["name"]).partition("/locations/")[2].partition("/")[0]


__all__ = ["find_api_gateway", "tells_of_api_gateway", "unwanted_api_gateway"]
