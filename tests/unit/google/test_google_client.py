"""The client: what is sent, what is sent again, and when it gives up."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from cloud import act
from google_door import TOKEN, Script, door, info, older, refuses, says
from homeport.errors import (
    AlreadyExists,
    Conflict,
    GoogleError,
    NetworkError,
    NoCredentials,
    PermissionDenied,
)
from homeport.google import AFTER_RETRY, ANSWER_LOST, Google, Malformed, Settings
from homeport.google.credentials import Credentials, FixedToken
from homeport.google.identity import Token
from homeport.google.retry import wait_of
from homeport.google.validation import by_documents
from homeport.secret import Secret

SERVICE = "v2/projects/p/locations/l/services/home"
SERVICES = "v2/projects/p/locations/l/services"
BROKEN = httpx2.RemoteProtocolError("Server disconnected without sending a response.")
UNAVAILABLE = refuses(503, "The service is currently unavailable.", name="UNAVAILABLE")


async def timed(work: Any) -> tuple[Any, float]:  # Any: whatever comes of it
    """What came of the work, or the error, and how long it took."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    try:
        came = await work
    except (GoogleError, NetworkError, NoCredentials) as error:
        came = error
    return came, loop.time() - begun


def test_json_goes_out_and_comes_back_as_it_is() -> None:
    script = Script(says({"name": "operations/1", "done": False}))

    async def work() -> Any:  # Any: JSON
        async with door(script) as google:
            return await google.post("run", SERVICES, {"template": {}}, serviceId="home", validateOnly=True)

    assert act(work()) == {"name": "operations/1", "done": False}
    request = script.requests[0]
    assert str(request.url) == f"https://run.googleapis.com/{SERVICES}?serviceId=home&validateOnly=true"
    assert script.body(0) == {"template": {}}
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"].startswith("homeport/")
    assert "x-goog-user-project" not in request.headers


def test_paths_are_sent_raw() -> None:
    script = Script(says())

    async def work() -> None:
        async with door(script) as google:
            await google.get("storage", "storage/v1/b/bucket/o/a%2Fb", alt="media", none=None)
            await google.post("iam", "v1/projects/-/serviceAccounts/a@p.iam.gserviceaccount.com:getIamPolicy")

    act(work())
    assert script.requests[0].url.raw_path == b"/storage/v1/b/bucket/o/a%2Fb?alt=media"
    assert script.requests[1].url.raw_path.endswith(b"/a@p.iam.gserviceaccount.com:getIamPolicy")


def test_with_a_base_url_everything_goes_there_under_its_own_name() -> None:
    script = Script(says())

    async def work() -> None:
        google = Google(
            Credentials(FixedToken(Secret(TOKEN))),
            base_url="http://127.0.0.1:8080/",
            transport=httpx2.MockTransport(script),
        )
        await google.get("modelarmor.us-central1.rep", "v1/projects/p/locations/us-central1/templates")

    act(work())
    assert script.requests[0].url.host == "127.0.0.1"
    assert script.requests[0].headers["host"] == "modelarmor.us-central1.rep.googleapis.com"


def test_an_empty_answer_is_an_empty_thing() -> None:
    async def work() -> Any:  # Any: JSON
        return await door(Script(httpx2.Response(204))).delete("storage", "storage/v1/b/bucket")

    assert act(work()) == {}


def test_a_quota_project_is_told() -> None:
    script = Script(says())
    credentials = Credentials(FixedToken(Secret(TOKEN), quota_project="payer"))
    act(door(script, credentials=credentials).get("run", SERVICE))
    assert script.requests[0].headers["x-goog-user-project"] == "payer"


def test_pages_are_one_list() -> None:
    script = Script(
        says({"secrets": [{"name": "a"}], "nextPageToken": "2"}), says({"nextPageToken": "3"}), says({"secrets": [{"name": "b"}]})
    )  # fmt: skip

    async def work() -> list[Any]:  # Any: JSON
        found = door(script).pages("secretmanager", "v1/projects/p/secrets", "secrets", filter="x")
        return [item["name"] async for item in found]

    assert act(work()) == ["a", "b"]
    assert [request.url.params.get("pageToken") for request in script.requests] == [None, "2", "3"]
    assert all(request.url.params["filter"] == "x" for request in script.requests)


def test_content_comes_as_bytes() -> None:
    script = Script(httpx2.Response(200, content=b"\x00GGUF"))
    assert act(door(script).content("storage", "storage/v1/b/b/o/o", alt="media")) == b"\x00GGUF"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(status: int) -> None:
    script = Script(refuses(status, "not now"), refuses(status, "not now"), says({"name": "home"}))
    came, seconds = act(timed(door(script).get("run", SERVICE)))
    assert came == {"name": "home"}
    assert 1.5 <= seconds <= 2.5  # 0.5 and 1 second, each with up to half a second of jitter


def test_a_lost_connection_is_made_again() -> None:
    script = Script(
        BROKEN, httpx2.ReadTimeout("slow"), httpx2.ConnectError("refused"), says({"name": "home"})
    )
    assert act(door(script).get("run", SERVICE)) == {"name": "home"}
    assert len(script.requests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        older(409, "An operation is in progress", "operationInProgress"),
        older(400, "The resource 'subnetworks/s' is not ready", "resourceNotReady"),
        older(403, "Rate Limit Exceeded", "rateLimitExceeded"),
        refuses(
            403,
            "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'compute'",
        ),
        refuses(
            403, "Too many", details=[info("CONCURRENT_OPERATIONS_QUOTA_EXCEEDED", containerType="PROJECT")]
        ),
        refuses(400, "Another activation or deactivation is in progress for the following service(s): run"),
        refuses(400, "There is a peering operation in progress on the local or peer network."),
    ],
    ids=lambda answer: answer.json()["error"]["message"][:30],
)
def test_whoever_is_in_the_way_is_waited_for_even_by_a_post_that_must_not_be_repeated(
    answer: httpx2.Response,
) -> None:
    script = Script(answer, says({"name": "x"}))
    assert act(door(script).post("compute", "compute/v1/projects/p/global/networks/validate", {})) == {
        "name": "x"
    }


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7), ("Mon, 02 Nov 2026 10:00:20 GMT", 20)])
def test_retry_after_is_honoured(asked: str, seconds: float) -> None:
    slow = refuses(429, "slow down", retry_after=asked, date="Mon, 02 Nov 2026 10:00:00 GMT")
    came, took = act(timed(door(Script(slow, says({"name": "home"}))).get("run", SERVICE)))
    assert came == {"name": "home"}
    assert took == pytest.approx(seconds, abs=0.01)


def test_what_retry_after_can_say() -> None:
    assert wait_of("") is None
    assert wait_of(" 3 ") == 3
    assert wait_of("soon") is None
    assert wait_of("Mon, 02 Nov 2020 10:00:00 GMT") == 0


def test_googles_own_retry_info_is_honoured_too() -> None:
    slow = refuses(
        429, "slow", details=[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "4s"}]
    )
    _, took = act(timed(door(Script(slow, says())).get("run", SERVICE)))
    assert took == pytest.approx(4, abs=0.01)


def test_a_wait_past_the_deadline_is_not_begun() -> None:
    slow = refuses(503, "come back tomorrow", retry_after="86400")
    came, took = act(timed(door(Script(slow)).get("run", SERVICE)))
    assert isinstance(came, GoogleError)
    assert took == 0


def test_waits_grow_and_end() -> None:
    script = Script(UNAVAILABLE)
    came, took = act(timed(door(script).get("run", SERVICE)))
    assert isinstance(came, GoogleError)
    assert came.status == 503
    assert len(script.requests) == 8
    waits = [after - before for before, after in zip(script.times, script.times[1:], strict=False)]
    assert all(
        expected <= wait <= expected + 0.5
        for expected, wait in zip([0.5, 1, 2, 4, 8, 16], waits, strict=False)
    )
    assert took <= 65


def test_whoever_has_no_network_hears_it_soon() -> None:
    script = Script(httpx2.ConnectError("Name or service not known"))
    came, took = act(timed(door(script).post("run", SERVICES, {})))
    assert isinstance(came, NetworkError)
    assert "Name or service not known" in str(came)
    assert len(script.requests) == 4
    assert took < 6


def test_what_is_wrong_is_not_sent_again() -> None:
    for status in (400, 403, 404, 409, 412):
        script = Script(refuses(status, "no"))
        act(timed(door(script).get("run", SERVICE)))
        assert len(script.requests) == 1


@pytest.mark.parametrize(
    "lost", [BROKEN, httpx2.ReadTimeout("slow"), UNAVAILABLE, refuses(500, "Internal error")]
)
def test_a_lost_answer_to_a_post_is_told_and_not_sent_again(lost: httpx2.Response | Exception) -> None:
    script = Script(lost, says({"name": "a second build"}))
    came, _ = act(timed(door(script).post("cloudbuild", "v1/projects/p/locations/l/builds", {})))
    assert isinstance(came, GoogleError)
    assert type(came) is GoogleError
    assert came.reason == ANSWER_LOST
    assert came.request == "POST cloudbuild.googleapis.com/v1/projects/p/locations/l/builds"
    assert "run the same command again" in came.hint
    assert len(script.requests) == 1


def test_a_post_that_may_be_repeated_is() -> None:
    script = Script(BROKEN, says({"name": "x"}))
    assert act(door(script).post("run", SERVICES, {}, repeatable=True, serviceId="home")) == {"name": "x"}


def test_a_lost_answer_is_not_somebody_elses_service() -> None:
    exists = refuses(409, "Resource 'home' already exists.", name="ALREADY_EXISTS")
    lost, _ = act(timed(door(Script(BROKEN, exists)).post("run", SERVICES, {}, repeatable=True)))
    assert isinstance(lost, AlreadyExists)
    assert isinstance(lost, GoogleError)
    assert lost.reason == AFTER_RETRY

    first, _ = act(timed(door(Script(exists)).post("run", SERVICES, {}, repeatable=True)))
    assert isinstance(first, AlreadyExists)
    assert isinstance(first, GoogleError)
    assert first.reason == "ALREADY_EXISTS"

    refused, _ = act(
        timed(door(Script(refuses(429, "slow"), exists)).post("run", SERVICES, {}, repeatable=True))
    )
    assert isinstance(refused, AlreadyExists)
    assert isinstance(refused, GoogleError)
    assert refused.reason == "ALREADY_EXISTS"  # The first try was refused for sure.


@pytest.mark.parametrize("verb", ["post", "patch", "put", "delete"])
def test_compute_knows_a_second_try_by_its_request_id(verb: str) -> None:
    script = Script(BROKEN, UNAVAILABLE, says({"kind": "compute#operation"}))
    act(getattr(door(script), verb)("compute", "compute/v1/projects/p/global/networks/n"))
    ids = {request.url.params["requestId"] for request in script.requests}
    assert len(script.requests) == 3
    assert len(ids) == 1
    assert len(ids.pop()) == 36


def test_another_call_has_another_request_id() -> None:
    script = Script(says())

    async def work() -> None:
        for _ in range(2):
            await door(script).post("compute", "compute/v1/projects/p/global/networks", {})

    act(work())
    assert len({request.url.params["requestId"] for request in script.requests}) == 2


def test_methods_of_compute_without_a_request_id_are_given_none() -> None:
    from gcp_rehearsal import discovery
    from homeport.google.call import ApiCall, with_request_id

    wrong = []
    for method in discovery.load("compute.v1").methods.values():
        # Only the collections that a deployment of homeport's uses.
        known = {"networks", "subnetworks", "globalOperations", "regionOperations", "globalAddresses", "urlMaps",
                 "backendServices", "targetHttpsProxies", "globalForwardingRules", "sslCertificates",
                 "securityPolicies", "regionNetworkEndpointGroups"}  # fmt: skip
        if method.id.split(".")[1] not in known or method.action == "setLabels":
            continue
        folder = "/operations/x" if "perations" in method.id else "/x"
        path = f"compute/v1/projects/p/global{folder}" + (
            "" if method.action == "delete" else f"/{method.action}"
        )
        has = "requestId" in with_request_id(ApiCall(verb=method.verb, api="compute", path=path)).query
        if has and "requestId" not in method.parameters:
            wrong.append(method.id)
    assert wrong == []


def test_a_request_id_of_the_callers_makes_a_post_repeatable() -> None:
    script = Script(BROKEN, says({"name": "x"}))
    path = "v1/projects/p/locations/l/lbTrafficExtensions"
    assert act(door(script).post("networkservices", path, {}, requestId="1")) == {"name": "x"}


def test_every_call_has_a_deadline() -> None:
    async def slow(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(1000)
        return says()

    settings = Settings(deadline=20, attempt=8)
    came, took = act(timed(door(slow, settings=settings).get("run", SERVICE)))
    assert isinstance(came, NetworkError)
    assert took == pytest.approx(20)
    assert "20 s" in str(came)
    assert f"GET run.googleapis.com/{SERVICE}" in str(came)
    assert "no answer within 8 s" in str(came)


def test_a_deadline_can_be_another_for_one_call() -> None:
    async def slow(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(1000)
        return says()

    came, took = act(timed(door(slow).within(3).post("run", SERVICES, {})))
    assert isinstance(came, NetworkError)
    assert took == pytest.approx(3)
    assert "not known" in came.hint


def test_one_slow_try_is_not_the_last() -> None:
    tried = 0

    async def slow_once(request: httpx2.Request) -> httpx2.Response:
        nonlocal tried
        tried += 1
        if tried == 1:
            await asyncio.sleep(1000)
        return says({"name": "home"})

    came, took = act(timed(door(slow_once, settings=Settings(attempt=5)).get("run", SERVICE)))
    assert came == {"name": "home"}
    assert took < 7


def test_only_so_many_requests_are_under_way_at_once() -> None:
    under_way = most = 0

    async def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(1)
        under_way -= 1
        return says()

    async def work() -> float:
        google = door(handler, settings=Settings(parallel=4))
        await asyncio.gather(*(google.get("run", SERVICE) for _ in range(20)))
        return asyncio.get_running_loop().time()

    assert act(work()) == pytest.approx(5)
    assert most == 4


def test_whoever_waits_between_two_tries_keeps_nobody_from_asking() -> None:
    first = True

    def handler(request: httpx2.Request) -> httpx2.Response:
        nonlocal first
        if first:
            first = False
            return refuses(429, "slow", retry_after="50")
        return says()

    async def work() -> float:
        google = door(handler, settings=Settings(parallel=1))
        slow = asyncio.create_task(google.get("run", SERVICE))
        await asyncio.sleep(0.1)
        await google.get("run", SERVICE)
        quick = asyncio.get_running_loop().time()
        await slow
        return quick

    assert act(work()) < 1


def test_a_cancelled_call_stops_at_once() -> None:
    script = Script(UNAVAILABLE)

    async def work() -> bool:
        task = asyncio.create_task(door(script).get("run", SERVICE))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled() and asyncio.get_running_loop().time() < 1.1

    assert act(work())


class Renewable:
    """Credentials whose first token is not taken any more."""

    principal = "you@example.com"
    quota_project = ""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)

    def who(self) -> str:
        return self.principal

    def token(self) -> Token:
        return Token(value=Secret(self._tokens.pop(0)), lasts=3600)

    def id_token(self, audience: str) -> Token:
        raise NotImplementedError

    def signed_jwt(self, audience: str) -> Token:
        return self.id_token(audience)


def test_a_token_that_is_not_taken_is_renewed_once() -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        good = request.headers["authorization"] == "Bearer new"
        return says({"name": "home"}) if good else refuses(401, "invalid credentials", name="UNAUTHENTICATED")

    taken = door(handler, credentials=Credentials(Renewable("old", "new")))
    assert act(taken.get("run", SERVICE)) == {"name": "home"}
    refused, _ = act(
        timed(door(handler, credentials=Credentials(Renewable("old", "older"))).get("run", SERVICE))
    )
    assert isinstance(refused, NoCredentials)
    assert refused.hint == "gcloud auth application-default login"
    assert "you@example.com" in str(refused)


OFF = refuses(
    403, "Cloud Run Admin API has not been used in project 1 before or it is disabled.", name="PERMISSION_DENIED",
    details=[info("SERVICE_DISABLED", service="run.googleapis.com")],
)  # fmt: skip
NO_SUCH = refuses(
    400, "Service account home@p.iam.gserviceaccount.com does not exist.", name="INVALID_ARGUMENT"
)
DENIED = refuses(403, "Permission 'run.services.get' denied on resource 'x' (or it may not exist).")


@pytest.mark.parametrize("unseen", [OFF, NO_SUCH, DENIED, refuses(404, "Unknown service account")])
def test_what_is_not_seen_yet_is_asked_for_as_long_as_the_caller_expects_it(unseen: httpx2.Response) -> None:
    def handler(request: httpx2.Request) -> httpx2.Response:
        seen = asyncio.get_running_loop().time() > 90
        return says({"name": "home"}) if seen else httpx2.Response(unseen.status_code, content=unseen.content)

    came, took = act(timed(door(handler).patient(300).get("run", SERVICE)))
    assert came == {"name": "home"}
    assert took < 105
    at_once, took = act(timed(door(handler).get("run", SERVICE)))
    assert isinstance(at_once, GoogleError)
    assert took == 0


def test_patience_ends() -> None:
    came, took = act(timed(door(Script(DENIED)).patient(60).get("run", SERVICE)))
    assert isinstance(came, PermissionDenied)
    assert 60 <= took <= 75


def test_a_patient_view_leaves_the_door_as_it_was() -> None:
    google = door(Script(DENIED))
    google.patient(60)
    _, took = act(timed(google.get("run", SERVICE)))
    assert took == 0


def test_a_wrong_request_is_not_sent() -> None:
    script = Script(says())
    google = door(script, validator=by_documents())
    with pytest.raises(Malformed) as told:
        act(google.post("run", SERVICES, {"template": {"contaners": []}}, serviceId="home"))
    assert isinstance(told.value, ValueError)
    assert "POST run.googleapis.com/v2/projects/p/locations/l/services?serviceId=home" in str(told.value)
    assert "contaners" in str(told.value)
    with pytest.raises(Malformed, match="servceId"):
        act(google.post("run", SERVICES, {}, servceId="home"))
    with pytest.raises(Malformed, match="no such method"):
        act(google.get("run", "v2/projects/p/locations/l/servces"))
    assert script.requests == []
    act(google.post("run", SERVICES, {"template": {"containers": [{"image": "i"}]}}, serviceId="home"))
    assert len(script.requests) == 1


def test_stamina_can_be_told_to_try_once_in_tests() -> None:
    import stamina

    script = Script(UNAVAILABLE)
    with stamina.set_testing(True, attempts=1):
        came, took = act(timed(door(script).get("run", SERVICE)))
    assert isinstance(came, GoogleError)
    assert len(script.requests) == 1
    assert took == 0


def test_a_conflict_is_told_at_once() -> None:
    script = Script(
        refuses(
            409, "Conflict for resource 'home': version '2' was specified but current is '3'.", name="ABORTED"
        )
    )
    came, _ = act(timed(door(script).patch("run", SERVICE, {"etag": "2"})))
    assert isinstance(came, Conflict)
