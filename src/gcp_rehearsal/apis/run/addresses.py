"""The addresses that Cloud Run keeps in a subnetwork for a while after a service with Direct VPC egress is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcp_rehearsal.apis.compute.references import BASE
from gcp_rehearsal.apis.run.defaults import subnetwork_of
from gcp_rehearsal.apis.run.revisions import of_service
from gcp_rehearsal.apis.run.status import segments
from gcp_rehearsal.state import StoredResource

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud


def keep(cloud: Cloud, service: StoredResource) -> None:
    """Keep an address in each subnetwork that a service sends through, which ends; later it goes by itself."""
    if not cloud.delays.addresses:
        return
    project, region, _ = segments(service.name)
    used = {
        cloud.by_id(subnetwork_of(project, region, interface.get("subnetwork") or "default"))
        for revision in of_service(cloud, service)
        for interface in revision.body.get("vpcAccess", {}).get("networkInterfaces", ())
    }
    for name in sorted(used):
        subnetwork = cloud.store.get("compute", name)
        if subnetwork is not None:
            _keep_in(cloud, subnetwork)


def _keep_in(cloud: Cloud, subnetwork: StoredResource) -> None:
    """Return an address as Google shows them, but without the range that it stands for."""
    id_ = cloud.number()
    place = subnetwork.name.rpartition("/subnetworks/")[0]
    name = f"{place}/addresses/serverless-ipv4-{id_}"
    address = cloud.store.put(StoredResource(
        api="compute", name=name, collection="compute.addresses", project=subnetwork.project,
        created=cloud.clock.now(), body={
            "kind": "compute#address", "id": id_, "creationTimestamp": cloud.clock.text(),
            "name": name.rpartition("/")[2], "addressType": "INTERNAL", "purpose": "SERVERLESS", "prefixLength": 28,
            "status": "RESERVED", "subnetwork": f"{BASE}/{subnetwork.name}", "region": f"{BASE}/{place}",
            "selfLink": f"{BASE}/{name}",
        },
    ))  # fmt: skip

    def give_back() -> None:
        if cloud.store.get("compute", name) is address:
            cloud.forget(address)

    cloud.clock.after(cloud.delays.addresses, give_back)
