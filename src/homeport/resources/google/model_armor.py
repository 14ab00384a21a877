"""Model Armor: the template that says what is looked for, and the way to it from within a network."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from homeport.google import Google
from homeport.reconcile import Ref
from homeport.reconcile.diff import Rules
from homeport.resources.google.rest import LABEL, Address, RestResource

TEMPLATE = "Model Armor template"
ENDPOINT = "regional endpoint"
LEVEL = "MEDIUM_AND_ABOVE"
"""From which confidence on something is a match. It is always sent: Google's pages disagree on what none means."""
VERSION = "FILTER_VERSION_ALIAS_STABLE"
"""Which version of the filters judges."""
_HARMS = ("SEXUALLY_EXPLICIT", "HATE_SPEECH", "HARASSMENT", "DANGEROUS")


def host(region: str) -> str:
    """Return the host that has the templates of a region, and screens by them; the global one does neither."""
    return f"modelarmor.{region}.rep.googleapis.com"


def template(
    google: Google, name: str, template_id: str, region: str, filters: Collection[str]
) -> RestResource:
    """Return the template of the endpoint `name` that runs `filters`, by the names that homeport has for them."""
    parent = f"v1/projects/{google.project}/locations/{region}/templates"
    return RestResource(
        google=google,
        name=name,
        id=f"model-armor-template/{template_id}",
        kind=TEMPLATE,
        address=Address(
            api=f"modelarmor.{region}.rep",
            path=f"{parent}/{template_id}",
            made_at=parent,
            query={"templateId": template_id},
        ),
        wanted={
            "labels": {LABEL: name},
            "filterConfig": filter_config(filters),
            "templateMetadata": {"filterVersionSelector": {"alias": VERSION}},
        },
        rules=Rules(keys={"filterConfig.raiSettings.raiFilters": "filterType"}),
    )


def filter_config(filters: Collection[str]) -> dict[str, Any]:  # Any: JSON
    """Return what a template is told of its filters: each is on with a level, or off; nothing is left to a default."""
    return {
        "piAndJailbreakFilterSettings": _switched("injection" in filters, confidenceLevel=LEVEL),
        "maliciousUriFilterSettings": _switched("urls" in filters),
        "sdpSettings": {"basicConfig": _switched("secrets" in filters)},
        "raiSettings": {
            "raiFilters": [{"filterType": harm, "confidenceLevel": LEVEL} for harm in _HARMS]
            if "harm" in filters
            else []
        },
    }


def regional_endpoint(
    google: Google, name: str, endpoint_id: str, region: str, subnetwork: str
) -> RestResource:
    """
    Return the way from a subnetwork, of the same name as its network, to Model Armor of its region.

    Private Google Access does not lead there: Google answers every call with 404.
    """
    parent = f"v1/projects/{google.project}/locations/{region}/regionalEndpoints"
    body = {
        "labels": {LABEL: name},
        "accessType": "REGIONAL",
        "targetGoogleApi": host(region),
        "network": f"projects/{google.project}/global/networks/{subnetwork}",
        "subnetwork": f"projects/{google.project}/regions/{region}/subnetworks/{subnetwork}",
    }
    return RestResource(
        google=google,
        name=name,
        id=f"regional-endpoint/{endpoint_id}",
        kind=ENDPOINT,
        address=Address(
            api="networkconnectivity",
            path=f"{parent}/{endpoint_id}",
            made_at=parent,
            query={"regionalEndpointId": endpoint_id},
        ),
        wanted=body,
        after=(f"network/{subnetwork}", f"subnetwork/{subnetwork}"),
        rules=Rules(immutable=frozenset(body), references=frozenset(("network", "subnetwork"))),
        change="never",
    )


def address_of(endpoint: RestResource) -> Ref:
    """Return the address within the network at which it answers, which Google chooses."""
    return Ref(endpoint.id, "address")


def _switched(on: bool, **more: str) -> dict[str, str]:
    return {"filterEnforcement": "ENABLED", **more} if on else {"filterEnforcement": "DISABLED"}
