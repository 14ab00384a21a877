"""The proxy's patience: tokens that end, services that sleep, callers that may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2
import openai
import pytest

from cloud import act
from homeport.proxy import listen, running, waking
from homeport.proxy.waking import Waking
from private_service import KEY, MODEL, SHOWN, YOU, Passport, Service, id_token, proxied, reached, scene


@dataclass
class Head:
    """The head of an answer."""

    ok: bool


class Told:
    """A `Progress` that keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.something = asyncio.Event()

    def _keep(self, kind: str, what: str) -> None:
        self.said.append((kind, what))
        self.something.set()

    def started(self, key: str, what: str) -> None:
        self._keep("started", what)

    def advanced(self, key: str, done: int, total: int) -> None: ...

    def finished(self, key: str, what: str) -> None:
        self._keep("finished", what)

    def failed(self, key: str, what: str) -> None:
        self._keep("failed", what)

    def note(self, text: str) -> None:
        self._keep("note", text)


SLEEPS = ("started", "home has not answered yet: it may be starting from zero, which takes about 95 s")


def test_a_token_that_ends_is_renewed_without_the_client_seeing_it() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        assert (await client.post("/v1/any", content=b"one")).content == b"one"
        service.taken = id_token(2)
        answers = await asyncio.gather(*(client.post("/v1/any", content=b"%d" % n) for n in range(8)))
        assert [answer.content for answer in answers] == [b"%d" % n for n in range(8)]

    identity = Passport()
    service = scene(play, identity=identity)
    assert identity.number == 2, "renewed once for all of them"
    assert len(service.seen) == 9


def test_a_start_from_zero_is_waited_out_with_the_whole_body_sent_again() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.starting.extend([429, 503, 429])

        async def content() -> AsyncIterator[bytes]:
            for number in range(50):
                yield b"%d " % number

        came = await client.post("/v1/any", content=content())
        assert came.status_code == 200
        assert came.content == b"".join(b"%d " % number for number in range(50))

    assert scene(play).asked == 4


def test_the_reader_is_told_once_that_it_sleeps_and_when_it_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waking, "_SLOW_S", 0.0)

    async def played() -> None:
        told, service = Told(), Service()
        service.awake.clear()
        async with (
            proxied(service, progress=told) as url,
            httpx2.AsyncClient(base_url=url, trust_env=False, verify=False, headers=SHOWN) as client,
        ):
            asking = [asyncio.create_task(client.post("/v1/any", content=b"x")) for _ in range(3)]
            await told.something.wait()
            assert told.said == [SLEEPS]
            service.awake.set()
            assert [answer.content for answer in await asyncio.gather(*asking)] == [b"x"] * 3
            await client.post("/v1/any", content=b"x")
        assert told.said == [SLEEPS, ("finished", "home answers")]

    asyncio.run(played())


def test_a_slow_answer_is_no_start_from_zero_where_one_came_lately() -> None:
    async def answer(seconds: float, status: int = 200) -> Head:
        await asyncio.sleep(seconds)
        return Head(ok=status < 400)

    async def played() -> list[tuple[str, str]]:
        told = Told()
        service = Waking("home", told, "about 95 s")
        await service.first_of(answer(2))
        await service.first_of(answer(100))
        assert told.said == []
        await asyncio.sleep(601)
        await asyncio.gather(service.first_of(answer(100, 503)), service.first_of(answer(50)))
        await asyncio.sleep(601)
        await service.first_of(answer(900, 429))
        return told.said

    assert act(played()) == [
        SLEEPS, ("finished", "home answers"), SLEEPS, ("failed", "home did not answer"),
    ]  # fmt: skip


def test_a_client_that_gives_up_waiting_ends_the_message_too() -> None:
    async def played() -> list[tuple[str, str]]:
        told = Told()
        never: asyncio.Future[Head] = asyncio.Future()
        waiting = asyncio.create_task(Waking("home", told).first_of(never))
        await asyncio.sleep(10)
        waiting.cancel()
        await asyncio.wait({waiting})
        return told.said

    assert [kind for kind, _ in act(played())] == ["started", "failed"]


@pytest.mark.parametrize("code", [429, 503])
def test_a_service_that_never_has_anything_free_is_explained_and_not_asked_again(code: int) -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.starting.append(code)
        service.retry_after = "901"
        async with openai.AsyncOpenAI(base_url=client.base_url.join("/v1"), api_key=KEY) as official:
            with pytest.raises(openai.APIStatusError, match="nothing free") as caught:
                await official.chat.completions.create(model=MODEL, messages=[])
        assert caught.value.status_code == code

    assert scene(play).asked == 1


def test_who_may_not_call_is_told_who_they_are_and_which_grant_is_missing() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.lets_in = False
        async with openai.AsyncOpenAI(base_url=client.base_url.join("/v1"), api_key=KEY) as official:
            with pytest.raises(openai.PermissionDeniedError) as caught:
                await official.chat.completions.create(model=MODEL, messages=[])
        for word in (YOU, "roles/run.invoker", "[access] callers", "403 Forbidden"):
            assert word in str(caught.value)
        assert "html" not in str(caught.value)

    told = Told()
    assert scene(play, progress=told).asked == 1
    assert [kind for kind, _ in told.said] == ["note"]


def test_who_is_outside_an_isolated_service_is_told_where_to_ask_from() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.starting.append(404)
        refused = await client.post("/v1/any", content=b"{}")
        assert refused.status_code == 404
        assert "a machine within it" in refused.json()["error"]["message"]

    scene(play)


def test_a_refusal_of_the_engines_own_passes_as_it_is() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        refused = await client.post("/v1/refused", content=b"{}")
        assert refused.status_code == 403
        assert refused.json() == {"error": {"message": "the engine's own"}}

    scene(play)


def test_a_token_that_is_not_taken_is_explained() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        service.taken = "another"
        refused = await client.post("/v1/any", content=b"{}")
        assert refused.status_code == 401
        assert "audience" in refused.json()["error"]["message"]

    assert scene(play).asked == 2


def test_where_nobody_is_logged_in_the_client_is_told_the_command() -> None:
    async def play(service: Service, client: httpx2.AsyncClient) -> None:
        refused = await client.post("/v1/any", content=b"{}")
        assert refused.status_code == 401
        assert "gcloud auth login" in refused.json()["error"]["message"]

    assert scene(play, identity=Passport(none=True)).asked == 0


def test_a_service_that_cannot_be_reached_is_said_to_be_so() -> None:
    async def played() -> httpx2.Response:
        async with reached(Service()) as gone:
            pass
        async with (
            running(gone, listen(0), key=None, models=[MODEL]) as url,
            httpx2.AsyncClient(trust_env=False, verify=False) as client,
        ):
            return await client.post(f"{url}/v1/any", content=b"x")

    answer = asyncio.run(played())
    assert answer.status_code == 502
    assert "could not be reached" in answer.json()["error"]["message"]
