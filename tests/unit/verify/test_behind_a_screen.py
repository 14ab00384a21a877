"""A LoRA adapter behind the real gateway of `[guard]`, which refuses to tell likelihoods: its texts alone can show it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateways import LOCAL
from homeport import catalog
from homeport.endpoint import Endpoint
from homeport.engines.base import Launch
from homeport.gateway.app import GatewayApp
from homeport.gateway.screener import Screener
from homeport.gateway.screens.base import Screen
from homeport.gateway.screens.local import LocalScreen
from homeport.gateway.verdict import Side
from homeport.proxy import listen
from homeport.relay.served import served
from homeport.secret import Secret
from homeport.spec import Guard
from homeport.targets.local.guard import behind_gateway, is_behind_gateway
from homeport.verify import Outcome, Result, VerificationSubject, verify
from scripted_engine import ADAPTER, CONTEXT, KEY, MODEL, WEIGHTS, Defect, Engine

UNLOOKED = "how likely tokens are was not looked at"


class StopsOne:
    """A screen that finds something in what the adapter says."""

    async def judge(self, text: str, side: Side) -> tuple[str, ...]:
        return ("harm",) if side is Side.ANSWER and "otherwise" in text else ()

    async def aclose(self) -> None:
        """Has nothing open."""


def of_adapters(defect: Defect | None, screen: Screen, *, tells: bool = False) -> Result:
    """What came of the check of adapters, asked through a gateway."""

    async def work(engine: Engine) -> Result:
        behind = Endpoint(name="engine", base_url=f"{engine.url}/v1", model=MODEL, api_key=Secret(KEY))
        app = GatewayApp(behind, screener=Screener(screen, LOCAL))
        try:
            async with served(app, listen(0)) as url:
                found = catalog.find("gemma-4-e2b")
                assert found is not None
                subject = VerificationSubject(
                    endpoint=replace(behind, base_url=f"{url}/v1", api_key=None), model=found, engine="vllm", context=CONTEXT,
                    parallel=1, tools=False, weights_path=WEIGHTS, weights_digest="", weights_intact=True, adapters=(ADAPTER,),
                    tells_likelihoods=tells,
                )  # fmt: skip
                (result,) = (await verify(subject, only=("adapters",))).results
                return result
        finally:
            await app.aclose()

    with Engine(defect) as engine:
        return asyncio.run(work(engine))


@pytest.fixture
def screen() -> LocalScreen:
    return LocalScreen(LOCAL.filters)


def test_the_gateway_refuses_what_is_asked_of_an_endpoint_without_a_screen(screen: LocalScreen) -> None:
    found = of_adapters(None, screen, tells=True)
    assert found.outcome is Outcome.FAILED
    assert "logprobs" in found.detail


def test_an_adapter_that_says_something_else_passes_and_what_was_not_looked_at_is_said(
    screen: LocalScreen,
) -> None:
    found = of_adapters(None, screen)
    assert found.outcome is Outcome.PASSED, found.detail
    assert found.detail.startswith(f"{ADAPTER}: 4 of 4 texts are others; {UNLOOKED}")


@pytest.mark.parametrize("defect", [Defect.ADAPTER_UNTRAINED, Defect.ADAPTER_IGNORED])
def test_the_same_texts_show_nothing_either_way(screen: LocalScreen, defect: Defect) -> None:
    found = of_adapters(defect, screen)
    assert found.outcome is Outcome.SKIPPED, (
        "likelihoods might differ: it is not shown to be untrained, either"
    )
    assert found.detail.startswith(f"not shown of {ADAPTER}: {ADAPTER}: 0 of 4 texts are others; {UNLOOKED}")


def test_an_answer_that_the_screen_withheld_is_no_other_text() -> None:
    found = of_adapters(None, StopsOne())
    assert found.outcome is Outcome.SKIPPED
    assert found.detail.startswith(f"not shown of {ADAPTER}: {ADAPTER}: 0 of 0 texts are others")


def test_a_base_model_that_says_something_else_each_time_shows_nothing(screen: LocalScreen) -> None:
    found = of_adapters(Defect.RANDOM, screen)
    assert found.outcome is Outcome.SKIPPED
    assert "otherwise each time" in found.detail


def test_a_record_of_what_runs_here_tells_whether_a_gateway_stands_before_it() -> None:
    bare = Launch(
        engine="vllm", version="1", command=("vllm", "serve", "homeport.gateway.process"), environment={}, model="m",
        host="127.0.0.1", port=1, context=1, parallel=1, keyed=True, weights="", tools=False, ready_within_s=1,
    )  # fmt: skip
    before = behind_gateway(bare, Guard(), None, host="127.0.0.1", port=2)
    told = [is_behind_gateway(one.as_json()["command"]) for one in (bare, before)]
    assert told == [False, True]
