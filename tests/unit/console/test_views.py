"""What the console reckons, and how it sends a log: many lines at once, and none late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homeport.console.app import application
from homeport.console.reckoned import WAKES, reckoned
from homeport.console.views import Views, together
from homeport.cost.answer import Question, answer
from homeport.cost.usage import Usage
from homeport.errors import HomeportError
from homeport.home import Home
from homeport.secret import Secret
from homeport.targets.base import OpenOptions


def test_a_month_costs_more_the_more_often_it_wakes_and_never_more_than_always_on(tmp_path: Path) -> None:
    found = reckoned("gemma-3-4b", 4096, 4, file=tmp_path / "homeport.toml", home=Home(tmp_path))
    prices = [one["usd_per_month"] for one in found["curve"]]
    assert [one["wakes"] for one in found["curve"]] == [*WAKES, None]
    assert prices == sorted(prices)
    assert prices[0] < prices[-1]
    assert found["cost_error"] is None
    assert any(row["fits"] for row in found["fit"]["rows"])
    more = reckoned("gemma-3-4b", 32768, 4, file=tmp_path / "homeport.toml", home=Home(tmp_path))
    at_once = [row["concurrency"] for row in (found["fit"]["rows"][0], more["fit"]["rows"][0])]
    assert at_once[1] < at_once[0]


def test_a_month_on_the_page_is_that_of_homeport_cost(tmp_path: Path) -> None:
    file, home = tmp_path / "homeport.toml", Home(tmp_path)
    curve = reckoned("gemma-3-4b", 4096, 4, file=file, home=home)["curve"]
    for point in curve[:-1]:
        question = Question(
            wanted={"context": 4096, "parallel": 4}, engine=None, tokens_per_day=point["wakes"], tokens_per_second=1e9,
            versus=None, wakes=point["wakes"], input_share=None, prices=None, home=home,
        )  # fmt: skip
        scaling = answer("gemma-3-4b", file, question).cost.scaling
        assert scaling is not None
        assert scaling.value > answer("gemma-3-4b", file, question).cost.states[0].month.value, (
            "each wake is paid for"
        )
        assert point["usd_per_month"] == pytest.approx(scaling.value), point


def test_where_there_is_no_price_of_always_on_a_reason_stands_in_the_curve_s_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Usage, "fits", lambda usage, tokens: False)
    found = reckoned("gemma-3-4b", 4096, 4, file=tmp_path / "homeport.toml", home=Home(tmp_path))
    assert found["curve"] == []
    assert "cannot do the work" in found["cost_error"]["message"]
    assert "scaling.max" in found["cost_error"]["hint"]


def test_a_model_that_nobody_knows_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(HomeportError, match="knows no model"):
        reckoned("no-such-model", None, None, file=tmp_path / "homeport.toml", home=Home(tmp_path))


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("model=gemma-3-4b&context=4096", 200, "nvidia-l4"),
        ("model=gemma-3-4b&context=-1", 400, "context is no number"),
        ("model=gemma-3-4b&context=1e3", 400, "context is no number"),
        ("model=gemma-3-4b&parallel=99999999999", 400, "parallel is no number"),
        ("model=gemma-3-4b&parallel=%D9%A3", 400, "parallel is no number"),
        ("model=gemma-3-4b&context=9999999", 409, "was made for"),
        ("model=%3Cscript%3E", 409, "knows no model"),
    ],
)
def test_fit_over_http_takes_what_it_could_be_and_refuses_all_else(
    tmp_path: Path, query: str, status: int, told: str
) -> None:
    views = Views(
        file=tmp_path / "homeport.toml", places=["local"], options=OpenOptions(env={}, home=Home(tmp_path))
    )
    key = Secret("a-key")

    async def asked() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=application(views, key))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
            return await client.get(f"/api/fit?{query}", headers={"authorization": "Bearer a-key"})

    answer = asyncio.run(asked())
    assert answer.status_code == status, answer.text
    assert told in answer.text


class Deployed:
    """An endpoint with one way back, which is gone once it was taken."""

    rollback_to: str | None = "second"

    async def status(self, *, usage: bool = True) -> Any:  # Any: what has the one attribute that is asked for
        assert not usage, "nobody here wants to know what it was used for, and to wait for that"
        return self

    async def rollback(self, progress: object) -> Any:
        del progress
        self.serving, self.rollback_to = self.rollback_to, None
        return self

    def as_json(self) -> dict[str, str | None]:
        return {"serving": self.serving}


def test_two_consoles_have_a_key_each_and_what_one_has_rolled_back_the_other_is_refused(
    tmp_path: Path,
) -> None:
    shared = Deployed()

    class OnShared(Views):
        @asynccontextmanager
        async def _one(self, on: str, name: str) -> AsyncIterator[Any]:
            yield shared

    async def roll_back(console: str, key: str) -> httpx2.Response:
        options = OpenOptions(env={}, home=Home(tmp_path))
        views = OnShared(file=tmp_path / "homeport.toml", places=["local"], options=options)
        transport = httpx2.ASGITransport(app=application(views, Secret(console)))
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:1", headers=headers
        ) as client:
            return await client.post("/api/local/home/rollback", json={"to": "second"})

    assert asyncio.run(roll_back("first-key", "second-key")).status_code == 401
    assert asyncio.run(roll_back("first-key", "first-key")).json() == {"serving": "second"}
    late = asyncio.run(roll_back("second-key", "second-key"))
    assert late.status_code == 409
    assert "by now nothing would serve again, and not second" in late.text


def test_lines_go_together_and_what_waits_for_more_goes_soon() -> None:
    pause = asyncio.Event()

    async def log() -> AsyncIterator[str]:
        for number in range(1200):
            yield f"line {number}\n"
        await pause.wait()
        yield "late\n"

    async def read() -> list[list[str]]:
        found = []
        async for lines in together(log()):
            found.append(lines)
            if sum(map(len, found)) == 1200:
                pause.set()
        return found

    found = asyncio.run(asyncio.wait_for(read(), 120))
    assert [line for lines in found for line in lines] == [
        *(f"line {number}" for number in range(1200)),
        "late",
    ]
    assert len(found) <= 5
    assert found[-1] == ["late"]


def test_what_has_come_is_sent_before_the_log_breaks_off() -> None:
    async def log() -> AsyncIterator[str]:
        yield "one\ntwo\n"
        yield "three\n"
        raise HomeportError("the engine has gone")

    found: list[str] = []

    async def read() -> None:
        async for lines in together(log()):
            found.extend(lines)

    with pytest.raises(HomeportError, match="the engine has gone"):
        asyncio.run(read())
    assert found == ["one", "two", "three"]


def test_a_line_that_comes_while_others_are_sent_is_not_lost() -> None:
    sending, sent = asyncio.Event(), asyncio.Event()

    async def log() -> AsyncIterator[str]:
        yield "one\n"
        await sending.wait()
        sent.set()
        yield "two\n"

    async def read() -> list[str]:
        found: list[str] = []
        async for lines in together(log()):
            found += lines
            sending.set()
            await sent.wait()
        return found

    assert asyncio.run(asyncio.wait_for(read(), 120)) == ["one", "two"]
