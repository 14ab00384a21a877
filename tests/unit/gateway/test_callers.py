"""Requests are counted by whom Cloud Run let in; whoever it did not look at has no name, whatever he writes."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx2
import pytest

from gateways import ATTACK, asked, gateway
from homeport.endpoint import Endpoint
from homeport.gateway.callers import MOST, SERIES_EACH, CallerCounts, caller_of, made_up
from homeport.gateway.counting import CountingApp
from homeport.gateway.metrics import GatewayMetrics
from homeport.gateway.usage import TokenUsage
from homeport.proxy import listen
from homeport.relay.messages import Headers
from homeport.relay.served import served
from identity_headers import ISSUER, bearer, token
from parrot_engine import Parrot

ANN, BOB = "ann@example.com", "bob@x.iam.gserviceaccount.com"
SERVERLESS = "x-serverless-authorization"


def headers(*fields: dict[str, str]) -> Headers:
    return [(name.encode(), value.encode()) for field in fields for name, value in field.items()]


def told(text: bytes) -> dict[str, dict[str, float]]:
    """By caller: requests of which tokens are known (`yes`) and are not (`no`), and tokens."""
    found: dict[str, dict[str, float]] = {}
    for name, labels, value in re.findall(
        r"^homeport_caller_(\w+)_total{(.*)} (\S+)$", text.decode(), re.MULTILINE
    ):
        assert name in {"requests", "tokens"}
        by = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found.setdefault(by["caller"], {})[by.get("tokens_told") or by["gen_ai_token_type"]] = float(value)
    return found


def row(yes: float, no: float, prompt: float, answer: float) -> dict[str, float]:
    return {"yes": yes, "no": no, "input": prompt, "output": answer}


@pytest.mark.parametrize(
    ("fields", "who"),
    [
        ([bearer(ANN)], ANN),
        ([bearer(ANN, header=SERVERLESS)], ANN),
        # Cloud Run looks at the first of the two alone, and hands on whatever stands in the other.
        ([bearer(ANN, header=SERVERLESS), bearer(BOB)], ANN),
        ([bearer(BOB), bearer(ANN, header=SERVERLESS)], ANN),
        ([bearer(BOB), {SERVERLESS: "Bearer sk-mine"}], ""),
        ([bearer(BOB), {SERVERLESS: ""}], ""),
        ([bearer(ANN), bearer(BOB)], ""),
        ([bearer(None)], "1234567890"),
        ([bearer(ANN, email_verified=False)], "1234567890"),
        ([bearer(ANN, email_verified="true")], "1234567890"),
        ([bearer(ANN, signature="c2lnbmVk")], ""),
        ([bearer(ANN, signature="")], ""),
        ([bearer(ANN, iss="https://example.com")], ""),
        ([bearer(ANN, iss="accounts.google.com")], ANN),
        ([bearer(ANN, iss=f"{ISSUER}.example.com")], ""),
        ([{"authorization": token(ANN)}], ""),
        ([{"authorization": f"Basic {token(ANN)}"}], ""),
        ([{"authorization": "Bearer sk-1234"}], ""),
        ([{"authorization": "Bearer a.!!!.SIGNATURE_REMOVED_BY_GOOGLE"}], ""),
        ([{"authorization": "Bearer a.WzFd.SIGNATURE_REMOVED_BY_GOOGLE"}], ""),
        ([{"authorization": f"Bearer a.{'W' * 4000}.SIGNATURE_REMOVED_BY_GOOGLE"}], ""),
        ([bearer("a b@example.com")], ""),
        ([bearer('a"}\n@example.com')], ""),
        ([bearer("others", sub="unknown")], ""),
        ([bearer(f"{'a' * 300}@example.com")], ""),
        ([bearer(None, sub=7)], ""),
        ([{"x-goog-authenticated-user-email": f"accounts.google.com:{ANN}"}], ""),
        ([], ""),
    ],
)
def test_a_caller_is_whom_cloud_run_looked_at_and_nobody_else(fields: list[dict[str, str]], who: str) -> None:
    assert caller_of(headers(*fields)) == who


def test_a_caller_begins_at_nothing_when_it_is_first_seen() -> None:
    metrics = GatewayMetrics("m", callers=True)
    assert told(metrics.text()) == {"unknown": row(0, 0, 0, 0)}
    metrics.begun()
    metrics.ended("chat", 1.0, "", TokenUsage(7, 3), headers(bearer(ANN)))
    assert told(metrics.text())[ANN] == row(0, 0, 0, 0)
    assert told(metrics.text())[ANN] == row(1, 0, 7, 3)
    assert told(metrics.text())["unknown"] == row(0, 0, 0, 0)


def test_requests_whose_tokens_nobody_said_are_told_apart_and_what_was_refused_took_none() -> None:
    counts = CallerCounts()
    list(counts.collect())
    for error, usage in (
        ("", TokenUsage(7, 3)),
        ("", TokenUsage(5, None)),  # Vectors have no answer.
        ("", TokenUsage()),
        ("client_gone", TokenUsage()),
        ("engine", TokenUsage()),
        ("400", TokenUsage()),
        # What begins a stream of Anthropic's API tells of tokens, too, and of no more than had come.
        ("client_gone", TokenUsage(2, 1)),
    ):
        counts.ended((), error, usage)
    requests, tokens = counts.collect()
    assert [sample.value for sample in requests.samples] == [3, 4]
    assert [sample.value for sample in tokens.samples] == [14, 4]


def test_as_many_callers_as_there_may_be_have_series_and_the_rest_share_one() -> None:
    metrics = GatewayMetrics("m", callers=True)
    many = [headers(bearer(f"c{number}@example.com")) for number in range(MOST + 20)]
    for _ in range(2):
        for who in many:
            metrics.begun()
            metrics.ended("chat", 1.0, "", TokenUsage(1, 1), who)
    metrics.text()
    found = told(metrics.text())
    assert len(found) == MOST + 2
    assert found["c0@example.com"] == row(2, 0, 2, 2)
    assert found["others"] == row(40, 0, 40, 40)
    assert sum(len(series) for series in found.values()) == SERIES_EACH * (MOST + 2)


def test_where_nobody_wants_it_no_caller_is_named() -> None:
    metrics = GatewayMetrics("m")
    metrics.begun()
    metrics.ended("chat", 1.0, "", TokenUsage(7, 3), headers(bearer(ANN)))
    assert b"caller" not in metrics.text()
    assert ANN.encode() not in metrics.text()


def test_two_callers_through_a_gateway_that_counts_have_what_their_answers_said() -> None:
    async def play() -> None:
        async with Parrot().serving() as engine:
            metrics = GatewayMetrics("parrot", callers=True)
            app = CountingApp(Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), metrics)
            try:
                async with (
                    served(app, listen(0)) as url,
                    httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
                ):
                    path = "/v1/chat/completions"
                    used: dict[str, list[int]] = {}
                    for who, count in ((ANN, 3), (BOB, 2)):
                        for _ in range(count):
                            came = await client.post(
                                path, json=asked(path, "x", stream=False), headers=bearer(who)
                            )
                            usage = came.json()["usage"]
                            sums = used.setdefault(who, [0, 0])
                            sums[0] += usage["prompt_tokens"]
                            sums[1] += usage["completion_tokens"]
                    await client.post(path, json=asked(path, "x", stream=False))
                    await client.get("/v1/models", headers=bearer("looks@example.com"))
                    metrics.text()
                    found = told(metrics.text())
            finally:
                await app.aclose()
        assert set(found) == {ANN, BOB, "unknown"}
        assert found[ANN] == row(3, 0, *used[ANN])
        assert used[ANN][1] > 0
        assert found[BOB] == row(2, 0, *used[BOB])
        assert found["unknown"]["yes"] == 1

    asyncio.run(play())


class Untold(Parrot):
    """One that answers, whatever it is asked, and says nothing of tokens."""

    def whole(self, path: str) -> Any:  # Any: JSON
        return {"results": [{"index": 0, "relevance_score": 0.5}]}


def test_whatever_is_sent_to_an_engine_counts_by_its_caller_but_for_what_only_looks() -> None:
    asking = (
        "/invocations",
        "/v1/rerank",
        "/pooling",
        "/inference/v1/generate",
        "/v1/chat/completions/batch",
    )
    looking = ("/tokenize", "/v1/messages/count_tokens", "/v1/chat/completions/render", "/api/show")

    async def play() -> None:
        async with Untold().serving() as engine:
            metrics = GatewayMetrics("parrot", callers=True)
            app = CountingApp(Endpoint(name="home", base_url=f"{engine}/v1", model="parrot"), metrics)
            try:
                async with (
                    served(app, listen(0)) as url,
                    httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as client,
                ):
                    for path in (*asking, *looking):
                        came = await client.post(path, json={"input": "x"}, headers=bearer(ANN))
                        assert came.status_code == 200, came.text
                    metrics.text()
                    text = metrics.text()
            finally:
                await app.aclose()
        assert told(text)[ANN] == row(0, len(asking), 0, 0)
        assert (
            b'duration_seconds_count{error_type="",gen_ai_operation_name="chat",gen_ai_request_model="parrot"} 0.0'
            in text
        )

    asyncio.run(play())


@pytest.mark.parametrize("screened", [False, True])
def test_whoever_asks_is_told_whom_he_is_taken_for_where_callers_are_counted_and_nowhere_else(
    screened: bool,
) -> None:
    made = {"authorization": f"Bearer {made_up('made-up@homeport.invalid')}"}

    async def asked_of(client: httpx2.AsyncClient, *fields: dict[str, str]) -> Any:  # Any: JSON
        together = {name: value for field in fields for name, value in field.items()}
        return (await client.get("/gateway/caller", headers=together)).json().get("caller")

    async def play() -> None:
        for callers in (True, False):
            async with gateway(Parrot(), callers=callers) as stage:
                app = CountingApp(
                    Endpoint(name="home", base_url=f"{stage.url}/v1", model="parrot"),
                    GatewayMetrics("parrot", callers=callers),
                )
                try:
                    async with served(app, listen(0)) as url:
                        base = stage.url if screened else url
                        async with httpx2.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
                            found = [
                                await asked_of(client, *fields)
                                for fields in (
                                    [made, bearer(ANN, header=SERVERLESS)],
                                    [bearer(BOB)],
                                    [made],  # What is left where Cloud Run takes the other one away.
                                    [],
                                )
                            ]
                finally:
                    await app.aclose()
            assert found == ([ANN, BOB, "made-up@homeport.invalid", ""] if callers else [None] * 4)

    asyncio.run(play())


def test_before_a_screen_callers_are_counted_too() -> None:
    async def play() -> None:
        async with gateway(Parrot(), callers=True) as stage:
            path = "/v1/chat/completions"
            for words in ("x", "y", ATTACK):
                await stage.client.post(path, json=asked(path, words, stream=False), headers=bearer(ANN))
            stage.metrics.text()
            found = told(stage.metrics.text())[ANN]
            assert found["yes"] == 2
            assert found["no"] == 1, "of what the screen refused nobody says what it took"
            assert found["output"] > 0

    asyncio.run(play())
