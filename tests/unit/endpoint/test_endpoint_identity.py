"""An endpoint that is called by an identity: signed, renewed, waited for, and explained where it refuses."""

from __future__ import annotations

import asyncio
import os
import stat
from dataclasses import replace
from itertools import pairwise

import httpx2
import openai
import pytest

from cloud import act
from google_door import TOKEN, YOU
from homeport.cli.env import through_proxy
from homeport.endpoint.auth import HTTPX2_REDIRECTS, REDIRECTS, Bearer
from homeport.errors import EndpointError, NoCredentials, NotRunning
from homeport.google.credentials import Credentials, GoogleIdentity
from homeport.google.identity import Token
from homeport.home import find_home
from homeport.proxy.record import Running, find, recorded
from homeport.secret import Secret
from private_service import BASE_URL, HOST, MODEL, Passport, Service, id_token, reached

HELLO = [{"role": "user", "content": "hello there"}]


def test_it_is_reached_by_another_way_under_its_own_name_and_with_a_token() -> None:
    async def scene() -> None:
        service = Service()
        async with reached(service) as endpoint:
            completion = await endpoint.answer(HELLO)
            pieces = [chunk["choices"][0]["delta"]["content"] async for chunk in endpoint.stream(HELLO)]
        assert completion["choices"][0]["message"]["content"] == "hello there"
        assert pieces == ["hello", "there"]
        assert service.hosts == [HOST, HOST]
        assert service.tokens == [f"Bearer {id_token(1)}"] * 2

    asyncio.run(scene())


def test_without_an_identity_it_is_reached_the_same_way_and_refused() -> None:
    async def scene() -> None:
        service = Service()
        async with reached(service) as endpoint:
            stranger = replace(endpoint, identity=None)
            with pytest.raises(EndpointError, match="403"):
                await stranger.answer(HELLO)
        assert service.hosts == [HOST]
        assert service.tokens == [None]

    asyncio.run(scene())


def test_a_token_that_has_ended_is_renewed_and_the_request_sent_again() -> None:
    async def scene() -> None:
        service = Service()
        service.taken = id_token(2)
        async with reached(service) as endpoint:
            await endpoint.answer(HELLO)
            await endpoint.answer(HELLO)
        assert service.tokens == [f"Bearer {id_token(number)}" for number in (1, 2, 2)]

    asyncio.run(scene())


def test_a_token_that_is_never_taken_is_renewed_once_and_says_who_was_refused() -> None:
    async def scene() -> EndpointError:
        service = Service()
        service.taken = "another"
        async with reached(service) as endpoint:
            with pytest.raises(EndpointError) as caught:
                await endpoint.answer(HELLO)
        assert service.asked == 2
        return caught.value

    error = asyncio.run(scene())
    assert error.status == 401
    assert str(error) == "the endpoint refused (401): 401 Unauthorized"
    assert YOU in error.hint
    assert "audience" in error.hint


def test_a_caller_who_lacks_the_role_is_told_who_they_are_and_where_callers_are_named() -> None:
    async def scene(email: str) -> str:
        service = Service()
        service.lets_in = False
        async with reached(service, Passport(email=email)) as endpoint:
            with pytest.raises(EndpointError) as caught:
                async for _ in endpoint.stream(HELLO):
                    pass
        return caught.value.hint

    hint = asyncio.run(scene(YOU))
    assert f'callers = ["user:{YOU}"]' in hint
    assert "roles/run.invoker" in hint
    assert "[access] callers" in hint
    robot = "agent@p.iam.gserviceaccount.com"
    assert f'callers = ["serviceAccount:{robot}"]' in asyncio.run(scene(robot))


def test_who_is_outside_an_isolated_service_is_told_where_to_ask_from() -> None:
    async def scene() -> EndpointError:
        service = Service()
        service.starting.append(404)
        async with reached(service) as endpoint:
            with pytest.raises(EndpointError) as caught:
                await endpoint.answer(HELLO)
        return caught.value

    error = asyncio.run(scene())
    assert str(error) == "the endpoint refused (404): 404 Page not found"
    assert "a machine within it" in error.hint


def test_a_service_that_starts_from_zero_is_waited_for() -> None:
    async def scene() -> None:
        service = Service()
        service.starting.extend([429, 503, 429])
        async with reached(service) as endpoint:
            assert await endpoint.answer(HELLO)
        assert service.asked == 4

    asyncio.run(scene())


def test_a_request_that_is_too_large_is_explained() -> None:
    async def scene() -> str:
        async with reached(Service()) as endpoint:
            with pytest.raises(EndpointError) as caught:
                await endpoint.answer([{"role": "user", "content": "x" * 33 * 2**20}])
        return caught.value.hint

    assert "32 MiB" in asyncio.run(scene())


def times(
    *answers: httpx2.Response, patience_s: float = 900, max_redirects: int = REDIRECTS
) -> tuple[int, list[float]]:
    """The last status, and when requests were sent, on a clock that jumps."""
    sent: list[float] = []

    async def scene() -> int:
        replies = list(answers)

        def reply(_: httpx2.Request) -> httpx2.Response:
            sent.append(asyncio.get_running_loop().time())
            return replies.pop(0) if len(replies) > 1 else replies[0]

        auth = Bearer(BASE_URL, identity=Passport(), patience_s=patience_s, max_redirects=max_redirects)
        async with httpx2.AsyncClient(
            transport=httpx2.MockTransport(reply), auth=auth, max_redirects=max_redirects
        ) as client:
            return (await client.post(f"{BASE_URL}/completions", json={})).status_code

    return act(scene()), sent


def test_retry_after_is_honoured() -> None:
    later = httpx2.Response(429, headers={"retry-after": "40"})
    status, sent = times(later, httpx2.Response(200))
    assert status == 200
    assert sent == [0, 40]


def test_pauses_grow_and_end_with_the_patience() -> None:
    status, sent = times(httpx2.Response(503), patience_s=100)
    pauses = [after - before for before, after in pairwise(sent)]
    assert status == 503
    assert 0.8 <= pauses[0] <= 1.2
    assert all(8 <= pause <= 12 for pause in pauses[-3:])
    assert 88 <= sent[-1] < 100


def test_a_start_of_a_quarter_of_an_hour_is_waited_out() -> None:
    status, sent = times(httpx2.Response(429))
    assert status == 429
    assert 888 <= sent[-1] < 900


def test_a_retry_after_of_nothing_is_no_reason_to_hammer() -> None:
    _, sent = times(httpx2.Response(429, headers={"retry-after": "0"}), patience_s=10)
    assert 90 <= len(sent) <= 101


@pytest.mark.parametrize("first", [[], [httpx2.Response(401)]], ids=["signed", "renewed"])
def test_patience_ends_before_httpx2_calls_it_too_many_redirects(first: list[httpx2.Response]) -> None:
    """As in somebody's own client, which has never heard of this."""
    status, sent = times(*first, httpx2.Response(503), max_redirects=HTTPX2_REDIRECTS)
    assert status == 503
    assert len(sent) == 1 + HTTPX2_REDIRECTS


def test_the_twenty_tries_of_anybodys_client_last_for_a_quarter_of_an_hour() -> None:
    _, sent = times(httpx2.Response(503), max_redirects=HTTPX2_REDIRECTS)
    assert 780 <= sent[-1] < 900
    assert sent[8] < 120, "the first tries are close together: most services start within a minute or two"


def test_what_asks_for_more_patience_than_there_is_is_the_answer_at_once() -> None:
    status, sent = times(httpx2.Response(429, headers={"retry-after": "901"}))
    assert status == 429
    assert sent == [0]


def test_errors_of_the_engine_are_not_tried_again() -> None:
    for code in (400, 403, 500, 502, 504):
        assert times(httpx2.Response(code)) == (code, [0])


def test_the_token_goes_to_no_other_host() -> None:
    seen: list[httpx2.Request] = []

    def reply(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200)

    auth = Bearer(BASE_URL, identity=Passport(), via="http://127.0.0.1:1")
    with httpx2.Client(transport=httpx2.MockTransport(reply), auth=auth) as client:
        client.get("https://elsewhere.example/v1/models")
        client.get(f"http://{HOST}/v1/models")
        client.get(f"{BASE_URL}/models")
    assert ["authorization" in request.headers for request in seen] == [False, False, True]
    assert [request.url.host for request in seen] == ["elsewhere.example", HOST, "127.0.0.1"]


def test_the_official_client_streams_without_a_proxy_sync_and_async() -> None:
    def sync(auth: Bearer) -> list[str | None]:
        with (
            httpx2.Client(auth=auth, trust_env=False, verify=False) as http,
            openai.OpenAI(base_url=BASE_URL, api_key="unused", http_client=http, max_retries=0) as client,
        ):
            stream = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": "one two"}], stream=True
            )
            return [chunk.choices[0].delta.content for chunk in stream]

    async def scene() -> None:
        service = Service()
        service.taken = id_token(2)
        service.starting.extend([429, 503])
        async with reached(service) as endpoint:
            assert await asyncio.to_thread(sync, endpoint.auth()) == ["one", "two"]
            async with httpx2.AsyncClient(auth=endpoint.auth(), trust_env=False, verify=False) as http:
                client = openai.AsyncOpenAI(base_url=BASE_URL, api_key="unused", http_client=http)
                assert [model.id async for model in client.models.list()] == ["of-the-engine"]
        assert {seen.header("host") for seen in service.seen} == {HOST}

    asyncio.run(scene())


def test_variables_for_an_hour_are_not_given_out() -> None:
    async def scene() -> None:
        async with reached(Service()) as endpoint:
            with pytest.raises(NoCredentials) as caught:
                endpoint.env()
            assert "`homeport proxy`" in caught.value.hint
            assert endpoint.env(proxy="http://127.0.0.1:8384") == {
                "OPENAI_BASE_URL": "http://127.0.0.1:8384/v1",
                "OPENAI_API_KEY": "unused",
                "OPENAI_MODEL": MODEL,
            }

    asyncio.run(scene())


def test_clients_are_sent_to_the_proxy_that_runs_with_its_key_and_to_a_public_endpoint_itself() -> None:
    async def scene() -> None:
        root = find_home().root
        async with reached(Service()) as endpoint:
            with pytest.raises(NotRunning) as caught:
                through_proxy(endpoint, public=False)
            assert "`homeport proxy`" in caught.value.hint
            variables, proxy, said = through_proxy(endpoint, public=True)
            assert (variables["OPENAI_BASE_URL"], variables["OPENAI_API_KEY"], proxy) == (
                BASE_URL,
                "unused",
                "",
            )
            assert "anybody may call it" in said
            other = Running(port=9001, service="https://other.run.app", key=Secret("hp-another"))
            own = Running(port=9002, service=endpoint.root_url, key=Secret("hp-own"))
            with recorded(root, other), recorded(root, own):
                variables, proxy, said = through_proxy(endpoint, public=False)
                assert variables == {
                    "OPENAI_BASE_URL": "http://127.0.0.1:9002/v1", "OPENAI_API_KEY": "hp-own", "OPENAI_MODEL": MODEL,
                }  # fmt: skip
                assert "while `homeport proxy` runs" in said
                assert "hp-own" not in said
            with pytest.raises(NotRunning):
                through_proxy(endpoint, public=False)

    asyncio.run(scene())


def test_what_a_proxy_leaves_is_its_users_alone_and_is_not_believed_where_the_proxy_was_killed() -> None:
    root = find_home().root
    before = os.umask(0)
    try:
        with recorded(root, Running(port=9001, service="https://home.run.app", key=Secret("hp-own"))):
            (path,) = (root / "proxies").iterdir()
            modes = [stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path)]
            said = path.read_text()
            assert find(root, "https://home.run.app") is not None
    finally:
        os.umask(before)
    assert modes == [0o700, 0o600]
    assert not path.exists()
    for wrong in (
        said.replace('"created": ', '"created": 1'),
        "{",
        "[]",
        said.replace('"pid": ', '"pid": -'),
    ):
        path.write_text(wrong)
        assert find(root, "https://home.run.app") is None


class Source:
    """Makes ID tokens that last an hour, each another."""

    principal = "credentials@example.com"
    quota_project = ""

    def __init__(self) -> None:
        self.made = 0

    def who(self) -> str:
        return self.principal

    def token(self) -> Token:
        return Token(value=Secret(TOKEN), lasts=3600)

    def id_token(self, audience: str) -> Token:
        self.made += 1
        return Token(value=Secret(id_token(self.made)), lasts=3600)

    def signed_jwt(self, audience: str) -> Token:
        return self.id_token(audience)


def test_a_caller_renews_its_token_before_the_end_and_when_it_is_not_taken() -> None:
    async def scene() -> None:
        source = Source()
        caller = GoogleIdentity(Credentials(source), "https://home")
        first = await caller.token()
        await asyncio.sleep(3290)
        assert await caller.token() == first
        await asyncio.sleep(20)
        second = await caller.token()
        assert second != first
        third = await caller.renewed(second)
        assert third != second
        assert await caller.renewed(second) == third, "somebody else had it renewed already"
        assert source.made == 3

    act(scene())


def test_a_caller_is_whoever_the_token_names() -> None:
    assert act(GoogleIdentity(Credentials(Source()), "https://home").who()) == YOU
