"""What the rehearsal does for every API alike: routes, checks, stores, operations, policies, faults, time."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud, Delays, Project
from gcp_rehearsal.discovery import NAMES, find, load
from gcp_rehearsal.errors import FaultError
from gcp_rehearsal.faults import Fault, parse
from gcp_rehearsal.filters import matches
from gcp_rehearsal.testing import Rehearsed

SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"
TEMPLATES = "modelarmor.us-central1.rep.googleapis.com/v1/projects/rehearsal/locations/us-central1/templates"
REPOSITORIES = "artifactregistry.googleapis.com/v1/projects/rehearsal/locations/us-central1/repositories"
CHECKS = "compute.googleapis.com/compute/v1/projects/rehearsal/global/healthChecks"
AUTOMATIC: dict[str, Any] = {"replication": {"automatic": {}}}


@pytest.fixture
def cloud() -> Cloud:
    """A cloud where nothing takes time, and every API has long been enabled."""
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, *{name.partition(".")[0] for name in NAMES})
    return cloud


@pytest.mark.parametrize("name", NAMES)
def test_every_method_of_every_document_is_found_by_its_own_path(name: str) -> None:
    document = load(name)
    api = name.partition(".")[0]
    for method in document.methods.values():
        path = "/".join("x" if piece.startswith("{") and piece.endswith("}") else piece.replace("{", "").replace("}", "")
                        for piece in method.flat.split("/"))  # fmt: skip
        found = find(f"{api}.googleapis.com", method.verb, f"/{path}")
        assert found is not None, method.id
        assert (found.method.verb, found.method.flat.count("/")) == (method.verb, method.flat.count("/"))


def test_a_region_may_stand_in_the_host() -> None:
    for host in (
        "us-central1-run.googleapis.com",
        "run.us-central1.rep.googleapis.com",
        "run.googleapis.com:443",
    ):
        found = find(host, "GET", "/v2/projects/p/locations/l/services/s")
        assert found is not None
        assert found.method.id == "run.projects.locations.services.get"


def test_a_path_that_no_document_has_is_404(cloud: Cloud) -> None:
    assert act(Raw(cloud).send("GET", "run.googleapis.com/v2/nothing")).status == 404
    other = act(Raw(cloud).send("GET", "run.googleapis.com/v9/nothing"))
    assert (other.status, "version v9" in other.error) == (501, True)


def test_a_stranger_is_401(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("GET", SECRETS, authorization="Bearer ya29.real"))
    assert (answer.status, answer.body["error"]["status"]) == (401, "UNAUTHENTICATED")


def test_a_project_that_is_not_there_is_403(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("GET", SECRETS.replace("rehearsal", "elsewhere")))
    assert answer.status == 403
    assert answer.body["error"]["details"][0]["reason"] == "CONSUMER_INVALID"


def test_an_api_that_is_off_is_403_with_the_page_that_enables_it() -> None:
    answer = act(Raw(Cloud(delays=AT_ONCE)).send("GET", SECRETS))
    assert answer.status == 403
    assert answer.error.startswith("Secret Manager API has not been used in project 481516234200 before")
    assert answer.body["error"]["details"][0]["reason"] == "SERVICE_DISABLED"


def test_an_unknown_field_is_refused_with_googles_path(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("POST", f"{SECRETS}?secretId=a", {**AUTOMATIC, "colour": "red"}))
    assert answer.status == 400
    assert "Unknown name \"colour\" at 'secret': Cannot find field." in answer.error
    assert answer.body["error"]["details"][0]["fieldViolations"][0]["field"] == "secret.colour"


def test_several_wrong_things_are_told_at_once(cloud: Cloud) -> None:
    body = {"replication": {"automatic": 3}, "labels": {"a": 1}, "ttl": "soon"}
    answer = act(Raw(cloud).send("POST", f"{SECRETS}?secretId=a", body))
    assert len(answer.body["error"]["details"][0]["fieldViolations"]) == 3
    assert answer.error.count("\n") == 2


def test_an_unknown_query_parameter_is_refused(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("GET", f"{SECRETS}?colour=red"))
    assert answer.status == 400
    assert "Cannot bind query parameter" in answer.error


def test_older_apis_refuse_in_the_older_envelope(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("GET", f"{CHECKS}/none"))
    assert answer.status == 404
    assert answer.body["error"]["errors"][0]["reason"] == "notFound"
    assert "status" not in answer.body["error"]


def test_a_body_that_is_no_json_is_400(cloud: Cloud) -> None:
    answer = act(Raw(cloud).send("POST", SECRETS, content=b"{"))
    assert (answer.status, answer.body["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_a_projects_number_is_as_good_as_its_id(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await raw.send("POST", f"{TEMPLATES}?templateId=t", {"filterConfig": {}})
        answer = await raw.send("GET", f"{TEMPLATES}/t".replace("rehearsal", "481516234200"))
        assert answer.status == 200

    act(work())


def test_a_thing_is_made_read_changed_listed_and_deleted_by_the_generic_core(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        made = await raw.send("POST", f"{TEMPLATES}?templateId=t", {"filterConfig": {}, "labels": {"a": "1"}})
        assert made.status == 200
        assert made.body["name"] == "projects/rehearsal/locations/us-central1/templates/t"
        assert (await raw.send("POST", f"{TEMPLATES}?templateId=t", {"filterConfig": {}})).status == 409
        changed = await raw.send("PATCH", f"{TEMPLATES}/t?updateMask=labels", {"labels": {"b": "2"}})
        assert changed.body["labels"] == {"b": "2"}
        assert changed.body["filterConfig"] == {}
        listed = await raw.send("GET", f"{TEMPLATES}?filter=labels.b=2")
        assert [one["labels"] for one in listed.body["templates"]] == [{"b": "2"}]
        assert (await raw.send("DELETE", f"{TEMPLATES}/t")).status == 200
        assert (await raw.send("GET", f"{TEMPLATES}/t")).status == 404

    act(work())


def test_a_mask_may_be_in_snake_case_and_an_unknown_field_in_it_is_refused(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        await raw.send("POST", f"{TEMPLATES}?templateId=t", {"filterConfig": {}})
        body: dict[str, Any] = {"filterConfig": {"sdpSettings": {}}}
        changed = await raw.send("PATCH", f"{TEMPLATES}/t?updateMask=filter_config", body)
        assert changed.body["filterConfig"] == {"sdpSettings": {}}
        assert (await raw.send("PATCH", f"{TEMPLATES}/t?updateMask=colour", body)).status == 400

    act(work())


def test_an_old_etag_is_refused(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        etag = (await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)).body["etag"]
        first = {"labels": {"a": "1"}, "etag": etag}
        assert (await raw.send("PATCH", f"{SECRETS}/a?updateMask=labels", first)).status == 200
        second = await raw.send("PATCH", f"{SECRETS}/a?updateMask=labels", {"labels": {}, "etag": etag})
        assert (second.status, second.body["error"]["status"]) == (400, "FAILED_PRECONDITION")

    act(work())


def test_lists_come_page_by_page(cloud: Cloud) -> None:
    async def work() -> list[str]:
        raw = Raw(cloud)
        for number in range(5):
            await raw.send("POST", f"{SECRETS}?secretId=s{number}", AUTOMATIC)
        names: list[str] = []
        token = ""
        while True:
            answer = await raw.send("GET", f"{SECRETS}?pageSize=2&pageToken={token}")
            names += [one["name"].rpartition("/")[2] for one in answer.body["secrets"]]
            token = answer.body.get("nextPageToken", "")
            if not token:
                return names

    assert act(work()) == ["s0", "s1", "s2", "s3", "s4"]


def test_what_is_only_validated_is_not_made(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        address = "run.googleapis.com/v2/projects/rehearsal/locations/us-central1/jobs"
        body = {"template": {"template": {"containers": [{"image": "docker.io/library/busybox"}]}}}
        assert (await raw.send("POST", f"{address}?jobId=j&validateOnly=true", body)).status == 200
        assert (await raw.send("GET", f"{address}/j")).status == 404

    act(work())


def test_an_operation_takes_its_time_and_is_answered_meanwhile() -> None:
    cloud = Cloud(delays=Delays())
    enable(cloud, "artifactregistry")

    async def work() -> float:
        raw, loop = Raw(cloud), asyncio.get_running_loop()
        begun = loop.time()
        answer = await raw.send("POST", f"{REPOSITORIES}?repositoryId=r", {"format": "DOCKER"})
        assert "done" not in answer.body
        while not answer.body.get("done"):
            await asyncio.sleep(0.5)
            answer = await raw.send("GET", f"artifactregistry.googleapis.com/v1/{answer.body['name']}")
        assert answer.body["response"]["name"].endswith("/repositories/r")
        return loop.time() - begun

    assert 1 <= act(work()) <= 60


def test_a_request_that_is_sent_again_with_its_id_is_done_once(cloud: Cloud) -> None:
    async def work() -> None:
        raw = Raw(cloud)
        url = f"{CHECKS}?requestId=7e2ae0a4-32c7-4bd8-9c2b-0b0c2a1d9c11"
        first = await raw.send("POST", url, {"name": "h", "type": "TCP"})
        second = await raw.send("POST", url, {"name": "h", "type": "TCP"})
        assert first.body["name"] == second.body["name"]
        assert (await raw.send("POST", CHECKS, {"name": "h", "type": "TCP"})).status == 409

    act(work())


@given(st.integers(0, 2**63 - 1))
def test_a_number_of_64_bits_comes_back_as_text(number: int) -> None:
    from gcp_rehearsal.schema import SchemaCheck

    document = load("storage.v1")
    method = document.methods["storage.buckets.insert"]
    body, wrong = SchemaCheck(document).body(method, {"metageneration": number})
    assert (body, wrong) == ({"metageneration": str(number)}, [])


@pytest.mark.parametrize(
    ("text", "passes"),
    [("labels.homeport=home", True), ("labels.homeport=other", False), ('name:"sec"', True), ("labels.homeport:*", True),
     ("labels.homeport=home AND name:x", False), ("-labels.homeport=home", False), ("NOT name:x", True), ("", True)],
)  # fmt: skip
def test_filters_let_through_what_they_say(text: str, passes: bool) -> None:
    assert matches(text, {"name": "secret", "labels": {"homeport": "home"}}) is passes


# Faults.


def test_the_nth_call_fails_before_anything_was_done(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="secretmanager.projects.secrets.create", status=503, nth=2))

    async def work() -> None:
        raw = Raw(cloud)
        assert (await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)).status == 200
        assert (await raw.send("POST", f"{SECRETS}?secretId=b", AUTOMATIC)).status == 503
        assert (await raw.send("GET", f"{SECRETS}/b")).status == 404

    act(work())


def test_an_answer_can_be_lost_after_all_was_done(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="*.secrets.create", status=500, after=True))

    async def work() -> None:
        raw = Raw(cloud)
        assert (await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)).status == 500
        assert (await raw.send("GET", f"{SECRETS}/a")).status == 200

    act(work())


def test_a_connection_can_be_dropped_before_or_after(cloud: Cloud) -> None:
    cloud.faults += [
        Fault(method="*.create", drop=True),
        Fault(method="*.create", drop=True, after=True, nth=2),
    ]

    async def work() -> None:
        raw = Raw(cloud)
        for there in (404, 200):
            with pytest.raises(httpx2.RemoteProtocolError):
                await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)
            assert (await raw.send("GET", f"{SECRETS}/a")).status == there

    act(work())


def test_an_answer_can_be_later_than_a_client_waits(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="*.list", delay=40))

    async def work() -> None:
        headers = {"authorization": f"Bearer {cloud.token(OWNER)}"}
        async with httpx2.AsyncClient(transport=Rehearsed(cloud), headers=headers, timeout=30) as client:
            with pytest.raises(httpx2.ReadTimeout):
                await client.get(f"https://{SECRETS}")

    act(work())


def test_of_two_who_make_the_same_at_once_the_second_is_told_that_it_is_there(cloud: Cloud) -> None:
    cloud.faults.append(Fault(method="*.secrets.create", twin=True))

    async def work() -> None:
        raw = Raw(cloud)
        assert (await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)).status == 409
        assert (await raw.send("GET", f"{SECRETS}/a")).status == 200

    act(work())


def test_of_two_who_change_the_same_policy_at_once_the_second_has_read_what_is_there_no_more(
    cloud: Cloud,
) -> None:
    cloud.faults.append(Fault(method="*.setIamPolicy", twin=True))

    async def work() -> None:
        raw = Raw(cloud)
        await raw.send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)
        read = (await raw.send("GET", f"{SECRETS}/a:getIamPolicy")).body
        granted = [{"role": "roles/viewer", "members": [f"user:{OWNER}"]}]
        change = {"policy": {"etag": read["etag"], "bindings": granted}}
        assert (await raw.send("POST", f"{SECRETS}/a:setIamPolicy", change)).status == 409
        assert (await raw.send("GET", f"{SECRETS}/a:getIamPolicy")).body["bindings"] == granted

    act(work())


def test_a_jump_of_the_clock_ends_what_was_under_way() -> None:
    cloud = Cloud(delays=Delays())
    enable(cloud, "artifactregistry")
    cloud.faults.append(Fault(method="*.operations.get", jump=3600))

    async def work() -> None:
        raw = Raw(cloud)
        answer = await raw.send("POST", f"{REPOSITORIES}?repositoryId=r", {"format": "DOCKER"})
        answer = await raw.send("GET", f"artifactregistry.googleapis.com/v1/{answer.body['name']}")
        assert answer.body["done"] is True

    act(work())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("storage.buckets.insert:500:after", Fault(method="storage.buckets.insert", status=500, after=True)),
        ("run.*.create:delay=30:nth=2:times=3", Fault(method="run.*.create", delay=30, nth=2, times=3)),
        ("*:drop", Fault(drop=True)),
        ("*:jump=60", Fault(jump=60)),
        ("*.setIamPolicy:twin", Fault(method="*.setIamPolicy", twin=True)),
    ],
)
def test_a_fault_can_be_written_down(text: str, fault: Fault) -> None:
    assert parse(text) == fault


@pytest.mark.parametrize(
    "text", ["", "x", "x:", "x:soon", "x:delay=-1", "x:200", "x:nth=0:500", ":500", "x:after"]
)
def test_what_is_no_fault_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(FaultError, match="is no fault") as caught:
        parse(text)
    assert "METHOD:WHAT" in caught.value.hint


def test_two_projects_do_not_see_each_others_things() -> None:
    cloud = Cloud(
        projects=(Project(), Project(id="other", number="42", owner="them@example.com")), delays=AT_ONCE
    )
    enable(cloud, "secretmanager")

    async def work() -> None:
        assert (await Raw(cloud).send("POST", f"{SECRETS}?secretId=a", AUTOMATIC)).status == 200
        stranger = await Raw(cloud, "them@example.com").send("GET", f"{SECRETS}/a")
        assert stranger.status == 403
        assert "secretmanager.secrets.get" in stranger.error

    act(work())


def test_every_request_is_in_the_log(cloud: Cloud) -> None:
    act(Raw(cloud).send("POST", f"{SECRETS}?secretId=a", AUTOMATIC))
    assert [(one.method, one.status) for one in cloud.log] == [("secretmanager.projects.secrets.create", 200)]
