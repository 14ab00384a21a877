"""The console in a real Chromium: every page, what is not there, what dies while one looks, and text that would be HTML."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from browser import chromium, console_of, tab
from homeport.console.reckoned import reckoned
from homeport.errors import HomeportError, NotRunning
from homeport.home import Home
from places import ROOT, TAUGHT
from processes_of import spec
from user import User

pytestmark = pytest.mark.console
EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
PICTURES = ROOT / "docs" / "pictures"


class ScriptedViews:
    """What a console shows, as a test says it."""

    def __init__(self, text: str = "demo", lines: int = 3) -> None:
        self.text, self.lines, self.state, self.there = text, lines, "running", True
        self.rollback: dict[str, str | None] = {"rollback_to": text, "rollback_unknown": ""}

    def _one(self) -> dict[str, Any]:
        runs = self.state == "running"
        figures = {
            "at": time.time(),
            "running": 1,
            "waiting": 0,
            "kv_cache": None,
            "prompt_tokens": 5,
            "output_tokens": 7,
        }
        return {
            "name": "home", "on": "local", "state": self.state, "why": "" if runs else self.text, "model": self.text,
            "engine": self.text, "url": "", "region": "", "usd_per_hour": None, "unknown": "" if runs else "it is dead",
            "resident_bytes": 2**20, "figures": figures if runs else None,
            "rates": {"output_tokens_per_s": 3.5, "prompt_tokens_per_s": 1, "ttft_s": None} if runs else None,
        }  # fmt: skip

    async def live(self) -> AsyncIterator[Any]:
        while True:
            here: dict[str, Any] = {"on": "local", "title": "this machine", "unread": [], "error": None}
            yield {**here, "endpoints": [self._one()] if self.there else []}
            await asyncio.sleep(0.2)

    async def fit(self, model: str | None, context: int | None, parallel: int | None) -> Any:
        if model is None:
            raise NotRunning("there is no such file")
        return reckoned(model, context, parallel, file=ROOT / "homeport.toml", home=Home(ROOT))

    async def status(self, on: str, name: str) -> Any:
        if not self.there:
            raise NotRunning(f"no endpoint called {name} runs here", hint="`homeport up` starts one")
        return {
            "state": self.state, "reason": self.text, "url": self.text, "model": self.text, "engine": self.text,
            "context": 512, "parallel": None, "started_at": self.text, "spec_file": self.text, "usage": None,
            "verified": None, "weights": None, "traffic": None, **self.rollback,
        }  # fmt: skip

    async def logs(self, on: str, name: str) -> AsyncIterator[Any]:
        yield {"lines": [f"line {number} {self.text}" for number in range(self.lines)]}

    async def chat(self, on: str, name: str, asked: Any) -> AsyncIterator[Any]:
        call = {"index": 0, "function": {"name": self.text, "arguments": self.text}}
        for delta in ({"reasoning_content": self.text}, {"content": self.text}, {"tool_calls": [call]}):
            yield {"choices": [{"delta": delta, "finish_reason": None}]}
        yield {
            "choices": [{"delta": {}, "finish_reason": self.text}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 4},
        }

    async def verify(self, on: str, name: str) -> AsyncIterator[Any]:
        yield {"result": {"outcome": "failed", "title": self.text, "detail": self.text}}
        yield {"report": {"passed": False}}

    async def plan(self, on: str) -> Any:
        action = {
            "kind": "create",
            "id": self.text,
            "summary": self.text,
            "changes": [{"path": self.text, "before": None, "after": self.text}],
        }
        return {
            "name": self.text, "target": "local", "file": self.text, "actions": [action], "needs": {self.text: []},
            "facts": {self.text: {"text": self.text}}, "warnings": [self.text], "problems": [self.text],
        }  # fmt: skip

    async def benches(self) -> Any:
        return [
            {
                "started_at": self.text,
                "endpoint": self.text,
                "model": self.text,
                "users": None,
                "output_tokens_per_second": None,
                "valid": False,
                "why": self.text,
            }
        ]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A new tab. What it logs as an error, or that CSP refused, fails the test."""
    with tab(browser, width=1100) as found:
        yield found


def test_what_an_engine_or_a_model_says_is_never_html(page: Any) -> None:
    with console_of(ScriptedViews(EVIL)) as link:
        page.goto(link)
        page.get_by_role("link", name="home").click()
        page.get_by_text("was verified before.").wait_for()
        page.get_by_role("button", name="Verify now").click()
        page.get_by_text("NOT verified").wait_for()
        page.get_by_text("3 lines").wait_for()
        page.get_by_role("button", name="Roll back …").click()
        page.get_by_role("button", name="No", exact=True).click()
        page.get_by_role("link", name="Playground").click()
        page.get_by_label("Message").first.fill("hello")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("ended: ").wait_for()
        assert page.locator("[data-answer]").inner_text() == EVIL
        for name in ("Plan", "Benches"):
            page.get_by_role("link", name=name).click()
            page.get_by_text("onerror").first.wait_for()
        assert page.locator("main img, main script").count() == 0
        assert page.title() == "homeport"
        assert page.complaints == []


def test_an_endpoint_that_dies_while_one_looks_is_told_and_one_that_was_taken_down_too(page: Any) -> None:
    views = ScriptedViews()
    with console_of(views) as link:
        page.goto(link)
        page.get_by_role("link", name="home").click()
        page.get_by_text("Tokens a second: out 3.5, in 1").wait_for()
        assert page.locator("canvas").count() == 4
        views.state = "dead"
        page.get_by_role("alert").get_by_text("home is dead").wait_for()
        page.get_by_text("Tokens a second: out not known").wait_for()
        views.there = False
        page.get_by_role("alert").get_by_text("home is gone").wait_for()
        page.get_by_role("link", name="Endpoints").click()
        page.get_by_text("No endpoint runs on this machine.").wait_for()
        assert page.complaints == []


def test_what_google_does_not_tell_is_told_as_unknown_and_this_machine_goes_on(page: Any) -> None:
    class Both(ScriptedViews):
        refused, why = HomeportError("Google says no", hint="log in").as_json(), ["services in europe-west4"]

        async def live(self) -> AsyncIterator[Any]:
            async for told in super().live():
                yield told
                cloud = {"on": "cloudrun", "title": "Cloud Run", "endpoints": []}
                yield {**cloud, "unread": self.why, "error": self.refused if self.there else None}

    views = Both()
    views.rollback = {"rollback_to": None, "rollback_unknown": "its revisions could not be read: no"}
    with console_of(views) as link:
        page.goto(link)
        page.get_by_role("alert").get_by_text(
            "Cloud Run: not known, could not be read: Google says no — log in"
        ).wait_for()
        page.get_by_role("alert").get_by_text("could not be read: services in europe-west4").wait_for()
        page.get_by_role("link", name="home").wait_for()
        page.evaluate("location.hash = '#/endpoint/cloudrun/far'")
        page.get_by_role("alert").get_by_text("far is not known: Google says no").wait_for()
        page.get_by_text(
            "is not known: its revisions could not be read: no. `homeport rollback --on cloudrun`"
        ).wait_for()
        views.rollback = {"rollback_to": "home-00001-abc", "rollback_unknown": ""}
        page.reload()
        page.get_by_text("home-00001-abc was verified before.").wait_for()
        page.get_by_role("button", name="Roll back …").click()
        page.get_by_text(
            "home-00001-abc, a revision that was verified before, would have all of it at once."
        ).wait_for()
        page.get_by_role("button", name="No", exact=True).click()
        views.there = False
        page.get_by_role("link", name="Endpoints").click()
        page.get_by_text("No endpoint runs on this machine.").wait_for()
        assert page.complaints == []


def test_fit_and_cost_are_played_with_by_keyboard_and_a_model_that_is_none_is_told(page: Any) -> None:
    views = ScriptedViews()
    with console_of(views) as link:
        page.goto(link)
        page.get_by_role("link", name="Fit", exact=True).click()
        page.get_by_role("alert").get_by_text("there is no such").wait_for()
        page.get_by_label("Model").fill("gemma-3-4b")
        page.get_by_label("Context").fill("4096")
        page.keyboard.press("Enter")
        page.get_by_text("gemma-3-4b with a context of 4,096").wait_for()
        page.get_by_text("always on").wait_for()
        assert page.locator("meter").count() == 7
        page.set_viewport_size({"width": 320, "height": 600})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert all("404" in one for one in page.complaints), page.complaints


def test_ten_thousand_lines_of_a_log_are_searched_at_once(page: Any) -> None:
    with console_of(ScriptedViews(lines=10_000)) as link:
        page.goto(link)
        page.get_by_role("link", name="home").click()
        page.get_by_text("10000 lines").wait_for()
        page.get_by_label("Search").fill("line 99")
        page.get_by_text("111 of 10000 lines").wait_for()


def test_a_narrow_window_scrolls_in_no_direction_but_down_and_the_keyboard_suffices(page: Any) -> None:
    page.set_viewport_size({"width": 340, "height": 640})
    with console_of(ScriptedViews("a-model-with-quite-a-long-name-" * 4)) as link:
        page.goto(link)
        page.get_by_role("link", name="home").wait_for()
        for name in ("#/", "#/endpoint/local/home", "#/playground/local/home", "#/plan", "#/benches"):
            page.evaluate("to => { location.hash = to }", name)
            page.locator("main h1").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") <= 340, name
        page.evaluate("location.hash = '#/'")
        page.get_by_role("link", name="home").wait_for()
        for _ in range(12):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent") == "home":
                break
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="home running").wait_for()
        assert page.evaluate("document.activeElement.id") == "main", (
            "who listens to the page is read the new one"
        )


def test_without_the_key_and_from_elsewhere_nothing_is_told(page: Any) -> None:
    with console_of(ScriptedViews()) as link:
        origin = link.partition("/#")[0]
        page.goto(origin)
        page.get_by_role("alert").get_by_text("this page has no key").wait_for()
        assert page.request.get(f"{origin}/api/live").status == 401
        for headers in (
            {"origin": "http://evil.example"},
            {"sec-fetch-site": "cross-site"},
            {"host": "evil.example"},
        ):
            assert page.request.get(f"{origin}/", headers=headers).status == 403, headers
        policy = page.request.get(origin).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_a_console_that_is_ended_says_so(page: Any) -> None:
    with console_of(ScriptedViews()) as link:
        page.goto(link)
        page.get_by_role("link", name="home").wait_for()
    page.locator("#connection").get_by_text("broke off").or_(
        page.get_by_text("was it ended?")
    ).first.wait_for()


def test_the_real_console_of_a_real_engine(user: User, page: Any, record_property: Any) -> None:
    user.write(spec(f"file:{TAUGHT}", more="[engine]\ncontext = 1024"))
    user.run("up", "--yes", "--no-verify")
    process = user.begin("console", "--port", "0")
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        link = process.stdout.readline().strip()
        begun = time.monotonic()
        page.goto(link)
        page.get_by_role("link", name="home").wait_for()
        record_property(
            "seen", f"console: first picture with an endpoint after {time.monotonic() - begun:.2f} s"
        )
        assert "key=" not in page.url
        _picture(page, "console-endpoints.png")
        page.get_by_role("link", name="home").click()
        page.get_by_text("Nothing that was verified before").wait_for()
        page.get_by_text(re.compile(r"\d+ lines")).wait_for()
        page.get_by_role("link", name="Playground").click()
        page.get_by_label("Message").first.fill("What is the weather in Paris?")
        page.get_by_role("button", name="Send").click()
        page.get_by_text("ended: ").wait_for(timeout=120_000)
        told = page.locator("[data-timing]").inner_text()
        assert re.search(r"first token [\d,]+ ms, all [\d,]+ ms; tokens in \d+, out \d+", told), told
        _picture(page, "console-playground.png")
        page.get_by_role("link", name="Plan").click()
        page.get_by_text("nothing to do: it is as the file says").wait_for()
        assert page.locator("svg rect").count() >= 2
        page.get_by_role("link", name="Benches").click()
        page.get_by_text("No bench was kept.").wait_for()
        page.go_back()
        page.get_by_role("link", name="Endpoints").click()
        page.get_by_role("link", name="home").click()
        page.get_by_text("used for").wait_for()
        page.get_by_role("heading", name="home running").wait_for()
        page.get_by_text(re.compile(r"tokens in \d+, out \d+ since")).wait_for()
        _picture(page, "console-endpoint.png")
        user.run("down", "--yes")
        page.get_by_role("alert").get_by_text("home is gone").wait_for()
        assert page.complaints == []
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 0, process.stderr.read()
        process.stdout.close()
        process.stderr.close()


def _picture(page: Any, name: str) -> None:
    """Draw a picture of the docs anew, where `DRAW=1 make test-console` asks for it."""
    if os.environ.get("DRAW"):
        PICTURES.mkdir(exist_ok=True)
        # Further down there are paths of the machine that drew it.
        page.screenshot(path=str(PICTURES / name), clip={"x": 0, "y": 0, "width": 1100, "height": 540})
