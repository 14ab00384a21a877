"""What `up` sends of each thing, by the address at which it makes it: what a plan of Terraform's is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeport.export.graph import OF_EDGE, ResourceKind
from homeport.export.terraform.addresses import is_early
from homeport.google.call import self_link
from homeport.reconcile import Outputs, Resource, resolve
from homeport.resources.google.answering_edge import AnsweringEdge
from homeport.resources.google.apis import Apis
from homeport.resources.google.closed_door import ClosedDoor
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.load_balancer import Backend
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.monitoring import MonitoringPart
from homeport.resources.google.object import Object
from homeport.resources.google.release import Release
from homeport.resources.google.rest import RestResource
from homeport.resources.google.secret import SecretVersion
from homeport.resources.google.service import Service
from homeport.resources.google.traffic import OPEN
from terraformed import ADDRESS, Key, Planned, number_of

Table = dict[str, Any]  # Any: JSON


def behind_a_door(resources: Sequence[Resource]) -> set[Key]:
    """Grants that wait until the service's own address is closed."""
    doors = {one.id for one in resources if isinstance(one, ClosedDoor)}
    waiting = (one for one in resources if isinstance(one, Grant) and not doors.isdisjoint(one.needs))
    return {(one.on.api, one.on.path, one.role, one.member) for one in waiting}


def address_of(one: Resource) -> Key | None:
    """Where `up` makes it; None for what Terraform leaves to others, and for APIs, which are several."""
    if isinstance(one, Grant):
        return (one.on.api, one.on.path, one.role, one.member)
    if isinstance(one, SecretVersion):
        return ("secretmanager", f"v1/projects/rehearsal/secrets/{one.secret_id}:addVersion")
    if isinstance(one, RestResource):
        return (one.address.api, one.address.path)
    if isinstance(one, Object):
        return ("storage", f"storage/v1/b/{one.bucket}/o/{one.name}")
    assert isinstance(
        one, Apis | ContainerImage | MirroredImage | StoredWeights | Release | AnsweringEdge | ClosedDoor
    )
    return None


def ensure_in_order(
    resources: Sequence[Resource],
    made: Mapping[Key, Planned],
    before: Mapping[str, set[str]],
    *,
    own: Sequence[Resource] | None = None,
) -> int:
    """Fail where Terraform does not make something, by default anything, after what it needs. Returns how many needs there are."""
    addresses = {one.id: made[key].address for one in resources if (key := address_of(one)) is not None}
    addresses["apis"] = "google_project_service.apis"
    needs = [
        (one.id, need)
        for one in (resources if own is None else own)
        for need in one.needs
        # The DNS is set, and a certificate comes, while images are built: in Terraform they need no service.
        if not (is_early(one) and need.startswith("service/"))
        if one.id in addresses and need in addresses and addresses[one.id] != addresses[need]
    ]
    for id_, need in needs:
        assert addresses[need] in before[addresses[id_]], f"{id_} needs {need}"
    return len(needs)


def sent(resources: Sequence[Resource], outputs: Outputs) -> dict[Key, Any]:  # Any: JSON
    """What `up` sends, by address."""
    apis = next((one for one in resources if isinstance(one, Apis)), None)
    # Google chooses the names of these, and the stand-in knows none.
    channels = {one.id for one in resources if isinstance(one, MonitoringPart)}
    unnamed = {id_: {"name": "projects/rehearsal/notificationChannels/"} for id_ in channels}
    outputs = {**outputs, **unnamed, **{one.id: told_of(one) for one in resources if one.kind in OF_EDGE and isinstance(one, RestResource)}}  # fmt: skip
    made: dict[Key, Any] = {("serviceusage", service): {} for service in (apis.services if apis else ())}
    for one in resources:
        key = address_of(one)
        if key is None:
            continue
        if isinstance(one, Object):
            made[key] = {"content": one.content.decode()}
        elif isinstance(one, SecretVersion) and "-observe" in one.secret_id:
            made[key] = {"settings": one.value.reveal()}
        else:
            made[key] = resolve(one.wanted, outputs, final=True) if isinstance(one, RestResource) else {}
        if isinstance(one, Service) and one.has_edge:
            # `up` leaves them to the door, which says both; Terraform must say them here.
            made[key] |= {"ingress": one.wanted.get("ingress", OPEN), "defaultUriDisabled": False}
        elif isinstance(one, Backend) and one.policy is not None:
            made[key]["securityPolicy"] = outputs[one.policy.id]["selfLink"]
        elif one.kind == ResourceKind.URL_MAP and "/regions/" in key[1] and "tests" in made[key]:
            # The provider has no words for the rest of them there.
            made[key]["tests"] = [_plain_test(test) for test in made[key]["tests"] if "headers" not in test]
    return made


def _plain_test(test: Table) -> Table:
    return {key: value for key, value in test.items() if key != "expectedOutputUrl"}


def told_of(one: RestResource) -> Table:
    """What a plan tells of a part of a load balancer."""
    name = one.address.path.rpartition("/")[2]
    kind = "google_compute_region_backend_service" if "/regions/" in one.address.path else "google_compute_backend_service"  # fmt: skip
    place = one.address.path.split("/")[5] if "/regions/" in one.address.path else ""
    return {
        "selfLink": self_link(one.address.path),
        "name": one.address.path.removeprefix("v1/"),
        "address": ADDRESS,
        "id": str(number_of(kind, name, "generated_id", place)),
    }
