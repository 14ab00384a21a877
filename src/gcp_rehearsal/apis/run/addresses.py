"""
The addresses of a service with Direct VPC egress, in the subnetworks that it sends through.

Cloud Run keeps them for a while after the service has gone; until then, and as long as the service is there, the
subnetwork cannot be deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import BASE
from gcp_rehearsal.apis.run.defaults import subnetwork_of
from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud


def hold(cloud: Cloud, service: StoredResource) -> None:
    """Hold an address in each subnetwork that a service sends through; those that it left are given back later."""
    project, region, _ = segments(service.name)
    access = service.body.get("template", {}).get("vpcAccess", {})
    subnetworks = {
        cloud.by_id(subnetwork_of(project, region, interface.get("subnetwork") or "default"))
        for interface in access.get("networkInterfaces", ())
    }
    held = {address.hidden["subnetwork"]: address for address in _of(cloud, service)}
    for name in sorted(subnetworks - set(held)):
        subnetwork = cloud.store.get("compute", name)
        if subnetwork is not None:
            _hold_in(cloud, subnetwork, service)
    for name in sorted(set(held) - subnetworks):
        _give_back(cloud, held[name])


def keep(cloud: Cloud, service: StoredResource) -> None:
    """Keep the addresses of a service that ends; later they go by themselves."""
    for address in list(_of(cloud, service)):
        _give_back(cloud, address)


def _of(cloud: Cloud, service: StoredResource) -> Iterator[StoredResource]:
    for address in cloud.store.of("compute", "compute.addresses"):
        if address.hidden.get("service") == service.name:
            yield address


def _give_back(cloud: Cloud, address: StoredResource) -> None:
    address.hidden.pop("service", None)

    def gone() -> None:
        if cloud.store.get("compute", address.name) is address:
            cloud.forget(address)

    if cloud.delays.addresses:
        cloud.clock.after(cloud.delays.addresses, gone)
    else:
        gone()


def _hold_in(cloud: Cloud, subnetwork: StoredResource, service: StoredResource) -> None:
    """Make an address as Google shows them, but without the range that it stands for."""
    id_ = cloud.number()
    place = subnetwork.name.rpartition("/subnetworks/")[0]
    name = f"{place}/addresses/serverless-ipv4-{id_}"
    cloud.store.put(StoredResource(
        api="compute", name=name, collection="compute.addresses", project=subnetwork.project,
        created=cloud.clock.now(), hidden={"service": service.name, "subnetwork": subnetwork.name}, body={
            "kind": "compute#address", "id": id_, "creationTimestamp": cloud.clock.text(),
            "name": name.rpartition("/")[2], "addressType": "INTERNAL", "purpose": "SERVERLESS", "prefixLength": 28,
            "status": "RESERVED", "subnetwork": f"{BASE}/{subnetwork.name}", "region": f"{BASE}/{place}",
            "selfLink": f"{BASE}/{name}",
        },
    ))  # fmt: skip
