"""What stands for the private network, as blocks of Terraform: one function for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform.addresses import Addresses, of_a_zone
from homeport.export.terraform.hcl import Attribute, Code, Item, Note, attributes, block, expression, joined
from homeport.resources.google.dns import RecordSet
from homeport.resources.google.rest import RestResource


def network(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a network."""
    return attributes(
        {
            "name": body.take("name"),
            "description": body.take("description"),
            "auto_create_subnetworks": body.take("autoCreateSubnetworks"),
            "routing_mode": body.take("routingConfig", {}).get("routingMode"),
        }
    )


def subnetwork(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a subnetwork."""
    arguments = attributes(
        {
            "name": body.take("name"),
            "description": body.take("description"),
            "network": body.take("network"),
            "region": addresses.place(one.address.path.split("/")[5]),
            "ip_cidr_range": body.take("ipCidrRange"),
            "purpose": body.take("purpose"),
            "role": body.take("role"),
        }
    )
    if one.wanted.get("purpose"):
        return arguments  # Of the proxies of a load balancer, which has nothing else in it.
    private = Attribute("private_ip_google_access", body.take("privateIpGoogleAccess"))
    return [*arguments, Note("Google's APIs are reached without the internet."), private]


def firewall(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a rule of its firewall."""
    arguments = attributes(
        {
            "name": body.take("name"),
            "description": body.take("description"),
            "network": body.take("network"),
            "direction": body.take("direction"),
            "priority": body.take("priority"),
            "destination_ranges": body.take("destinationRanges"),
        }
    )
    rules = [("allow", each) for each in body.take("allowed", ())]
    rules += [("deny", each) for each in body.take("denied", ())]
    return [*arguments, *(block(word, body=_rule(rule)) for word, rule in rules)]


def zone(addresses: Addresses, one: RestResource, body: Fields) -> list[Item] | None:
    """Return the arguments of all private zones; None where the first one's block makes this one, too."""
    zones = [each for each in addresses.things.all(type(one)) if each.kind == ResourceKind.ZONE]
    networks = body.take("privateVisibilityConfig")["networks"]
    body.take("name"), body.take("dnsName")
    shared = {
        "description": body.take("description"),
        "visibility": body.take("visibility"),
        "labels": addresses.labels(body),
    }
    _alike(zones, "name", "dnsName")
    if one is not zones[0]:
        return None
    name = joined(f"{addresses.things.name}-", Code("each.key"))
    network_blocks = [
        block("networks", body=attributes({"network_url": each["networkUrl"]})) for each in networks
    ]
    return [
        Attribute("for_each", Code("local.private_domains")),
        *attributes({"name": name, "dns_name": Code("each.value"), **shared}),
        block("private_visibility_config", body=network_blocks),
    ]


def record(addresses: Addresses, one: RecordSet, body: Fields) -> list[Item] | None:
    """Return the arguments of a record of DNS; None where the block of another one makes it, too."""
    host, values = body.take("name"), body.take("rrdatas")
    wild = host.startswith("*.")
    shared = {"type": body.take("type"), "ttl": body.take("ttl")}
    if not of_a_zone(addresses.things, one):
        zone_name = one.address.path.split("/")[5].removeprefix(f"{addresses.things.name}-")
        within = Code(f"{_zones(addresses, one)}[{expression(zone_name)}].name")
        return attributes({"managed_zone": within, "name": host, **shared, "rrdatas": values})
    shaped = [each for each in addresses.things.all(RecordSet) if of_a_zone(addresses.things, each)]
    same = [each for each in shaped if each.wanted["name"].startswith("*.") == wild]
    _alike(same, "name", *(("rrdatas",) if wild else ()))
    if one is not same[0]:
        return None
    name = Code("each.value.dns_name")
    return [
        Attribute("for_each", Code(f"{_zones(addresses, one)}")),
        *attributes(
            {
                "managed_zone": Code("each.value.name"),
                "name": joined("*.", name) if wild else name,
                **shared,
                "rrdatas": [name] if wild else values,
            }
        ),
    ]


KNOWS: Mapping[str, Callable[[Addresses, Any, Fields], list[Item] | None]] = {  # Any: the resource of that kind
    ResourceKind.NETWORK: network, ResourceKind.SUBNETWORK: subnetwork, ResourceKind.FIREWALL: firewall,
    ResourceKind.ZONE: zone, ResourceKind.RECORD: record,
}  # fmt: skip


def domains(things: Things) -> dict[str, str]:
    """Return the names with private zones, by what their zones' names end with. Raises `TypeError` for other zones."""
    by_ending = {}
    for resource in things.resources:
        if isinstance(resource, RestResource) and resource.kind == ResourceKind.ZONE:
            start, name = f"{things.name}-", resource.wanted["name"]
            if not name.startswith(start):
                raise TypeError(f"{resource.id} does not begin with {start}")
            by_ending[name.removeprefix(start)] = resource.wanted["dnsName"]
    return by_ending


def _alike(things: Sequence[RestResource], *but: str) -> None:
    """Raise `TypeError` where things that one block makes differ in more than these fields."""
    bodies = [{key: value for key, value in thing.wanted.items() if key not in but} for thing in things]
    if any(body != bodies[0] for body in bodies):
        raise TypeError(f"{', '.join(thing.id for thing in things)} differ: one block cannot make them")


def _rule(rule: Mapping[str, Any]) -> list[Item]:  # Any: JSON, with Code
    body = Fields(rule, "a firewall rule")
    arguments = attributes({"protocol": body.take("IPProtocol"), "ports": body.take("ports")})
    body.done()
    return arguments


def _zones(addresses: Addresses, record: RestResource) -> str:
    known = next((addresses.known(need) for need in record.needs if need.startswith("zone/")), None)
    if known is None:
        raise TypeError(f"{record.id} has no zone")
    return known
