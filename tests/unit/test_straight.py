"""The way straight to a rehearsed cloud is the way over HTTP: the same requests arrive, and the same answers come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from cloud import act, enable, things
from gcp_rehearsal.call import Reply, Request
from gcp_rehearsal.clock import Clock
from gcp_rehearsal.cloud import AT_ONCE, OWNER, Cloud
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.server import App
from gcp_rehearsal.testing import Rehearsed
from homeport.errors import HomeportError
from homeport.google import Google, Settings
from homeport.google.call import ApiCall
from homeport.google.credentials import Credentials, FixedToken
from homeport.google.retry import Pace
from homeport.google.wire import WireAnswer
from homeport.secret import Secret
from rehearsed import answering
from straight import Straight

Way = Callable[[Cloud], dict[str, Any]]  # Any: what Google is made with
WAYS: tuple[Way, ...] = (
    lambda cloud: {"transport": Rehearsed(cloud)},
    lambda cloud: {"transport": Straight(cloud)},
)
OF_HTTP = frozenset(("accept-encoding", "connection"))
"""What a client of HTTP says for itself, and an API never reads."""
SECRETS = "v1/projects/rehearsal/secrets"
BUCKETS, UPLOADS = "storage/v1/b", "upload/storage/v1/b/b-1/o"
CALLS = (
    ApiCall(verb="GET", api="run", path="v2/projects/rehearsal/locations/europe-west4/services/none"),
    ApiCall(verb="POST", api="secretmanager", path=SECRETS, query={"secretId": "ключ"}, body={}),
    ApiCall(
        verb="POST", api="secretmanager", path=SECRETS, query={"secretId": "s"},
        body={"replication": {"automatic": {}}, "annotations": {"says": "naïve “text” \u2028 \U0001f511"}},
    ),
    ApiCall(verb="GET", api="secretmanager", path=f"{SECRETS}/s"),
    ApiCall(verb="PATCH", api="secretmanager", path=f"{SECRETS}/s", query={"updateMask": "labels"}, body={"labels": {"a": "b"}}),
    ApiCall(verb="GET", api="secretmanager", path=SECRETS, query={"pageSize": 1, "filter": "labels.a=b c&d", "pageToken": None}),
    ApiCall(verb="POST", api="secretmanager", path=f"{SECRETS}/s:addVersion", body={"payload": {"data": "no base64"}}),
    ApiCall(verb="POST", api="iam", path="v1/projects/rehearsal/serviceAccounts/x@y.z:getIamPolicy", query={"options.requestedPolicyVersion": 3}),
    ApiCall(verb="DELETE", api="secretmanager", path=f"{SECRETS}/s"),
    ApiCall(verb="POST", api="storage", path=BUCKETS, query={"project": "rehearsal"}, body={"name": "b-1", "location": "EU"}),
    ApiCall(verb="POST", api="storage", path=UPLOADS, query={"uploadType": "media", "name": "a/b c+d.txt"}, content=b"\x00\xff bytes"),
    ApiCall(verb="GET", api="storage", path=f"{BUCKETS}/b-1/o/a%2Fb%20c%2Bd.txt", query={"alt": "media"}, byte_range="bytes=1-3"),
    ApiCall(verb="POST", api="storage", path=UPLOADS, query={"uploadType": "resumable", "name": "big"}, body={}),
    ApiCall(verb="PUT", api="storage", path=UPLOADS, query={"uploadType": "resumable", "upload_id": "none"}, content=b"x", content_range="bytes 0-0/1"),
    ApiCall(verb="DELETE", api="storage", path=f"{BUCKETS}/b-1/o/a%2Fb%20c%2Bd.txt"),
    ApiCall(verb="PUT", api="storage", path=f"{BUCKETS}/b-1/iam", body={"bindings": []}),
    ApiCall(verb="GET", api="nothing-of-googles", path="v1/x"),
    ApiCall(verb="GET", api="europe-west4-docker.pkg.dev", path="v2/p/r/i/manifests/none", types=("application/json", "text/plain")),
)  # fmt: skip


class Noting(Cloud):
    """Notes what arrives."""

    def __init__(self, **given: Any) -> None:  # Any: a Cloud's
        super().__init__(delays=AT_ONCE, clock=Clock(start=1.8e9), secret="secret", **given)
        self.arrived: list[Request] = []
        enable(self, "secretmanager", "run", "artifactregistry")

    async def handle(self, request: Request) -> Reply:
        """Note it and answer."""
        own = {name: value for name, value in request.headers.items() if name not in OF_HTTP}
        self.arrived.append(replace(request, headers=own))
        return await super().handle(request)


def told(answer: WireAnswer | HomeportError) -> tuple[object, ...]:
    """All that a caller learns. A length is HTTP's own: whoever has the body knows it."""
    if isinstance(answer, HomeportError):
        return type(answer), str(answer), answer.hint, vars(answer)
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return answer.status_code, headers, answer.content, answer.is_success


async def came(google: Google, call: ApiCall) -> WireAnswer | HomeportError:
    try:
        return await google.send(call)
    except HomeportError as error:
        return error


def by(way: Way, cloud: Noting, calls: tuple[ApiCall, ...], **more: Any) -> list[tuple[object, ...]]:
    """What is told of these calls, one after the other."""
    credentials = Credentials(FixedToken(Secret(cloud.token(OWNER)), OWNER, "another-project"))
    settings = Settings(pace=Pace(tries=2, first_wait=0.01, longest_wait=0.01), **more)

    async def work() -> list[tuple[object, ...]]:
        async with Google(credentials, project="rehearsal", settings=settings, **way(cloud)) as google:
            return [told(await came(google, call)) for call in calls]

    return act(work())


def test_the_same_requests_arrive_and_the_same_answers_come_back() -> None:
    over_http, straight = Noting(), Noting()
    answers, same_answers = by(WAYS[0], over_http, CALLS), by(WAYS[1], straight, CALLS)
    assert straight.arrived == over_http.arrived
    assert len(straight.arrived) >= len(CALLS) - 1
    assert same_answers == answers
    assert {answer[0] for answer in answers} >= {200, 204, 206}


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize(
    "fault", [{"drop": True}, {"drop": True, "after": True}, {"status": 503}, {"status": 429}]
)
def test_what_goes_wrong_is_told_alike(verb: str, fault: dict[str, Any]) -> None:
    method = f"secretmanager.projects.secrets.{'list' if verb == 'GET' else 'create'}"
    call = ApiCall(
        verb=verb,
        api="secretmanager",
        path=SECRETS,
        body=None if verb == "GET" else {},
        repeatable=verb == "GET",
    )

    def told_by(way: Way) -> tuple[list[tuple[object, ...]], list[Request]]:
        cloud = Noting(faults=[Fault(method=method, nth=1, times=9, **fault)])
        return by(way, cloud, (call,)), cloud.arrived

    assert told_by(WAYS[1]) == told_by(WAYS[0])


def test_an_answer_that_takes_too_long_is_none_by_either_way() -> None:
    def told_by(way: Way) -> object:
        cloud = Noting(
            faults=[Fault(method="secretmanager.projects.secrets.list", nth=1, times=9, delay=7.0)]
        )
        return by(way, cloud, (ApiCall(verb="GET", api="secretmanager", path=SECRETS),), attempt=5.0)[0][0]

    assert told_by(WAYS[1]) == told_by(WAYS[0]) != 200


def test_a_cloud_that_is_far_away_answers_later() -> None:
    cloud = Noting()

    async def work() -> float:
        google = Google(
            Credentials(FixedToken(Secret(cloud.token(OWNER)), OWNER)), transport=Straight(cloud, latency=3.0)
        )
        before = asyncio.get_running_loop().time()
        await google.get("secretmanager", SECRETS)
        return asyncio.get_running_loop().time() - before

    assert act(work()) >= 3.0


class Held(Cloud):
    """Keeps a request until it may go on, in whatever thread it is answered."""

    def __init__(self) -> None:
        super().__init__(delays=AT_ONCE)
        self.arrived, self.may_go_on, self.ended = threading.Event(), threading.Event(), threading.Event()
        enable(self, "secretmanager")

    async def handle(self, request: Request) -> Reply:
        """Answer once it may go on."""
        self.arrived.set()
        try:
            await asyncio.to_thread(self.may_go_on.wait, 60)
            return await super().handle(request)
        finally:
            self.ended.set()


@contextmanager
def in_process(way: Way, cloud: Cloud) -> Iterator[dict[str, Any]]:  # Any: what Google is made with
    yield way(cloud)


@contextmanager
def over_a_socket(cloud: Cloud) -> Iterator[dict[str, Any]]:  # Any: what Google is made with
    with answering(App(cloud)) as port:
        yield {"base_url": f"http://127.0.0.1:{port}"}


@pytest.mark.parametrize("way", [over_a_socket, *(partial(in_process, way) for way in WAYS)])
def test_a_request_that_was_sent_is_done_though_its_client_gave_up(
    way: Callable[[Cloud], AbstractContextManager[dict[str, Any]]],
) -> None:
    cloud = Held()
    credentials = Credentials(FixedToken(Secret(cloud.token(OWNER)), OWNER))

    async def work(more: dict[str, Any]) -> None:
        async with Google(credentials, project="rehearsal", **more) as google:
            body: dict[str, Any] = {"replication": {"automatic": {}}}  # Any: JSON
            asked = asyncio.create_task(google.post("secretmanager", SECRETS, body, secretId="s"))
            assert await asyncio.to_thread(cloud.arrived.wait, 60)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            cloud.may_go_on.set()
            assert await asyncio.to_thread(cloud.ended.wait, 60)

    with way(cloud) as more:
        asyncio.run(work(more))
    assert [one.name for one in things(cloud)] == [f"{SECRETS.removeprefix('v1/')}/s"]
