"""A fault that no call could ever bring about is none, and says what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloud import act
from edges import WithEdge
from gcp_rehearsal.apis.run import services
from gcp_rehearsal.errors import FaultError
from gcp_rehearsal.faults import Fault, parse
from gcp_rehearsal.runtime.front_end import Front
from typist import Typist


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("storage.bucket.insert:500", "storage.buckets.insert"), ("storge.buckets.insert:500", "storage.buckets.insert"),
        ("docker.manifest.get:500", "docker.manifests.get"), ("nosuch.method:500", "storage"),
    ],
)  # fmt: skip
def test_a_method_that_nobody_has_is_refused_with_the_nearest(text: str, meant: str) -> None:
    with pytest.raises(FaultError, match="is no method that is rehearsed") as caught:
        parse(text)
    assert meant in caught.value.hint


@pytest.mark.parametrize(
    "text", ["run.requests:503", "run.requests.us-centrall1.*:503", "run.requests.us-central1:503", "run.requests.*.No:503"]
)  # fmt: skip
def test_requests_are_those_to_a_service_of_a_region(text: str) -> None:
    with pytest.raises(FaultError, match="names no request to a service") as caught:
        parse(text)
    assert "us-central1" in caught.value.hint


@pytest.mark.parametrize("what", ["503:after", "jump=60", "twin"])
def test_what_never_strikes_a_request_to_a_service_is_refused(what: str) -> None:
    with pytest.raises(FaultError, match="never strikes a request"):
        parse(f"run.requests.*:{what}")


@pytest.mark.parametrize(
    "method",
    [
        "run.requests.*",
        "run.requests.us-*",
        "run.requests.*.home",
        "run.*revisions.list",
        "*.setIamPolicy",
        "docker.*",
    ],
)
def test_a_pattern_of_what_there_is_is_taken(method: str) -> None:
    assert Fault(method=method, status=503).method == method


@pytest.mark.parametrize(
    "pattern",
    ["run.requests*", "run.requests?us-central1.home", "*.us-central1.*", "*home", "run.requests.*.[!ax]ome", "run.re*-central1.h??e"],
)  # fmt: skip
def test_a_pattern_that_a_request_to_a_service_is_of_strikes_it(pattern: str) -> None:
    fault = parse(f"{pattern}:503")
    assert fault.of_requests
    assert fault.strikes("run.requests.us-central1.home")
    with pytest.raises(FaultError, match="never strikes a request"):
        parse(f"{pattern}:twin")


@pytest.mark.parametrize(
    "pattern", ["*home.", "*.us-centrall1.*", "run.requests.us-central1.[0-9]*", "run.requests.[*"]
)
def test_a_pattern_that_neither_a_request_nor_a_method_is_of_is_refused(pattern: str) -> None:
    with pytest.raises(FaultError, match=r"names no request|is no method"):
        parse(f"{pattern}:503")


@pytest.mark.parametrize("pattern", ["*", "run*", "run.*.create"])
def test_a_pattern_that_a_method_is_of_strikes_no_request(pattern: str) -> None:
    assert not parse(f"{pattern}:twin").of_requests


def test_a_service_answers_by_a_fault_whose_pattern_begins_with_a_star(tmp_path: Path) -> None:
    deployer = WithEdge("ollama", tmp_path)
    deployer.deployed(deployer.wanted())
    (service,) = deployer.cloud.store.of("run", services.COLLECTION)
    sent: list[dict[str, Any]] = []  # Any: ASGI

    async def ask() -> None:
        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        host = service.body["urls"][0].removeprefix("https://")
        await Front(deployer.cloud)({"type": "http", "headers": []}, receive, keep, host)

    act(ask())
    deployer.cloud.faults.append(parse("*.europe-west4.*:503"))
    act(ask())
    assert [message["status"] for message in sent if "status" in message] == [403, 503]


def test_a_fault_made_in_python_is_held_to_it_too() -> None:
    with pytest.raises(FaultError, match="nosuch"):
        Fault(method="storage.buckets.nosuch", drop=True)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_no_answer_is_late_by_what_is_no_number(number: str) -> None:
    with pytest.raises(FaultError, match="is no fault"):
        parse(f"*:delay={number}")


def test_a_command_with_such_a_fault_serves_nothing(tmp_path: Path) -> None:
    typist = Typist(tmp_path / "here")
    ran = typist.run("rehearse", "serve", "--port", "0", "--fault", "storage.bucket.insert:500", code=64)
    assert "no method that is rehearsed" in ran.err
    assert "storage.buckets.insert" in ran.err
    assert "twin" in typist.run("rehearse", "serve", "--help").out
