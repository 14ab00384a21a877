"""What the console's server answers, and to whom: judged without a browser."""

from __future__ import annotations

import asyncio
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx2
import pytest

from homeport.console.app import HEADERS, STATIC, application
from homeport.console.views import Views
from homeport.home import Home
from homeport.secret import Secret
from homeport.targets.base import OpenOptions

KEY = Secret("hp-right")
FOLDER = Path(str(files("homeport.console").joinpath("static")))
SHOWN = {"authorization": "Bearer hp-right"}


def ask(tmp_path: Path, verb: str, path: str, **more: Any) -> httpx2.Response:  # Any: httpx2's
    views = Views(
        file=tmp_path / "homeport.toml", places=("local",), options=OpenOptions(env={}, home=Home(tmp_path))
    )

    async def once() -> httpx2.Response:
        transport = httpx2.ASGITransport(app=application(views, KEY))
        async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:1") as client:
            return await client.request(verb, path, **more)

    return asyncio.run(once())


def test_everything_that_is_there_is_listed_and_stays_small() -> None:
    there = {str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file()}
    assert there == set(STATIC)
    assert sum((FOLDER / name).stat().st_size for name in there) < 300_000


def test_no_file_of_the_page_makes_html_of_text_or_asks_elsewhere() -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\(|new Function|https?://(?!www\.w3\.org/2000/svg)"
    for path in FOLDER.glob("*.*"):
        assert not re.search(forbidden, path.read_text()), path.name


def test_the_vendored_library_has_its_licence() -> None:
    assert "MIT License" in (FOLDER / "vendor" / "uPlot.LICENSE").read_text()


def test_the_page_is_open_and_holds_nothing_all_else_wants_the_key(tmp_path: Path) -> None:
    assert ask(tmp_path, "GET", "/").status_code == 200
    for verb, path in (
        ("GET", "/api/plan"),
        ("GET", "/api/local/home/status"),
        ("POST", "/api/local/home/rollback"),
    ):
        assert ask(tmp_path, verb, path).status_code == 401
        wrong = ask(tmp_path, verb, path, headers={"authorization": "Bearer hp-wrong"})
        assert wrong.status_code == 401
    assert ask(tmp_path, "GET", "/api/plan?key=hp-right").status_code == 401, (
        "a key in a path ends up in logs"
    )


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"sec-fetch-site": "same-site"}],
)
def test_no_other_page_and_no_other_name_gets_in_with_the_key(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    assert ask(tmp_path, "GET", "/api/benches", headers={**SHOWN, **headers}).status_code == 403


def test_every_answer_says_what_the_page_may_do(tmp_path: Path) -> None:
    for path in ("/", "/nothing", "/api/plan"):
        assert HEADERS.items() <= dict(ask(tmp_path, "GET", path).headers).items()


@pytest.mark.parametrize("path", ["/../app.py", "/static/app.js", "/vendor/", "/%2e%2e/app.py", "/app.py"])
def test_no_file_is_had_by_its_path(tmp_path: Path, path: str) -> None:
    assert ask(tmp_path, "GET", path).status_code == 404


def test_what_is_not_there_says_what_to_do(tmp_path: Path) -> None:
    missing = ask(tmp_path, "GET", "/api/local/home/status", headers=SHOWN)
    assert missing.status_code == 404
    assert missing.json()["hint"] == "`homeport up` starts one"
    assert ask(tmp_path, "GET", "/api/plan", headers=SHOWN).status_code == 409, "there is no file"
    assert ask(tmp_path, "GET", "/api/benches", headers=SHOWN).json() == []
    for name in ("..", "%2e%2e%2fx", "A B"):
        assert ask(tmp_path, "GET", f"/api/local/{name}/status", headers=SHOWN).status_code in {404, 409}
    assert ask(tmp_path, "GET", "/api/mars/home/status", headers=SHOWN).status_code == 409


@pytest.mark.parametrize(
    ("body", "kind"), [(b"{}", "text/plain"), (b"[]", "application/json"), (b"{", "application/json")]
)
def test_a_body_that_the_page_would_not_send_is_refused(tmp_path: Path, body: bytes, kind: str) -> None:
    refused = ask(
        tmp_path, "POST", "/api/local/home/chat", content=body, headers={**SHOWN, "content-type": kind}
    )
    assert refused.status_code == 400
