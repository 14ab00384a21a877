"""What of a load balancer is there for one further region alone: made once that region serves, and led to from then on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from homeport.export.graph import OF_EDGE, ResourceKind, Things
from homeport.export.terraform.addresses import Addresses
from homeport.export.terraform.edge import counted
from homeport.export.terraform.hcl import Attribute, Block, Code, Item, block, expression
from homeport.export.terraform.variable_names import unset
from homeport.reconcile import Resource
from homeport.resources.google.rest import RestResource

ADDRESS = re.compile(r"\bgoogle_\w+\.\w+")
"""What an expression refers to."""


def region_of(things: Things, one: Resource) -> Things:
    """Return the region without whose service a part has nowhere to lead: a further one for what leads there alone, else the first."""
    if one.kind == ResourceKind.GROUP:
        return _served_by(things, one)
    if one.kind == ResourceKind.BACKEND:
        groups = [
            need for each in one.needs if (need := things.by_id(each)) and need.kind == ResourceKind.GROUP
        ]
        regions = {region.region: region for region in (_served_by(things, group) for group in groups)}
        if len(regions) == 1:
            return next(iter(regions.values()))
    return things


def once_served(things: Things, addresses: Addresses, one: RestResource, body: list[Item]) -> list[Item]:
    """Return the arguments of a part that is made once there is a service to lead to, and leads to no region before it serves."""
    region = region_of(things, one)
    body = [*counted(one, unset(region, region.service)), *body]
    if region.is_further:
        return body
    alone = {
        addresses.of(part): there
        for part in things.resources
        if part.kind in OF_EDGE and (there := region_of(things, part)).is_further
    }
    return list(_led(body, alone))


def _led(items: Iterable[Item], alone: Mapping[str, Things]) -> Iterator[Item]:
    for item in items:
        if not isinstance(item, Block):
            yield item
            continue
        own = [expression(each.value) for each in item.body if isinstance(each, Attribute)]
        led = [alone[found] for text in own for found in ADDRESS.findall(text) if found in alone]
        if led:
            (region,) = {each.region: each for each in led}.values()
            served = Code(f"{unset(region, region.service)} ? [] : [1]")
            yield block(
                "dynamic",
                *item.words,
                body=[Attribute("for_each", served), block("content", body=item.body)],
            )
        else:
            yield replace(item, body=tuple(_led(item.body, alone)))


def _served_by(things: Things, group: Resource) -> Things:
    return next(
        (region for region in things.further if region.whole[region.service.id] in group.needs), things
    )


__all__ = ["ADDRESS", "once_served", "region_of"]
