"""What is relied on in Google Cloud, a clause each: for Google itself, and for what stands in for it."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from homeport import google
from homeport.contract.place import REGION, SEEN_S, ContractPlace, expect, refusal
from homeport.contract.questions import QUESTIONS
from homeport.errors import AlreadyExists, Conflict, GoogleError, HomeportError, InvalidArgument, NotFound
from homeport.google import Binding, IamResource
from homeport.google.storage import UploadOptions, upload
from homeport.progress import Silent
from homeport.reconcile import Cancellation, Destroyed, Resource, apply, destroy, make_plan
from homeport.resources.google.bucket import bucket
from homeport.resources.google.repository import repository
from homeport.resources.google.secret import secret
from homeport.resources.google.service_account import account

APIS = (
    "artifactregistry",
    "cloudresourcemanager",
    "compute",
    "dns",
    "iam",
    "run",
    "secretmanager",
    "storage",
)
"""What must be enabled for all of them to be tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One thing that is relied on."""

    text: str
    """As a sentence."""
    keep: Callable[[ContractPlace], Awaitable[str | None]]
    """Tries it. Returns what a question came to. Raises `ClauseBroken`, or what Google refuses."""
    asks: bool = False
    """Whether nothing is relied on: it tells which of two ways Google takes, and cannot be broken."""


async def _what_was_made_is_read_and_found_by_its_label(place: ContractPlace) -> None:
    async with place.secret() as path:
        secret = await place.google.get("secretmanager", path)
        query = {"filter": f"labels.contract={place.name}"}
        pages = place.google.pages("secretmanager", f"{place.parent}/secrets", "secrets", **query)
        expect(
            [listed["name"] async for listed in pages] == [secret["name"]],
            "the filter by a label found something else",
        )
    with refusal(NotFound):
        await place.google.get("secretmanager", path)


async def _what_is_not_there_is_not_found(place: ContractPlace) -> None:
    project = place.google.project
    for api, path in (
        ("secretmanager", f"{place.parent}/secrets/{place.name}"),
        ("storage", f"storage/v1/b/{project}-{place.name}"),
        ("artifactregistry", f"{place.parent}/locations/{REGION}/repositories/{place.name}"),
        ("iam", f"{place.parent}/serviceAccounts/{place.name}@{project}.iam.gserviceaccount.com"),
        ("run", f"v2/projects/{project}/locations/{REGION}/services/{place.name}"),
    ):
        with refusal(NotFound):
            await place.google.get(api, path)


async def _a_name_is_taken_once(place: ContractPlace) -> None:
    async with place.secret(), place.bucket() as name:
        with refusal(AlreadyExists):
            async with place.secret():
                pass
        with refusal(AlreadyExists):
            body = {"name": name, "location": REGION}
            await place.google.post("storage", "storage/v1/b", body, project=place.google.project)


async def _what_google_does_not_take_is_an_invalid_argument(place: ContractPlace) -> None:
    with refusal(InvalidArgument):
        body: Any = {"replication": {"automatic": {}}}  # Any: JSON
        await place.google.post("secretmanager", f"{place.parent}/secrets", body, secretId="not a name")
    with refusal(InvalidArgument):
        body = {"name": "Not-A-Name", "location": REGION}
        await place.google.post("storage", "storage/v1/b", body, project=place.google.project)


async def _the_newest_version_of_a_secret_is_the_latest(place: ContractPlace) -> None:
    async with place.secret() as path:
        with refusal(NotFound):
            await place.google.get("secretmanager", f"{path}/versions/latest:access")
        await place.add_version(path, b"one")
        second = await place.add_version(path, b"two")
        got = await place.google.get("secretmanager", f"{path}/versions/latest:access")
        expect(
            (got["name"], base64.b64decode(got["payload"]["data"])) == (second["name"], b"two"),
            "latest is not the newest version",
        )
        await place.google.post("secretmanager", f"{path}/versions/2:disable", {})
        with refusal(GoogleError) as refused:
            await place.google.get("secretmanager", f"{path}/versions/latest:access")
        expect(
            isinstance(refused.error, GoogleError) and refused.error.status == 400,
            "a disabled version was handed out, or refused otherwise than with 400",
        )


async def _an_object_that_must_be_new_is_not_overwritten(place: ContractPlace) -> None:
    async with place.bucket() as name:
        new = UploadOptions(if_generation_match=0)
        await upload(place.google, name, "manifest.json", b"one", new)
        await upload(place.google, name, "manifest.json", b"one", new)
        with refusal(Conflict):
            await upload(place.google, name, "manifest.json", b"two", new)
        path = f"storage/v1/b/{name}/o/manifest.json"
        expect(
            await place.google.content("storage", path, alt="media") == b"one", "the object was overwritten"
        )


async def _a_bucket_that_was_changed_meanwhile_is_a_conflict(place: ContractPlace) -> None:
    async with place.bucket() as name:
        path = f"storage/v1/b/{name}"
        before = await place.google.get("storage", path)
        await place.google.patch("storage", path, {"labels": {"team": "one"}})
        with refusal(Conflict):
            query = {"ifMetagenerationMatch": before["metageneration"]}
            await place.google.patch("storage", path, {"labels": {"team": "two"}}, **query)


async def _a_policy_that_was_changed_meanwhile_is_a_conflict(place: ContractPlace) -> None:
    async with place.account() as email, place.secret() as path:
        before = await place.google.get("secretmanager", f"{path}:getIamPolicy")
        thing = IamResource(api="secretmanager", path=path)
        mine = Binding(role="roles/secretmanager.secretAccessor", members=(f"serviceAccount:{email}",))
        expect(
            await google.grant(place.google.patient(accounts=SEEN_S), thing, [mine]),
            "a grant that was not there was not made",
        )
        expect(
            not await google.grant(place.google, thing, [mine]), "a grant that was there was made once more"
        )
        with refusal(Conflict):
            stale = {"policy": {"bindings": [], "etag": before["etag"]}}
            await place.google.post("secretmanager", f"{path}:setIamPolicy", stale)
        expect(await google.revoke(place.google, thing, [mine]), "the grant was not taken back")
        after = await place.google.get("secretmanager", f"{path}:getIamPolicy")
        expect(not after.get("bindings"), "a grant is left")


async def _what_takes_time_is_there_when_its_operation_ends(place: ContractPlace) -> None:
    async with place.repository() as path:
        made = await place.google.get("artifactregistry", path)
        expect(made["format"] == "DOCKER", "the repository is of another format")
    with refusal(NotFound):
        await place.google.get("artifactregistry", path)


async def _after_up_there_is_nothing_to_do_and_after_down_nothing_is_left(place: ContractPlace) -> None:
    things, halt = _things(place), Cancellation()
    up = asyncio.create_task(apply(await make_plan(place.name, "contract", things), Silent(), halt))

    async def down() -> Destroyed:
        halt.ask()
        await asyncio.wait({up})  # Where it was broken off: what is being made is there before it can go.
        return await destroy(things, Silent())

    try:
        await asyncio.shield(up)
        again = await make_plan(place.name, "contract", _things(place))
        expect([action.resource.id for action in again.pending] == [], "after an up there is something to do")
    finally:
        ended = await place.ensured(down(), " and ".join(thing.id for thing in things))
        place.left.extend(f"{name} (its removal failed)" for name in ended.left)
    expect((ended.left, ended.errors) == ((), ()), "after a down something is left")
    expect(len(ended.gone) == len(things), "a down has not told all that went")


async def _a_policy_is_read_in_the_version_that_it_needs(place: ContractPlace) -> None:
    async with place.secret() as path:
        query: dict[str, Any] = {"options.requestedPolicyVersion": 3}  # Any: a query
        read = await place.google.get("secretmanager", f"{path}:getIamPolicy", **query)
        expect(read.get("version") in {None, 0, 1}, "a policy without conditions has another version than 1")
        with refusal(InvalidArgument):
            query = {"options.requestedPolicyVersion": 2}
            await place.google.get("secretmanager", f"{path}:getIamPolicy", **query)


async def _labels_are_guarded_by_a_fingerprint_of_their_own(place: ContractPlace) -> None:
    async with place.made("compute", f"{place.compute}/global/addresses", {}) as path:
        before = (await place.google.get("compute", path))["labelFingerprint"]
        labels = {"labels": {"contract": place.name}, "labelFingerprint": before}
        await place.finish("compute", await place.google.post("compute", f"{path}/setLabels", labels))
        after = (await place.google.get("compute", path))["labelFingerprint"]
        expect(after != before, "labels have changed, and their fingerprint has not")
        with refusal(Conflict):
            await place.google.post("compute", f"{path}/setLabels", labels)


async def _what_is_used_cannot_be_deleted(place: ContractPlace) -> None:
    networks, subnetworks = (
        f"{place.compute}/global/networks",
        f"{place.compute}/regions/{REGION}/subnetworks",
    )
    addresses = f"{place.compute}/regions/{REGION}/addresses"
    async with place.made("compute", networks, {"autoCreateSubnetworks": False}) as network:
        inside = {"network": network.removeprefix("compute/v1/"), "ipCidrRange": "10.8.0.0/28"}
        async with place.made("compute", subnetworks, inside) as subnetwork:
            with refusal(HomeportError):  # At Google the request is taken, and its operation fails.
                await place.finish("compute", await place.google.delete("compute", network))
            held = {"addressType": "INTERNAL", "subnetwork": subnetwork.removeprefix("compute/v1/")}
            async with place.made("compute", addresses, held):
                with refusal(HomeportError) as refused:
                    await place.finish("compute", await place.google.delete("compute", subnetwork))
                expect(
                    "already being used by" in str(refused.error),
                    f"it was refused otherwise: {refused.error}",
                )


async def _a_backend_of_cloud_run_takes_no_timeout(place: ContractPlace) -> None:
    groups = f"{place.compute}/regions/{REGION}/networkEndpointGroups"
    serverless = {"networkEndpointType": "SERVERLESS", "cloudRun": {"service": place.name}}
    async with place.made("compute", groups, serverless) as group:
        body = {"loadBalancingScheme": "EXTERNAL_MANAGED", "protocol": "HTTPS",
                "backends": [{"group": group.removeprefix("compute/v1/")}]}  # fmt: skip
        services = f"{place.compute}/global/backendServices"
        with refusal(InvalidArgument):
            async with place.made("compute", services, {**body, "timeoutSec": 600}):
                pass
        async with place.made("compute", services, body) as service:
            read = await place.google.get("compute", service)
            expect(read["backends"][0]["group"].endswith(f"/{place.name}"), "it has another backend")


async def _records_of_a_private_zone_come_back_as_they_were_sent(place: ContractPlace) -> None:
    zones, domain = f"dns/v1/projects/{place.google.project}/managedZones", f"{place.name}.example."
    body = {"dnsName": domain, "description": "what a contract makes", "visibility": "private"}
    async with place.made("dns", zones, body) as zone:
        sent = ["10.0.0.2", "10.0.0.1"]
        record = {"name": f"a.{domain}", "type": "A", "ttl": 60, "rrdatas": sent}
        path = f"{zone}/rrsets/a.{domain}/A"
        async with place.removing("dns", path, partial(place.google.post, "dns", f"{zone}/rrsets", record)):
            read = await place.google.get("dns", path)
        expect(sorted(read["rrdatas"]) == sorted(sent), f"other addresses came back: {read['rrdatas']}")


async def _a_service_that_is_only_validated_is_not_made(place: ContractPlace) -> None:
    services = f"v2/projects/{place.google.project}/locations/{REGION}/services"
    body = {"template": {"containers": [{"image": "us-docker.pkg.dev/cloudrun/container/hello"}]}}
    begun = await place.google.post("run", services, body, serviceId=place.name, validateOnly=True)
    await place.google.finish("run", begun, progress=Silent(), key=place.name)
    with refusal(NotFound):
        await place.google.get("run", f"{services}/{place.name}")
    with refusal(InvalidArgument):
        wrong = {"template": {"containers": [{"image": "", "ports": [{"containerPort": 99999}]}]}}
        await place.google.post("run", services, wrong, serviceId=place.name, validateOnly=True)


def _things(place: ContractPlace) -> list[Resource]:
    return [
        bucket(place.google, place.name, f"{place.google.project}-{place.name}", REGION),
        secret(place.google, place.name, place.name, REGION),
        repository(place.google, place.name, place.name, REGION),
        account(place.google, place.name, place.name, "what a contract makes"),
    ]


_RELIED_ON = tuple(
    Clause(text=act.__name__.strip("_").replace("_", " "), keep=act)
    for act in (
        _what_was_made_is_read_and_found_by_its_label,
        _what_is_not_there_is_not_found,
        _a_name_is_taken_once,
        _what_google_does_not_take_is_an_invalid_argument,
        _the_newest_version_of_a_secret_is_the_latest,
        _an_object_that_must_be_new_is_not_overwritten,
        _a_bucket_that_was_changed_meanwhile_is_a_conflict,
        _a_policy_that_was_changed_meanwhile_is_a_conflict,
        _what_takes_time_is_there_when_its_operation_ends,
        _after_up_there_is_nothing_to_do_and_after_down_nothing_is_left,
        _a_policy_is_read_in_the_version_that_it_needs,
        _labels_are_guarded_by_a_fingerprint_of_their_own,
        _what_is_used_cannot_be_deleted,
        _a_backend_of_cloud_run_takes_no_timeout,
        _records_of_a_private_zone_come_back_as_they_were_sent,
        _a_service_that_is_only_validated_is_not_made,
    )
)
CLAUSES: tuple[Clause, ...] = (
    *_RELIED_ON,
    *(Clause(text=act.__name__.strip("_").replace("_", " "), keep=act, asks=True) for act in QUESTIONS),
)
"""All that is tried, in this order: what is relied on, then what is asked."""
