"""A fault that no call could ever bring about is none, and says what was meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcp_rehearsal.errors import FaultError
from gcp_rehearsal.faults import Fault, parse
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


def test_a_fault_made_in_python_is_held_to_it_too() -> None:
    with pytest.raises(FaultError, match="nosuch"):
        Fault(method="storage.buckets.nosuch", drop=True)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_no_answer_is_late_by_what_is_no_number(number: str) -> None:
    with pytest.raises(FaultError, match="is no fault"):
        parse(f"*:delay={number}")


def test_a_command_with_such_a_fault_serves_nothing(tmp_path: Path) -> None:
    typist = Typist(tmp_path / "here")
    ran = typist.run("rehearse", "serve", "--port", "0", "--fault", "storage.bucket.insert:500", code=10)
    assert "no method that is rehearsed" in ran.err
    assert "storage.buckets.insert" in ran.err
    assert "twin" in typist.run("rehearse", "serve", "--help").out
