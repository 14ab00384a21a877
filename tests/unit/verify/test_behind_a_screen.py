"""What is looked at behind the real gateway of `[guard]`: it refuses likelihoods, so that an adapter's texts alone can show it, and pictures and sound."""

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


def looked_at(check: str, screen: Screen, defect: Defect | None = None, *, known: bool = True) -> Result:
    """What came of a check, asked through a gateway, of which it knows or not."""

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
                    behind_gateway=known,
                )  # fmt: skip
                (result,) = (await verify(subject, only=(check,))).results
                return result
        finally:
            await app.aclose()

    with Engine(defect) as engine:
        return asyncio.run(work(engine))


@pytest.fixture
def screen() -> LocalScreen:
    return LocalScreen(LOCAL.filters)


@pytest.mark.parametrize(
    ("check", "medium", "one"), [("images", "picture", "one"), ("sounds", "sound", "a sound")]
)
def test_a_medium_that_the_gateway_refuses_is_not_said_to_be_beyond_the_model(
    check: str, medium: str, one: str, screen: LocalScreen
) -> None:
    found = looked_at(check, screen, Defect.PICTURE_SEEN)
    assert (found.outcome, found.detail) == (
        Outcome.PASSED, f"the gateway before it takes no {medium}, and {one} is refused with 400"
    )  # fmt: skip


def test_the_gateway_refuses_what_is_asked_of_an_endpoint_without_a_screen(screen: LocalScreen) -> None:
    found = looked_at("adapters", screen, known=False)
    assert found.outcome is Outcome.FAILED
    assert "logprobs" in found.detail


def test_an_adapter_that_says_something_else_passes_and_what_was_not_looked_at_is_said(
    screen: LocalScreen,
) -> None:
    found = looked_at("adapters", screen, None)
    assert found.outcome is Outcome.PASSED, found.detail
    assert found.detail.startswith(f"{ADAPTER}: 4 of 4 texts are others; {UNLOOKED}")


@pytest.mark.parametrize("defect", [Defect.ADAPTER_UNTRAINED, Defect.ADAPTER_IGNORED])
def test_the_same_texts_show_nothing_either_way(screen: LocalScreen, defect: Defect) -> None:
    found = looked_at("adapters", screen, defect)
    assert found.outcome is Outcome.SKIPPED, (
        "likelihoods might differ: it is not shown to be untrained, either"
    )
    assert found.detail.startswith(f"not shown of {ADAPTER}: {ADAPTER}: 0 of 4 texts are others; {UNLOOKED}")


def test_an_answer_that_the_screen_withheld_is_no_other_text() -> None:
    found = looked_at("adapters", StopsOne(), None)
    assert found.outcome is Outcome.SKIPPED
    assert found.detail.startswith(f"not shown of {ADAPTER}: {ADAPTER}: 0 of 0 texts are others")


def test_a_base_model_that_says_something_else_each_time_shows_nothing(screen: LocalScreen) -> None:
    found = looked_at("adapters", screen, Defect.RANDOM)
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
