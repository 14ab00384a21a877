"""What single tables of the file take, as blocks of Terraform: one function for each kind of thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind
from homeport.export.terraform.addresses import BILLING, PROJECT, Addresses
from homeport.export.terraform.bodies import fields
from homeport.export.terraform.edge import KNOWS as EDGE
from homeport.export.terraform.hcl import Code, Item, attributes, block, expression, joined
from homeport.resources.google.rest import RestResource

Blocks = Callable[[Addresses, RestResource, Fields], list[Item]]


def template(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a template of Model Armor."""
    known = {
        "template_id": _last(one),
        "location": addresses.place(_region(one)),
        "labels": addresses.labels(body),
    }
    config = dict(body.take("filterConfig"))
    if not config["raiSettings"]["raiFilters"]:
        del config["raiSettings"]  # The provider wants one of them in it at least.
    return [*attributes(known), *fields({"filterConfig": config, **body.rest()})]


def callout(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of an extension of a load balancer, or of the policy that asks one."""
    known = {"name": _last(one), "location": addresses.place(_region(one)), "labels": addresses.labels(body)}
    return [*attributes(known), *fields(body.rest())]


def registry_entry(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of an entry of Agent Registry, whose card the provider takes as JSON alone."""
    spec = Fields(body.take("agentSpec"), one.id)
    card = expression(spec.take("content"), "    ")
    known = {"service_id": _last(one), "location": addresses.place(_region(one))}
    kept = attributes({"type": spec.take("type"), "content": Code(f"jsonencode({card})")})
    spec.done()
    return [*attributes(known), *fields(body.rest()), block("agent_spec", body=kept)]


def regional_endpoint(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a way to one of Google's APIs."""
    known = {"name": _last(one), "location": addresses.place(_region(one)), "labels": addresses.labels(body)}
    within = {
        key: addresses.by_id(f"{key}/{body.take(key).rpartition('/')[2]}", "id")
        for key in ("network", "subnetwork")
    }
    return attributes(
        {
            **known,
            "target_google_api": body.take("targetGoogleApi"),
            "access_type": body.take("accessType"),
            **within,
        }
    )


def dashboard(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a dashboard, which the provider takes as JSON alone."""
    return attributes({"dashboard_json": Code(f"jsonencode({expression(body.rest(), '  ')})")})


def as_it_is(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a thing that the provider has as the API does."""
    return fields(body.rest())


def uptime_check(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of an uptime check. The provider, in its version 8.7.0, has none to switch one off."""
    body.take("disabled")
    return fields(body.rest())


def budget(_: Addresses, __: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a budget, which lies with the billing account."""
    scope = {**body.take("budgetFilter"), "projects": [joined("projects/", PROJECT)]}
    rules = body.take("notificationsRule")
    arguments = {
        "budgetFilter": scope,
        **body.rest(),
        **({"allUpdatesRule": rules} if any(rules.values()) else {}),
    }
    return [*attributes({"billing_account": BILLING}), *fields(arguments)]


OBSERVE: Mapping[str, Blocks] = {
    ResourceKind.DASHBOARD: dashboard,
    ResourceKind.ALERT_POLICY: as_it_is,
    ResourceKind.CHANNEL: as_it_is,
    ResourceKind.UPTIME_CHECK: uptime_check,
    ResourceKind.BUDGET: budget,
}
GUARD: Mapping[str, Blocks] = {
    ResourceKind.TEMPLATE: template,
    ResourceKind.ENDPOINT: regional_endpoint,
    ResourceKind.TRAFFIC_EXTENSION: callout,
    ResourceKind.AUTHZ_EXTENSION: callout,
    ResourceKind.AUTHZ_POLICY: callout,
}
AGENT: Mapping[str, Blocks] = {ResourceKind.REGISTRY_ENTRY: registry_entry}
KNOWS: Mapping[str, Blocks] = {**GUARD, **OBSERVE, **EDGE, **AGENT}


def _last(resource: RestResource) -> str:
    return resource.address.path.rpartition("/")[2]


def _region(resource: RestResource) -> str:
    return resource.address.path.split("/")[4]
