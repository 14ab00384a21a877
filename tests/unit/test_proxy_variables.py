"""A proxy that the environment names wrongly is told by the variable that names it, before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from homeport.endpoint import Endpoint
from homeport.errors import Unsupported
from homeport.google.exchange import Exchange
from homeport.google.wire import HttpWire
from homeport.proxy_variables import by_environment
from homeport.weights.download import client
from homeport.weights.sources.hub import HubSource

NONE = [
    ("http://me:secret@127.0.0.1:99999", "names a proxy at the port 99999, none from 1 to 65535"),
    ("me:secret@127.0.0.1:0", "names a proxy at the port 0, none from 1 to 65535"),
    ("http://me:secret@127.0.0.1:-1", "names a proxy at the port -1"),
    ("me:secret@proxy:port", "is no address of a proxy"),
    ("http://me:secret@[::1", "is no address of a proxy"),
    ("http://me:secret@", "is no address of a proxy"),
    ("ftp://me:secret@127.0.0.1:21", "begins with ftp://, and is no address of an HTTP proxy"),
]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


def of_google() -> None:
    HttpWire("", None, connect=1, parallel=1)


def of_a_token() -> None:
    Exchange().send("POST", "https://oauth2.googleapis.com/token")


def of_an_endpoint() -> None:
    Endpoint(name="far", base_url="https://service.invalid/v1", model="m").ask("hello")


def of_weights() -> None:
    client()


def of_the_hub() -> None:
    HubSource("org/model").pin("gguf")


ASKING = [of_google, of_a_token, of_an_endpoint, of_weights, of_the_hub]


@pytest.mark.parametrize("asks", ASKING)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"])
def test_whoever_goes_by_an_impossible_proxy_is_told_which_variable_names_it(
    asks: Callable[[], None], variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "http://me:secret@127.0.0.1:99999")
    with pytest.raises(
        Unsupported, match=f"^the variable {variable} of the environment names a proxy at the port 99999"
    ) as told:
        asks()
    assert f"set {variable} to http://HOST:PORT, or unset it" in told.value.hint


@pytest.mark.parametrize(("named", "why"), NONE)
def test_what_is_no_proxy_is_told_without_its_password(
    named: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", named)
    with pytest.raises(Unsupported, match=f"https_proxy of the environment {why}") as told:
        by_environment()
    assert "secret" not in f"{told.value} {told.value.hint}"


@pytest.mark.skipif(find_spec("socksio") is not None, reason="socksio is installed here")
def test_a_proxy_by_socks_is_told_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@127.0.0.1:1080")
    with pytest.raises(
        Unsupported, match=r"ALL_PROXY .*the package socksio, which speaks it, is not installed"
    ):
        by_environment()


@pytest.mark.parametrize(
    "named", ["http://proxy.invalid:3128", "proxy.invalid", "https://me:p%40ss@[::1]:65535/"]
)
def test_a_possible_proxy_is_left_to_the_client(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)
    assert by_environment()
    asyncio.run(HttpWire("", None, connect=1, parallel=1).aclose())


def test_an_impossible_proxy_is_nothing_to_whoever_goes_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:99999")
    assert not by_environment(False)
    monkeypatch.setenv("NO_PROXY", "*")
    assert by_environment()
