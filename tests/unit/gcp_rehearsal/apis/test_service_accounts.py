"""Service accounts and APIs in the rehearsal: what they are, when they are seen, and who may act as them."""

from __future__ import annotations

import asyncio

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud, Delays

IAM = "iam.googleapis.com/v1/projects/rehearsal/serviceAccounts"
USAGE = "serviceusage.googleapis.com/v1/projects/rehearsal/services"
EMAIL = "runner@rehearsal.iam.gserviceaccount.com"


@pytest.fixture
def raw() -> Raw:
    return Raw(Cloud(delays=AT_ONCE))


async def made(raw: Raw, account: str = "runner") -> None:
    answer = await raw.send("POST", IAM, {"accountId": account, "serviceAccount": {"displayName": "Runs"}})
    assert answer.status == 200, answer.body


def test_an_account_is_found_by_its_e_mail_its_number_and_without_its_project(raw: Raw) -> None:
    act(made(raw))
    found = act(raw.send("GET", f"{IAM}/{EMAIL}")).body
    assert (found["email"], found["displayName"], found["projectId"]) == (EMAIL, "Runs", "rehearsal")
    assert act(raw.send("GET", f"{IAM}/{found['uniqueId']}")).body == found
    assert act(raw.send("GET", f"iam.googleapis.com/v1/projects/-/serviceAccounts/{EMAIL}")).body == found
    assert act(raw.send("GET", IAM)).body == {"accounts": [found]}


def test_a_new_account_is_not_seen_at_once_and_cannot_be_granted_anything_before() -> None:
    cloud = Cloud(delays=Delays(grants=0, accounts=8, apis=0))
    raw, policy = (
        Raw(cloud),
        {"policy": {"bindings": [{"role": "roles/viewer", "members": [f"serviceAccount:{EMAIL}"]}]}},
    )
    project = "cloudresourcemanager.googleapis.com/v3/projects/rehearsal:setIamPolicy"

    async def waited() -> None:
        await made(raw)
        assert (await raw.send("GET", f"{IAM}/{EMAIL}")).error == "Unknown service account"
        refused = await raw.send("POST", project, policy)
        assert (refused.status, refused.error) == (400, f"Service account {EMAIL} does not exist.")
        await asyncio.sleep(8)
        assert (await raw.send("GET", f"{IAM}/{EMAIL}")).status == 200

    act(waited())


def test_an_account_exists_once_and_its_name_is_checked(raw: Raw) -> None:
    act(made(raw))
    again = act(raw.send("POST", IAM, {"accountId": "runner"}))
    assert (again.status, again.error) == (
        409,
        "Service account runner already exists within project projects/rehearsal.",
    )
    assert act(raw.send("POST", IAM, {"accountId": "Run"})).status == 400


def test_an_account_s_words_change_by_a_mask_and_under_its_etag(raw: Raw) -> None:
    act(made(raw))
    before = act(raw.send("GET", f"{IAM}/{EMAIL}")).body
    mine = {"serviceAccount": {"displayName": "Mine", "etag": before["etag"]}, "updateMask": "display_name"}
    assert act(raw.send("PATCH", f"{IAM}/{EMAIL}", mine)).body["displayName"] == "Mine"
    late = act(raw.send("PATCH", f"{IAM}/{EMAIL}", mine))
    assert (late.status, late.body["error"]["status"]) == (409, "ABORTED")
    assert (
        act(raw.send("PATCH", f"{IAM}/{EMAIL}", {"serviceAccount": {}, "updateMask": "email"})).status == 400
    )


def test_a_role_tells_what_it_holds(raw: Raw) -> None:
    found = act(raw.send("GET", "iam.googleapis.com/v1/roles/run.invoker")).body
    assert "run.routes.invoke" in found["includedPermissions"]
    unknown = act(raw.send("GET", "iam.googleapis.com/v1/roles/run.unheardOf"))
    assert (unknown.status, "the rehearsal does not act out" in unknown.error) == (501, True)


def test_pools_of_identities_are_made_and_deleted(raw: Raw) -> None:
    pools = "iam.googleapis.com/v1/projects/rehearsal/locations/global/workloadIdentityPools"
    begun = act(raw.send("POST", f"{pools}?workloadIdentityPoolId=github", {"displayName": "GitHub"}))
    assert begun.body["done"] is True
    assert act(raw.send("GET", f"{pools}/github")).body["displayName"] == "GitHub"
    assert act(raw.send("DELETE", f"{pools}/github")).status == 200


def test_an_api_answers_some_time_after_it_was_enabled() -> None:
    cloud = Cloud(delays=Delays(grants=0, accounts=0, apis=20))
    raw, secrets = Raw(cloud), "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"

    async def enabled() -> None:
        assert (await raw.send("GET", secrets)).status == 403
        begun = await raw.send(
            "POST", f"{USAGE}:batchEnable", {"serviceIds": ["secretmanager.googleapis.com"]}
        )
        assert begun.body["name"].startswith("operations/acat.p2-481516234200-")
        await asyncio.sleep(6)
        done = (await raw.send("GET", f"serviceusage.googleapis.com/v1/{begun.body['name']}")).body
        assert done["response"]["services"][0]["state"] == "ENABLED"
        assert (await raw.send("GET", secrets)).status == 403
        await asyncio.sleep(20)
        assert (await raw.send("GET", secrets)).status == 200

    act(enabled())


def test_to_enable_what_is_enabled_is_no_work(raw: Raw) -> None:
    act(raw.send("POST", f"{USAGE}/dns.googleapis.com:enable", {}))
    again = act(raw.send("POST", f"{USAGE}/dns.googleapis.com:enable", {})).body
    assert (again["name"], again["done"]) == ("operations/noop.DONE_OPERATION", True)


def test_services_are_listed_by_their_state(raw: Raw) -> None:
    act(raw.send("POST", f"{USAGE}/dns.googleapis.com:enable", {}))
    on = act(raw.send("GET", f"{USAGE}?filter=state:ENABLED")).body["services"]
    off = act(raw.send("GET", f"{USAGE}?filter=state:DISABLED")).body["services"]
    names = {one["config"]["name"] for one in on}
    assert "dns.googleapis.com" in names
    assert names.isdisjoint(one["config"]["name"] for one in off)


def test_a_service_that_nobody_knows_and_too_many_at_once_are_refused(raw: Raw) -> None:
    assert act(raw.send("POST", f"{USAGE}/nonsense.googleapis.com:enable", {})).status == 403
    many = {"serviceIds": ["dns.googleapis.com"] * 21}
    assert act(raw.send("POST", f"{USAGE}:batchEnable", many)).status == 400


def test_an_api_that_is_disabled_answers_no_more(raw: Raw) -> None:
    enable(raw._cloud, "dns")
    zones = "dns.googleapis.com/dns/v1/projects/rehearsal/managedZones"
    assert act(raw.send("GET", zones)).status == 200
    act(raw.send("POST", f"{USAGE}/dns.googleapis.com:disable", {}))
    assert act(raw.send("GET", zones)).status == 403


def test_a_role_of_a_project_grants_what_is_in_it_and_changes_with_it() -> None:
    cloud = Cloud(delays=AT_ONCE)
    owner, other = Raw(cloud), Raw(cloud, "reader@example.com")
    roles, name = "iam.googleapis.com/v1/projects/rehearsal/roles", "projects/rehearsal/roles/reads"
    body = {
        "roleId": "reads",
        "role": {"title": "Reads", "includedPermissions": ["iam.serviceAccounts.list"]},
    }
    assert act(owner.send("POST", roles, body)).body["name"] == name
    assert act(owner.send("POST", roles, body)).status == 409
    policy = {
        "bindings": [
            {"role": name, "members": ["user:reader@example.com"]},
            {"role": "roles/owner", "members": ["user:you@example.com"]},
        ]
    }
    cloud.access.set_policy("cloudresourcemanager", "projects/rehearsal", policy, at_once=True)
    assert act(other.send("GET", IAM)).status == 200
    assert act(other.send("POST", IAM, {"accountId": "another", "serviceAccount": {}})).status == 403
    changed = {"includedPermissions": ["run.services.get"]}
    act(owner.send("PATCH", f"{roles}/reads?updateMask=includedPermissions", changed))
    assert act(owner.send("GET", f"{roles}/reads")).body["includedPermissions"] == ["run.services.get"]
    assert act(other.send("GET", IAM)).status == 403
    unknown = {"roleId": "odd", "role": {"includedPermissions": ["no.such.thing"]}}
    assert act(owner.send("POST", roles, unknown)).status == 501
    act(owner.send("DELETE", f"{roles}/reads"))
    assert act(owner.send("GET", f"{roles}/reads")).body["deleted"] is True
