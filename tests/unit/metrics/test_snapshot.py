"""What an engine tells, read from its own words: none is invented, and nothing that is missing becomes a 0."""

from __future__ import annotations

import asyncio
import http.server
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeport.engines.llamacpp.metrics import NAMES as LLAMA
from homeport.engines.metric_names import MetricNames
from homeport.engines.vllm.metrics import NAMES as VLLM
from homeport.metrics import reading
from homeport.metrics.rates import between, quantile
from homeport.metrics.snapshot import Histogram, Snapshot, parsed

RECORDS = Path(__file__).parent.parent.parent / "records" / "metrics"


def test_what_llama_cpp_told_on_this_machine() -> None:
    told = parsed((RECORDS / "llamacpp.txt").read_text(), LLAMA, at=1.0)
    assert (told.running, told.waiting) == (0, 0)
    assert (told.prompt_tokens, told.output_tokens) == (27, 7)
    assert told.decode_seconds == pytest.approx(0.087775)
    assert [told.requests, told.ttft, told.kv_cache] == [None] * 3, "it does not tell, which is not 0"


def test_vllms_names_of_today_and_of_before() -> None:
    now = 'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.25\n'
    before = 'vllm:gpu_cache_usage_perc{model_name="m"} 0.5\n'
    assert parsed(now, VLLM, 0).kv_cache == 0.25
    assert parsed(before, VLLM, 0).kv_cache == 0.5
    assert parsed(before + now, VLLM, 0).kv_cache == 0.25, "the newest name counts, and not both"


def test_several_engines_in_one_process_add_up_and_the_fullest_cache_counts() -> None:
    text = (
        "".join(
            f'vllm:num_requests_running{{engine="{one}"}} {one + 1}\nvllm:kv_cache_usage_perc{{engine="{one}"}} 0.{one + 1}\n'
            for one in range(3)
        )
        + 'vllm:request_success_total{finished_reason="stop"} 5.0\nvllm:request_success_total{finished_reason="length"} 2.0\n'
    )
    told = parsed(text, VLLM, 0)
    assert (told.running, told.kv_cache, told.requests) == (6, 0.3, 7)


@pytest.mark.parametrize(
    "line",
    [
        "vllm:num_requests_running NaN",
        "vllm:num_requests_running +Inf",
        "vllm:num_requests_running -3",
        "vllm:num_requests_running",
        'vllm:num_requests_running{engine="0" 3',
        "vllm:num_requests_running three",
        "vllm:num_requests_running_of_late 3",
        "# vllm:num_requests_running 3",
        "<html>404</html>",
        "",
    ],
)
def test_what_cannot_be_read_is_not_known_and_spoils_nothing_else(line: str) -> None:
    told = parsed(f"{line}\nvllm:num_requests_waiting 2\n", VLLM, 0)
    assert told.running is None
    assert told.waiting == 2


def test_a_histogram_is_summed_over_its_labels() -> None:
    text = "\n".join(
        f'vllm:time_to_first_token_seconds_{part}{{engine="{engine}"{more}}} {value}'
        for engine in "01"
        for part, more, value in (
            ("bucket", ',le="0.1"', 1), ("bucket", ',le="+Inf"', 2), ("sum", "", 0.3), ("count", "", 2),
        )
    )  # fmt: skip
    found = parsed(text, VLLM, 0).ttft
    assert found == Histogram(total=0.6, count=4, buckets=((0.1, 2), (math.inf, 4)))


def test_rates_are_those_between_two_looks_and_a_counter_that_began_again_is_no_negative_rate() -> None:
    before = Snapshot(at=10, output_tokens=100, prompt_tokens=50, requests=None)
    rates = between(before, Snapshot(at=12, output_tokens=140, prompt_tokens=10))
    assert rates is not None
    assert (rates.output_tokens_per_s, rates.prompt_tokens_per_s, rates.requests_per_s) == (20, 5, None)
    assert between(before, Snapshot(at=9, output_tokens=140)) is None, "the clock was set back"


def test_the_time_to_the_first_token_is_of_those_that_had_theirs_meanwhile() -> None:
    before = Histogram(total=100.0, count=10, buckets=((1.0, 0), (math.inf, 10)))
    after = Histogram(total=101.0, count=14, buckets=((1.0, 4), (math.inf, 14)))
    rates = between(Snapshot(at=0, ttft=before), Snapshot(at=1, ttft=after))
    assert rates is not None
    assert rates.ttft_s == 0.25
    assert rates.ttft_p95_s == pytest.approx(0.95)


def test_a_quantile_is_interpolated_as_prometheus_documents_it() -> None:
    # 10 at most 0.1 s, 20 at most 0.5 s: the 15th lies half way between the bounds.
    found = Histogram(total=0, count=20, buckets=((0.1, 10), (0.5, 20), (math.inf, 20)))
    assert quantile(found, 0.75) == pytest.approx(0.3)
    beyond = Histogram(total=0, count=20, buckets=((0.1, 10), (0.5, 10), (math.inf, 20)))
    assert quantile(beyond, 0.9) == 0.5
    assert quantile(Histogram(total=0, count=0, buckets=()), 0.9) is None


def test_every_figure_of_an_engine_has_a_field() -> None:
    assert set(MetricNames.__dataclass_fields__) - {"former", "progress", "ttft_bounds"} | {"at"} == set(
        Snapshot.__dataclass_fields__
    )


@contextmanager
def serving(body: bytes, status: int = 200, stall: threading.Event | None = None) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if stall:
                stall.wait()
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        if stall:
            stall.set()
        server.shutdown()
        server.server_close()


def why(url: str, engine: str = "vllm", patience_s: float = 60) -> str:
    told = asyncio.run(reading.read(url, engine, None, patience_s=patience_s))
    assert told.snapshot is None
    return told.why


def test_why_figures_are_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 2**20)
    with serving(b"x" * (2**20 + 1)) as url:
        assert why(url) == "its figures have more than 1 MiB"
    with serving(b"no", 401) as url:
        assert why(url) == "it answers 401 when it is asked for its figures"
    with serving(b"", stall=threading.Event()) as url:
        assert why(url, patience_s=0.2) == "its figures did not come within 0.2 s"
    assert why(url) == "it does not answer when it is asked for its figures"
    assert why(url, "ollama") == "Ollama tells no figures"
    with serving(b"vllm:num_requests_running 3\n") as url:
        told = asyncio.run(reading.read(url, "vllm", None))
        assert told.snapshot is not None
        assert told.snapshot.running == 3
