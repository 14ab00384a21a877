"""Queries: what comes back is numbers, nothing, or an error that says what to do; never a guess."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx2
import pytest

from homeport.errors import HomeportError, NetworkError, PermissionDenied
from homeport.google import Google
from homeport.google.credentials import from_access_token
from homeport.json_types import Json
from homeport.observe import query
from homeport.observe.query import PrometheusApi, at_address, of_project

VECTOR = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"namespace": "home"}, "value": [1764000000.5, "3"]},
            {"metric": {"namespace": "other"}, "value": [1764000000.5, "NaN"]},
        ],
    },
}


def api(answer: Json) -> PrometheusApi:
    async def ask(path: str, form: Mapping[str, str]) -> Json:
        return answer

    return PrometheusApi(ask, "the server")


def test_a_number_that_is_none_is_not_known_and_no_zero() -> None:
    samples = asyncio.run(api(VECTOR).instant("up"))
    assert [(one.labels["namespace"], one.value) for one in samples] == [("home", 3.0), ("other", None)]


def test_a_range_has_its_points_in_order_of_time() -> None:
    values = [[1.0, "1"], [2.0, "+Inf"], [3.0, "2.5"]]
    answer = {
        "status": "success",
        "data": {"resultType": "matrix", "result": [{"metric": {}, "values": values}]},
    }
    (series,) = asyncio.run(api(answer).range("up", start=0, end=3, step_s=1))
    assert series.points == ((1.0, 1.0), (2.0, None), (3.0, 2.5))


def test_more_points_than_a_server_gives_are_refused_before_it_is_asked() -> None:
    with pytest.raises(HomeportError, match="more than 11000 points"):
        asyncio.run(api({}).range("up", start=0, end=11_001, step_s=1))


@pytest.mark.parametrize(
    "answer",
    [None, [], "<html>", {}, {"status": "success"}, {"status": "success", "data": {"resultType": "vector", "result": [{}]}},
     {"status": "success", "data": {"resultType": "streams", "result": []}},
     {"status": "success", "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "x"]}]}}],
)  # fmt: skip
def test_an_answer_of_another_form_is_no_answer_and_not_no_data(answer: Json) -> None:
    with pytest.raises(HomeportError, match="not what a Prometheus answers"):
        asyncio.run(api(answer).instant("up"))


def test_a_refused_query_is_told_in_the_servers_words() -> None:
    with pytest.raises(HomeportError, match="parse error: unexpected end"):
        asyncio.run(api({"status": "error", "error": "parse error: unexpected end"}).instant("sum("))


def google_that(answer: httpx2.Response, asked: list[httpx2.Request]) -> Google:
    def handle(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answer

    return Google(
        from_access_token("token", "me@example.com"), project="p", transport=httpx2.MockTransport(handle)
    )


def test_google_is_asked_at_its_own_path_with_the_query_as_json() -> None:
    asked: list[httpx2.Request] = []
    samples = asyncio.run(of_project(google_that(httpx2.Response(200, json=VECTOR), asked)).instant("up"))
    assert samples[0].value == 3.0
    assert asked[0].url.path == "/v1/projects/p/location/global/prometheus/api/v1/query"
    assert asked[0].headers["host"] == "monitoring.googleapis.com"
    assert json.loads(asked[0].content) == {"query": "up"}


def test_who_may_not_read_metrics_is_told_so_and_does_not_read_no_data() -> None:
    refusal = {
        "error": {"code": 403, "status": "PERMISSION_DENIED", "message": "no monitoring.timeSeries.list"}
    }
    with pytest.raises(PermissionDenied):
        asyncio.run(of_project(google_that(httpx2.Response(403, json=refusal), [])).instant("up"))


@contextmanager
def prometheus(body: bytes, *, never: threading.Event | None = None) -> Iterator[str]:
    """A server that answers every query with this, or does not before an event."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if never is not None:
                never.wait()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if never is not None:
            never.set()
        server.shutdown()
        server.server_close()


def asked_at(url: str) -> None:
    async def ask() -> None:
        async with at_address(url) as there:
            await there.instant("up")

    asyncio.run(ask())


def test_a_prometheus_that_does_not_answer_in_time_is_told_as_one_that_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(query, "_TIMEOUT_S", 0.2)
    with (
        prometheus(b"", never=threading.Event()) as url,
        pytest.raises(NetworkError, match=rf"no Prometheus answers at {url}.*Timeout"),
    ):
        asked_at(url)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "MOST_BYTES", 2**20)
    with prometheus(b" " * (2**20 + 1)) as url, pytest.raises(HomeportError, match="more than 1 MiB"):
        asked_at(url)


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_prometheus_at_an_address_is_told_as_that(body: bytes) -> None:
    with prometheus(body) as url, pytest.raises(HomeportError, match="not what a Prometheus answers"):
        asked_at(url)
