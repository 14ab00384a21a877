"""Long-running operations, of all three kinds."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from cloud import act
from google_door import Heard, Script, door, refuses, says
from homeport.errors import (
    GoogleError,
    NetworkError,
    OperationFailed,
    OutOfCapacity,
    PermissionDenied,
    PolicyViolated,
    QuotaExceeded,
    RemoteError,
)
from homeport.google import Settings

NAME = "projects/p/locations/l/operations/o"
AIP = {"name": NAME, "metadata": {"target": "projects/p/locations/l/services/home"}}
LINK = "https://www.googleapis.com/compute/v1/projects/p/regions/r/operations/operation-1"
TARGET = "https://www.googleapis.com/compute/v1/projects/p/regions/r/subnetworks/home"
SECRET = (
    "spec.template.spec.volumes[1]: Permission denied on secret: projects/1/secrets/s/versions/latest for Revision "
    "service account home@p.iam.gserviceaccount.com. The service account used must be granted the 'Secret Manager "
    "Secret Accessor' role"
)
COMPUTE = {"kind": "compute#operation", "name": "operation-1", "selfLink": LINK, "targetLink": TARGET,
           "operationType": "insert", "status": "RUNNING", "progress": 10}  # fmt: skip


def test_an_operation_is_looked_at_less_and_less_often() -> None:
    script = Script(*[says(AIP)] * 12, says({**AIP, "done": True, "response": {"name": "repository"}}))
    assert act(door(script).finish("artifactregistry", AIP)) == {"name": "repository"}
    assert set(script.paths) == {f"GET /v1/{NAME}"}
    waits = [after - before for before, after in zip([0, *script.times], script.times, strict=False)]
    assert 0.4 <= waits[0] <= 0.6
    assert waits[-1] <= 12
    assert waits[-1] > waits[3] > waits[0]


def test_where_google_can_wait_it_waits() -> None:
    async def handler(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(30)
        over = asyncio.get_running_loop().time() > 80
        return says({**AIP, "done": True, "response": {"uri": "u"}} if over else AIP)

    async def work() -> Any:  # Any: JSON
        came = await door(handler).finish("run", AIP)
        return came, asyncio.get_running_loop().time()

    came, took = act(work())
    assert came == {"uri": "u"}
    assert took == pytest.approx(90)


def test_waiting_says_for_how_long() -> None:
    script = Script(says({**AIP, "done": True}))
    act(door(script).finish("run", AIP))
    assert script.paths == [f"POST /v2/{NAME}:wait"]
    assert script.body(0) == {"timeout": "30s"}


def test_a_compute_operation_is_waited_for_and_ends_in_what_it_made() -> None:
    script = Script(
        says(COMPUTE),
        says({**COMPUTE, "status": "DONE", "progress": 100}),
        says({"name": "home", "fingerprint": "f"}),
    )
    assert act(door(script).finish("compute", COMPUTE)) == {"name": "home", "fingerprint": "f"}
    wait = "POST /compute/v1/projects/p/regions/r/operations/operation-1/wait"
    assert script.paths == [wait, wait, "GET /compute/v1/projects/p/regions/r/subnetworks/home"]
    assert "requestId" not in script.requests[0].url.params


def test_a_deletion_ends_in_nothing() -> None:
    script = Script(says({**COMPUTE, "operationType": "delete", "status": "DONE"}))
    assert act(door(script).finish("compute", COMPUTE)) == {}
    assert len(script.requests) == 1


def test_a_change_of_dns_is_pending_and_then_done() -> None:
    change = {"kind": "dns#change", "id": "3", "status": "pending"}
    script = Script(says(change), says({**change, "status": "done"}))
    path = "dns/v1/projects/p/managedZones/z/changes/3"
    assert act(door(script).finish("dns", path))["status"] == "done"
    assert script.paths == [f"GET /{path}"] * 2
    with pytest.raises(ValueError, match="named by its path"):
        act(door(script).finish("dns", change))


def test_an_operation_of_dns_is_found_by_its_zone() -> None:
    operation = {
        "kind": "dns#operation",
        "id": "7",
        "status": "pending",
        "zoneContext": {"newValue": {"name": "z"}},
    }
    script = Script(says({**operation, "status": "done"}))
    assert act(door(script).finish("dns", operation)) == {"name": "z"}
    assert script.paths == ["GET /dns/v1/projects/p/managedZones/z/operations/7"]


def test_what_is_done_already_is_not_asked_for() -> None:
    script = Script(says())
    done = {"name": "operations/noop.DONE_OPERATION", "done": True, "response": {"services": []}}
    assert act(door(script).finish("serviceusage", done)) == {"services": []}
    assert act(door(script).finish("serviceusage", "operations/noop.DONE_OPERATION")) == {}
    assert script.requests == []


@pytest.mark.parametrize(
    ("api", "name", "path"),
    [
        ("run", NAME, f"POST /v2/{NAME}:wait"),
        ("run", f"v2/{NAME}", f"POST /v2/{NAME}:wait"),
        ("compute", LINK, "POST /compute/v1/projects/p/regions/r/operations/operation-1/wait"),
        ("compute", "projects/p/global/operations/o", "POST /compute/v1/projects/p/global/operations/o/wait"),
        ("serviceusage", "operations/acf.p2-1", "GET /v1/operations/acf.p2-1"),
        ("cloudresourcemanager", "operations/cp.1", "GET /v3/operations/cp.1"),
        ("cloudbuild", {"name": NAME, "metadata": {"@type": "type.googleapis.com/google.devtools.cloudbuild.v2.OperationMetadata"}},
         f"GET /v2/{NAME}"),
        ("cloudbuild", {"name": NAME, "metadata": {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata"}},
         f"GET /v1/{NAME}"),
    ],
)  # fmt: skip
def test_another_process_can_wait_for_it_by_its_name(
    api: str, name: Any, path: str
) -> None:  # Any: JSON, or a name
    script = Script(says({"done": True, "response": {"it": "is"}}))
    assert act(door(script).finish(api, name)) == {"it": "is"}
    assert script.paths[0] == path


def test_trouble_on_the_way_does_not_end_the_waiting() -> None:
    broken = httpx2.RemoteProtocolError("dropped")
    script = Script(
        broken,
        refuses(503, "The service is currently unavailable."),
        says({**AIP, "done": True, "response": {"n": 1}}),
    )
    assert act(door(script).finish("run", AIP)) == {"n": 1}


def test_progress_is_told_where_there_are_words_for_it() -> None:
    heard = Heard()
    script = Script(says({**AIP, "done": True}))
    act(door(script).finish("run", AIP, progress=heard, key="service/home", what="deploying home"))
    assert heard.told == [
        ("started", "service/home", "deploying home"),
        ("finished", "service/home", "deploying home"),
    ]
    heard = Heard()
    act(door(script).finish("run", AIP, progress=heard, key="service/home"))
    assert heard.told == []


def test_what_takes_too_long_goes_on_at_google() -> None:
    with pytest.raises(NetworkError) as told:
        act(door(Script(says(AIP))).finish("artifactregistry", AIP, what="the repository", deadline=100))
    assert f"the repository is not done after 100 s; it goes on at Google as v1/{NAME}" in str(told.value)
    assert "run the same command again" in told.value.hint


def test_a_deadline_holds_while_google_waits() -> None:
    async def slow(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(1000)
        return says(AIP)

    async def work() -> float:
        with pytest.raises(NetworkError, match="not done after 40 s"):
            await door(slow).finish("run", AIP, deadline=40)
        return asyncio.get_running_loop().time()

    assert act(work()) == pytest.approx(40)


def test_those_that_wait_keep_nobody_from_reading() -> None:
    async def handler(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith(":wait"):
            await asyncio.sleep(30)
            return says({**AIP, "done": True})
        return says({"name": "home"})

    async def work() -> float:
        google = door(handler, settings=Settings(parallel=1))
        waiting = [asyncio.create_task(google.finish("run", AIP)) for _ in range(5)]
        await asyncio.sleep(1)
        await google.get("run", "v2/x")
        read = asyncio.get_running_loop().time()
        await asyncio.gather(*waiting)
        return read

    assert act(work()) == pytest.approx(1)


def test_whoever_stops_waiting_is_told_that_it_goes_on() -> None:
    heard = Heard()
    script = Script(says(AIP))

    async def work() -> bool:
        google = door(script)
        task = asyncio.create_task(google.finish("artifactregistry", AIP, progress=heard, key="repository/r"))
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert act(work())
    assert heard.told == [("note", f"repository/r goes on at Google as v1/{NAME}")]
    assert not [path for path in script.paths if "cancel" in path]


def test_an_operation_is_only_given_up_when_asked() -> None:
    script = Script(says())
    act(door(script).cancel("cloudbuild", AIP))
    assert script.paths == [f"POST /v1/{NAME}:cancel"]
    with pytest.raises(GoogleError, match="no such method"):
        act(door(script).cancel("compute", COMPUTE))


def failed(code: int, message: str, details: list[Any] | None = None) -> dict[str, Any]:  # Any: JSON
    return {**AIP, "done": True, "error": {"code": code, "message": message, "details": details or []}}


def test_a_failed_revision_is_a_failed_operation() -> None:
    message = "Revision 'home-1' is not ready and cannot serve traffic. The user-provided container failed to start."
    with pytest.raises(OperationFailed) as told:
        act(door(Script(says())).finish("run", failed(9, message)))
    assert message in str(told.value)
    assert "projects/p/locations/l/services/home" in str(told.value)
    assert isinstance(told.value, GoogleError)
    assert told.value.reason == "FAILED_PRECONDITION"
    assert told.value.status == 0


def test_a_missing_image_is_not_a_missing_service() -> None:
    with pytest.raises(OperationFailed, match="Image 'i' not found"):
        act(door(Script(says())).finish("run", failed(5, "Image 'i' not found.")))


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (8, "Quota exceeded for total allowable count of GPUs per project per region.", QuotaExceeded),
        (7, "Permission 'artifactregistry.repositories.create' denied on resource 'x'", PermissionDenied),
        (9, SECRET, PermissionDenied),
        (8, "The region does not have enough resources available to fulfill the request.", OutOfCapacity),
        (9, "Constraint constraints/run.allowedIngress violated for projects/p.", PolicyViolated),
    ],
)  # fmt: skip
def test_a_failure_that_says_why_is_that_error(code: int, message: str, kind: type[RemoteError]) -> None:
    heard = Heard()
    with pytest.raises(kind) as told:
        act(
            door(Script(says(failed(code, message)))).finish(
                "run", AIP, progress=heard, key="k", what="deploying"
            )
        )
    assert told.value.listed() is kind
    assert told.value.hint
    assert heard.told[-1][0] == "failed"


def test_a_service_that_cannot_read_its_secret_is_told_which_account_needs_which_role() -> None:
    message = "Permission denied on secret: projects/1/secrets/s/versions/1 for Revision service account home@p.iam.gserviceaccount.com."
    with pytest.raises(PermissionDenied) as told:
        act(door(Script(says())).finish("run", failed(9, message)))
    assert (
        "--member=serviceAccount:home@p.iam.gserviceaccount.com --role=roles/secretmanager.secretAccessor"
        in told.value.hint
    )


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("QUOTA_EXCEEDED", "Quota 'NETWORKS' exceeded.  Limit: 5.0 globally.", QuotaExceeded),
        ("ZONE_RESOURCE_POOL_EXHAUSTED", "The zone 'z' does not have enough resources available", OutOfCapacity),
        ("PERMISSIONS_ERROR", "Required 'compute.subnetworks.use' permission for 'projects/p/regions/r/subnetworks/s'", PermissionDenied),
        ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", "The network resource is already being used by 'x'", OperationFailed),
    ],
)  # fmt: skip
def test_computes_failures_are_read_too(code: str, message: str, kind: type[RemoteError]) -> None:
    done = {**COMPUTE, "status": "DONE", "error": {"errors": [{"code": code, "message": message}]}}
    with pytest.raises(kind) as told:
        act(door(Script(says())).finish("compute", done))
    assert told.value.listed() is kind
    assert isinstance(told.value, GoogleError)
    assert told.value.reason == code
