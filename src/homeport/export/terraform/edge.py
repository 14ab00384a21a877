"""A load balancer as blocks of Terraform: one function for each kind of part, and what of the service it opens and closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from homeport.export.fields import Fields
from homeport.export.graph import ResourceKind, Things
from homeport.export.terraform.addresses import Addresses, is_counted
from homeport.export.terraform.bodies import fields
from homeport.export.terraform.hcl import Attribute, Code, Item, Note, attributes, block, expression
from homeport.json_types import JsonObject
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.rest import RestResource
from homeport.resources.google.traffic import BACK_DOOR, OPEN, WITHIN

CERTIFICATE_FILE = "edge.pem"
"""The certificate of one's own, beside the module."""
KEY = Code("var.edge_private_key")
_MANAGERS = "//certificatemanager.googleapis.com/"
_REPLACED = (
    "Another certificate has another name: it is there before the proxy shows it, and the old one goes then."
)
_UNTOLD = "Of the map's tests the provider has no words here for those with headers: `homeport up` adds them."

Blocks = Callable[[Addresses, RestResource, Fields], list[Item]]


def group(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a serverless group."""
    target = dict(body.take("cloudRun"))
    there = addresses.in_region(one.address.path.split("/")[5])
    served = there.things.service
    if target["service"] == served.own_name:
        target["service"] = Code(f"{there.of(served)}[0].name")
    return [*_placed(addresses, one), *fields({**body.rest(), "cloudRun": target})]


def backend(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a backend service."""
    assert isinstance(one, Backend)
    # The provider refuses one of a region in which nothing has a share.
    share = {"capacityScaler": 1} if _is_regional(one) else {}
    groups = [{**each, **share} for each in body.take("backends")]
    guard = addresses.by_id(one.policy.id, "id") if one.policy else None
    return [
        *_placed(addresses, one),
        *fields({**body.rest(), "securityPolicy": guard, "backend": groups}),
    ]


def url_map(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a URL map, whose lists the provider has in the singular."""
    hosts, tests = body.take("hostRules", ()), body.take("tests", ())
    notes: list[Item] = []
    if _is_regional(one):
        said = [{key: value for key, value in test.items() if key != "expectedOutputUrl"} for test in tests]
        tests = [test for test in said if "headers" not in test]
        notes = [Note(_UNTOLD)] if len(tests) < len(said) else []
    singular = {"hostRule": hosts, "pathMatcher": body.take("pathMatchers", ()), "test": tests}
    listed = {key: list(value) for key, value in singular.items() if value}
    return [*_placed(addresses, one), *notes, *fields({**body.rest(), **listed})]


def certificate(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a certificate of one's own, whose key is only written."""
    if body.take("type") != "SELF_MANAGED":
        raise TypeError(f"Terraform has no words for {one.id}")
    body.take("selfManaged")
    return [
        *_placed(addresses, one),
        *fields(body.rest()),
        Attribute("certificate", Code(f'file("${{path.module}}/{CERTIFICATE_FILE}")')),
        Note("Sent, and kept nowhere: not in the state, not in a plan."),
        *attributes({"private_key_wo": KEY, "private_key_wo_version": "1"}),
        *_replaced(),
    ]


def policy(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a security policy."""
    rules = {"rules" if _is_regional(one) else "rule": list(body.take("rules"))}
    return [*_placed(addresses, one), *fields({**body.rest(), **rules})]


def https_proxy(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a proxy with certificates."""
    shown = body.take("sslCertificates")
    managers = shown and shown[0].text.startswith(f'"{_MANAGERS}')
    key = "certificateManagerCertificates" if managers else "sslCertificates"
    return [*_placed(addresses, one), *fields({**body.rest(), key: shown})]


def rule(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a forwarding rule."""
    named = {"ip_address": body.take("IPAddress"), "ip_protocol": body.take("IPProtocol")}
    return [*_placed(addresses, one), *fields({**body.rest(), **named})]


def as_it_is(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of a part that the provider has as the API does."""
    return [*_placed(addresses, one), *fields(body.rest())]


def of_manager(addresses: Addresses, one: RestResource, body: Fields) -> list[Item]:
    """Return the arguments of what makes a certificate of Google's."""
    steps = one.address.path.split("/")
    where = addresses.place(steps[4]) if steps[4] != "global" else None
    known: JsonObject = {"name": steps[-1], "location": where, "labels": addresses.labels(body)}
    if one.kind == ResourceKind.ENTRY:
        known["map"] = addresses.by_id(f"certificate-map/{steps[6]}", "name")
    # In a region its name tells the domain; elsewhere it stays, and the old one goes first.
    return [*attributes(known), *fields(body.rest()), *(_replaced() if where else ())]


KNOWS: Mapping[str, Blocks] = {
    ResourceKind.GROUP: group,
    ResourceKind.BACKEND: backend,
    ResourceKind.URL_MAP: url_map,
    ResourceKind.CERTIFICATE: certificate,
    ResourceKind.POLICY: policy,
    ResourceKind.HTTPS_PROXY: https_proxy,
    ResourceKind.RULE: rule,
    **dict.fromkeys((ResourceKind.ADDRESS, ResourceKind.HTTP_PROXY), as_it_is),
    **dict.fromkeys(
        (
            ResourceKind.AUTHORIZATION,
            ResourceKind.MANAGED,
            ResourceKind.CERTIFICATE_MAP,
            ResourceKind.ENTRY,
        ),
        of_manager,
    ),
}


def beside(things: Things) -> dict[str, str]:
    """Return the file that the module reads: a certificate of one's own."""
    own = [one for one in things.all(RestResource) if one.kind == ResourceKind.CERTIFICATE]
    return {CERTIFICATE_FILE: own[0].wanted["selfManaged"]["certificate"]} if own else {}


def of_service(door: ClosedDoor, had: Code) -> dict[str, Any]:  # Any: Code
    """Return what of a service its load balancer closes, once the file says which address it `had`."""
    change = door.closed("")
    told = {key: value for key, value in change["annotations"].items() if value is not None}
    told[BACK_DOOR] = had
    said = expression(told, "  ")
    is_closed = f'{had.text} != ""'
    ingress = WITHIN if door.is_isolated else Code(f'{is_closed} ? "{door.ingress}" : "{OPEN}"')
    return {
        "annotations": Code(f"{{ for key, value in {said} : key => value if {is_closed} }}"),
        "ingress": ingress,
        "defaultUriDisabled": Code(is_closed),
    }


def records(things: Things, addresses: Addresses) -> list[Code]:
    """Return the lists of DNS records that the domain must have, as texts; none without a load balancer."""
    door, lists = things.door, list[Code]()
    if door is None:
        return []
    domain = door.address.removeprefix("https://")
    for one in things.all(RestResource):
        if one.kind == ResourceKind.ADDRESS:
            lists.append(Code(f'["{domain}. A ${{{addresses.code(one, "address").text}}}"]'))
        if one.kind == ResourceKind.AUTHORIZATION:
            of = addresses.code(one, "dns_resource_record").text
            lists.append(Code(f'[for record in {of} : "${{record.name}} ${{record.type}} ${{record.data}}"]'))
    return lists


def counted(one: RestResource, unset: str) -> list[Item]:
    """Return the argument by which a part is made once its service is; nothing for what is made before."""
    return [Attribute("count", Code(f"{unset} ? 0 : 1"))] if is_counted(one) else []


def _placed(addresses: Addresses, one: RestResource) -> list[Item]:
    where = addresses.place(one.address.path.split("/")[5]) if _is_regional(one) else None
    return attributes({"region": where})


def _is_regional(one: RestResource) -> bool:
    return "/regions/" in one.address.path


def _replaced() -> list[Item]:
    return [block("lifecycle", body=[Note(_REPLACED), Attribute("create_before_destroy", True)])]


__all__ = ["KNOWS", "beside", "counted", "of_service", "records"]
