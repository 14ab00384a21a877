"""Where spans of an endpoint on this machine go: by the file, by OpenTelemetry's variables, or nowhere, and then in words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from homeport import spec
from homeport.engines.base import Launch
from homeport.errors import SpecError, Unsupported
from homeport.resources.local.endpoint_record import EndpointRecord, keep_verified
from homeport.targets.local.guard import behind_gateway
from homeport.targets.local.tracing import spans_go_to, traced

LAUNCH = Launch(
    engine="vllm", version="1", command=("vllm", "serve"), environment={"A": "b"}, model="m", host="127.0.0.1", port=1, context=1,
    parallel=1, keyed=True, weights="", tools=False, ready_within_s=1,
)  # fmt: skip


def wanted(observe: dict[str, object], *, guard: bool = False) -> spec.Spec:
    return spec.parse({"model": "gemma-3-270m", "observe": observe, **({"guard": {}} if guard else {})})


@pytest.mark.parametrize(
    ("observe", "env", "address"),
    [
        ({}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ""),
        ({"traces": True, "otlp": "http://c:4318/"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d:1"}, "http://c:4318/v1/traces"),
        ({"traces": True}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d:1"}, "http://d:1/v1/traces"),
        ({"traces": True}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://e/x"}, "http://e/x"),
        ({"traces": True, "otlp": "http://c:4318"}, {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://c:4318/v1/traces"),
    ],
)  # fmt: skip
def test_the_file_comes_before_the_environment(
    observe: dict[str, object], env: dict[str, str], address: str
) -> None:
    assert spans_go_to(wanted(observe), "vllm", env) == address


def test_nobody_who_takes_them_and_a_protocol_that_is_not_spoken_are_told() -> None:
    with pytest.raises(SpecError, match="nobody is named"):
        spans_go_to(wanted({"traces": True}), "vllm", {})
    grpc = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    with pytest.raises(SpecError, match="asks for grpc"):
        spans_go_to(wanted({"traces": True}), "vllm", grpc)


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
@pytest.mark.parametrize(
    "address",
    ["http://me:hunter2@c:4318", "https://c/v1?key=hunter2", "https://c/#hunter2", "c:4318/hunter2", "ftp://c/hunter2", "http://c/\nhunter2"],
)  # fmt: skip
def test_an_address_of_the_environment_that_may_hold_a_secret_is_refused_and_not_told(
    variable: str, address: str
) -> None:
    with pytest.raises(SpecError, match=f"{variable} should be an address") as caught:
        spans_go_to(wanted({"traces": True}), "vllm", {variable: address})
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "OTEL_EXPORTER_OTLP_TRACES_HEADERS" in caught.value.hint


def record(of: spec.Spec, address: str) -> EndpointRecord:
    launch = traced(LAUNCH, address, "home").as_json()
    return EndpointRecord(
        name="home", pid=1, create_time=1.0, launch=launch, url="http://127.0.0.1:1", spec=of.model_dump(mode="json"), spec_file="x",
        weights={"source": "s", "revision": "r", "digest": "d"}, started_at="2026-11-29T00:00:00+00:00",
    )  # fmt: skip


def test_without_the_variables_the_address_stays_the_records(tmp_path: Path) -> None:
    """`plan` and `rollback` are asked from other shells than `up` was."""
    folder = tmp_path / "endpoints" / "home"
    folder.mkdir(parents=True)
    now, before = wanted({"traces": True}), wanted({"traces": True}, guard=True)
    keep_verified(record(before, "http://old:1/v1/traces"), folder)
    assert spans_go_to(now, "vllm", {}, folder) == "http://old:1/v1/traces"
    record(now, "http://new:1/v1/traces").save(folder)
    assert spans_go_to(now, "vllm", {}, folder) == "http://new:1/v1/traces"
    assert spans_go_to(before, "vllm", {}, folder) == "http://old:1/v1/traces", "what a rollback returns to"
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d:1"}
    assert spans_go_to(now, "vllm", given, folder) == "http://d:1/v1/traces"


def test_an_address_that_was_taken_out_of_the_file_is_not_used_any_more(tmp_path: Path) -> None:
    folder = tmp_path / "endpoints" / "home"
    folder.mkdir(parents=True)
    now, named = wanted({"traces": True}), wanted({"traces": True, "otlp": "http://c:4318"})
    record(named, "http://c:4318/v1/traces").save(folder)
    with pytest.raises(SpecError, match="nobody is named"):
        spans_go_to(now, "vllm", {}, folder)
    keep_verified(record(now, "http://old:1/v1/traces"), folder)
    assert spans_go_to(now, "vllm", {}, folder) == "http://old:1/v1/traces", "which the environment named"


def test_what_a_rollback_returns_to_keeps_its_address_on_another_port(tmp_path: Path) -> None:
    folder = tmp_path / "endpoints" / "home"
    folder.mkdir(parents=True)
    now, before = wanted({"traces": True}), wanted({"traces": True}, guard=True)
    record(now, "http://new:1/v1/traces").save(folder)
    keep_verified(record(before, "http://old:1/v1/traces"), folder)
    moved = before.model_copy(update={"local": before.local.model_copy(update={"port": 8123})})
    assert spans_go_to(moved, "vllm", {}, folder) == "http://old:1/v1/traces"


@pytest.mark.parametrize("address", ["", "http://me:hunter2@c/v1/traces"])
def test_a_record_without_an_address_that_may_be_told_is_no_help(tmp_path: Path, address: str) -> None:
    folder = tmp_path / "endpoints" / "home"
    folder.mkdir(parents=True)
    now = wanted({"traces": True})
    record(now, address).save(folder)
    with pytest.raises(SpecError, match="nobody is named"):
        spans_go_to(now, "vllm", {}, folder)


def test_an_engine_without_spans_needs_the_gateway() -> None:
    with pytest.raises(Unsupported, match=r"llama\.cpp sends no spans"):
        spans_go_to(wanted({"traces": True, "otlp": "http://c:4318"}), "llamacpp", {})
    found = spans_go_to(wanted({"traces": True, "otlp": "http://c:4318"}, guard=True), "llamacpp", {})
    assert found == "http://c:4318/v1/traces"


def test_engine_and_gateway_are_told_the_address_and_take_the_receivers_secret_from_the_environment() -> None:
    made = traced(LAUNCH, "http://c:4318/v1/traces", "home")
    assert made.environment == {
        "A": "b", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces", "OTEL_SERVICE_NAME": "homeport-home",
    }  # fmt: skip
    assert {"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} <= set(made.inherits)
    guard = wanted({}, guard=True).guard
    assert guard is not None
    front = behind_gateway(made, guard, None, host="127.0.0.1", port=2)
    assert front.environment == made.environment
    assert set(made.inherits) <= set(front.inherits)
    assert "OTEL_EXPORTER_OTLP_TRACES_HEADERS" in front.command[front.command.index("--engine-takes") + 1]
    assert traced(LAUNCH, "", "home") == LAUNCH == replace(LAUNCH)
