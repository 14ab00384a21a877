"""A real Chromium, driven by Playwright from an environment of its own: see scripts/browser_env.sh."""

from __future__ import annotations

import asyncio
import site
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from homeport import addresses, door
from homeport.console.app import application
from homeport.relay.served import served
from places import ROOT

ENVIRONMENT = ROOT / ".cache" / "browser"


@contextmanager
def chromium() -> Iterator[Any]:  # Any: Playwright's Browser; it has an environment of its own
    """Debian's Chromium. It reaches nothing but this machine: every other name leads nowhere."""
    (packages,) = ENVIRONMENT.glob("lib/python3*/site-packages")
    site.addsitedir(str(packages))
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            ],
        )
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Any, *, width: int, color_scheme: str = "light") -> Iterator[Any]:  # Any: Playwright's Page
    """A new tab, with what it `asked` for, and its `complaints`: what it logged as an error, or CSP refused."""
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=color_scheme)
    context.set_default_timeout(120_000)
    page = context.new_page()
    page.asked, page.complaints = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    try:
        yield page
    finally:
        context.close()


@contextmanager
def console_of(views: Any) -> Iterator[str]:  # Any: whatever answers as `Views` does
    """The link to a console that shows `views`."""
    key, listening = door.new_key(), addresses.listen(0, lambda _: "")
    ready, end, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with served(application(views, key), listening):
            ready.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(120)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/#key={key.reveal()}"
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(60)
        loop.close()
        listening.close()
