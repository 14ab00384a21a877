"""How a supervisor counts: what is not told is not known, and an engine that is deaf for a while loses nothing."""

from __future__ import annotations

import http.server
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homeport.engines.base import Launch
from homeport.engines.vllm.metrics import NAMES
from homeport.spec import Guard
from homeport.supervisor.order import Order
from homeport.supervisor.usage import CountedProcess, UsageThread
from homeport.targets.local.guard import behind_gateway
from homeport.usage.ledger import Ledger


def order(root: Path, url: str, **usage: Any) -> Order:
    told = {
        "root": str(root), "days": 9, "endpoint": "home", "engine": "e", "file": "/f", "path": "/metrics",
        "names": asdict(NAMES), "request_line": None,
    }  # fmt: skip
    return Order(
        folder=str(root), command=[], environment={}, api_key="sk-right", url=url, health_path="/health", pulse_path=None,
        busy="", model="m", ready_within_s=1, restart=True, memory_limit=None, weights=[], adopt=None, usage=told | usage,
    )  # fmt: skip


def counting(order: Order, log_at: int = 0) -> UsageThread:
    process = CountedProcess(process="1", since=0.0, fresh=True, log_at=log_at)
    return UsageThread(order, process, lambda _: None)


def test_an_engine_that_does_not_answer_loses_nothing_once_it_does(tmp_path: Path) -> None:
    class Engine(http.server.BaseHTTPRequestHandler):
        answers, tokens = True, 5

        def do_GET(self) -> None:
            key = self.headers["authorization"] == "Bearer sk-right"
            self.send_response(200 if Engine.answers and key else 503)
            self.end_headers()
            self.wfile.write(f"vllm:generation_tokens_total {Engine.tokens}\n".encode())

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    thread = counting(order(tmp_path, f"http://127.0.0.1:{server.server_port}"))
    for answers, tokens in ((True, 5), (False, 9), (True, 12)):
        Engine.answers, Engine.tokens = answers, tokens
        thread.stop(once_more=True)
    server.shutdown()
    server.server_close()
    rows = Ledger(tmp_path).rows()
    assert sum(row.output_tokens or 0 for row in rows) == 12
    assert {row.requests for row in rows} == {None}


def test_of_an_engine_that_tells_nothing_hours_and_starts_are_known(tmp_path: Path) -> None:
    counting(order(tmp_path, "http://127.0.0.1:9", names=None)).stop(once_more=True)
    (row,) = Ledger(tmp_path).rows()
    assert (row.starts, row.output_tokens, row.requests) == (1, None, None)
    assert row.seconds > 0


def test_behind_a_gateway_the_figures_are_still_the_engines_own() -> None:
    launch = Launch(
        engine="llamacpp", version="1", command=("x",), environment={}, model="m", host="127.0.0.1", port=1, context=1,
        parallel=1, keyed=True, weights="", tools=False, ready_within_s=1,
    )  # fmt: skip
    assert behind_gateway(launch, Guard(), None, host="127.0.0.1", port=2).metrics_path == "/metrics"


def test_another_supervisor_counts_on_where_the_engines_log_begins_and_a_kill_loses_no_request(
    tmp_path: Path,
) -> None:
    log = tmp_path / "engine.log"
    log.write_text("asked\n" * 50)  # Of the process before it.
    begun = log.stat().st_size
    told = order(tmp_path, "http://127.0.0.1:9", names=None, request_line="^asked$")

    def ask(times: int) -> None:
        with log.open("a") as lines:
            lines.write("asked\n" * times)

    def requests() -> tuple[float, int]:
        rows = Ledger(tmp_path).rows()
        return sum(row.requests or 0 for row in rows), sum(row.starts for row in rows)

    ask(3)
    counting(told, begun).stop(once_more=True)  # And then it is killed.
    assert requests() == (3, 1)
    ask(4)
    second = counting(told, begun)
    ask(5)
    second.stop(once_more=True)
    assert requests() == (12, 1)
    ask(1)  # It answers this one while it ends.
    second.close()
    assert requests() == (13, 1)


def test_of_an_engine_that_died_the_log_is_read_to_its_end(tmp_path: Path) -> None:
    told = order(tmp_path, "http://127.0.0.1:9", request_line="^asked$")
    (tmp_path / "engine.log").write_text("asked\nasked\n")
    thread = counting(told)
    thread.stop(once_more=False)
    thread.close()
    (row,) = Ledger(tmp_path).rows()
    assert (row.requests, row.output_tokens, row.starts) == (2, None, 1)
