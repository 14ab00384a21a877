"""An embedding endpoint is held to what clients expect of its vectors; what asks for text is skipped in words."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from homeport import catalog
from homeport.catalog.served_for import served_for
from homeport.endpoint import Endpoint
from homeport.errors import Unsupported
from homeport.verify import Outcome, VerificationSubject, checks_of, verify
from homeport.verify.checks import vectors

WIDTH, CONTEXT = 768, 64
OWN = ("vectors", "similarity", "empty-input", "too-long", "parallel")
MEANING = {text: at for at, triple in enumerate(vectors._TRIPLES) for text in triple[:2]}

DEAF = {other: text for text, _, other in vectors._TRIPLES}
"""What hears no difference between a text and one of something else."""


def vector(text: str) -> list[float]:
    """Return a direction for what the text means, with a little of its own."""
    mean, own = random.Random(MEANING.get(text, text)), random.Random(hashlib.sha256(text.encode()).digest())
    numbers = [mean.gauss(0, 1) + 0.3 * own.gauss(0, 1) for _ in range(WIDTH)]
    length = math.hypot(*numbers)
    return [number / length for number in numbers]


def answered(given: object, defect: str) -> tuple[int, object]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or "" in texts:
        empty = {"five-hundred": 500, "takes-nothing": 200}.get(defect, 400)
        return empty, {"data": [], "error": "empty"}
    counts = [len(text.split()) + 2 for text in texts]
    if max(counts) > CONTEXT and defect != "cuts":
        return 400, {"error": {"message": f"{max(counts)} tokens, the context has {CONTEXT}"}}
    found = [vector(str(text)) for text in texts]
    if defect == "long":
        found = [[3 * number for number in one] for one in found]
    if defect == "narrow":
        found = [one[:10] for one in found]
    if defect == "alike":
        found = [vector("the same for all") for _ in texts]
    if defect == "deaf":
        found = [vector(DEAF.get(str(text), str(text))) for text in texts]
    if defect == "backwards":
        found.reverse()
    if defect == "loses":
        found = found[:-1]
    data = [{"index": at, "embedding": one} for at, one in enumerate(found)]
    return 200, {
        "data": data,
        "usage": {"prompt_tokens": min(sum(counts), CONTEXT if defect == "cuts" else 10**6)},
    }


@contextmanager
def served(defect: str = "") -> Iterator[VerificationSubject]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = answered(body["input"], defect)
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Be silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    found = catalog.find("embeddinggemma-300m")
    assert found is not None
    endpoint = Endpoint(
        name="home", base_url=f"http://127.0.0.1:{server.server_port}/v1", model="m", task="embed"
    )
    try:
        yield VerificationSubject(
            endpoint=endpoint, model=served_for(found, "embed"), engine="llamacpp", context=CONTEXT, parallel=2,
            tools=False, weights_path="/weights", weights_digest="", weights_intact=True,
        )  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()


def outcomes(defect: str = "") -> dict[str, tuple[Outcome, str]]:
    with served(defect) as subject:
        report = asyncio.run(verify(subject, only=OWN))
    return {one.name: (one.outcome, one.detail) for one in report.results}


def test_right_vectors_pass_every_check() -> None:
    assert {outcome for outcome, _ in outcomes().values()} == {Outcome.PASSED}


@pytest.mark.parametrize(
    ("defect", "check", "outcome", "said"),
    [
        ("long", "vectors", Outcome.FAILED, "has the length 3, not 1"),
        ("narrow", "vectors", Outcome.FAILED, "has 10 numbers, and the model's have 768"),
        ("backwards", "vectors", Outcome.FAILED, "another vector in a batch than alone"),
        ("loses", "vectors", Outcome.FAILED, "6 texts were sent, 5 vectors came"),
        ("alike", "similarity", Outcome.FAILED, "only 0 of 6"),
        ("deaf", "similarity", Outcome.FAILED, "is it a model of embeddings"),
        ("cuts", "too-long", Outcome.FAILED, "silently cut to 64"),
        ("five-hundred", "empty-input", Outcome.FAILED, "no text gets 500"),
        ("takes-nothing", "empty-input", Outcome.NOTED, "an empty text gets 200"),
    ],
)
def test_a_defect_is_found_by_its_check(defect: str, check: str, outcome: Outcome, said: str) -> None:
    found, detail = outcomes(defect)[check]
    assert found is outcome
    assert said in detail


def test_what_asks_for_text_is_skipped_in_words() -> None:
    with served() as subject:
        report = asyncio.run(verify(subject, only=("chat", "tools", "context", "reasoning")))
    assert {one.outcome for one in report.results} == {Outcome.SKIPPED}
    assert {one.detail for one in report.results} == {
        'not asked: it gives vectors, and no text (task = "embed")'
    }


def test_checks_of_vectors_are_no_checks_of_text() -> None:
    with served() as subject:
        text = replace(subject, model=replace(subject.model, task="generate"))
        with pytest.raises(Unsupported, match="no check called vectors"):
            asyncio.run(verify(text, only=("vectors",)))
    assert not {check.name for check in checks_of("generate")} & {"vectors", "similarity", "empty-input"}


def test_an_endpoint_of_vectors_refuses_to_be_asked_for_text() -> None:
    endpoint = Endpoint(name="home", base_url="http://127.0.0.1:1/v1", model="m", task="embed")
    with pytest.raises(Unsupported, match="gives vectors, and no text"):
        endpoint.ask("Hello")
