"""Where spans of an endpoint on this machine go: by the file, by OpenTelemetry's variables, or nowhere, and then in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from homeport import spec
from homeport.engines.base import Launch
from homeport.errors import SpecError, Unsupported
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
    assert "OTEL_EXPORTER_OTLP_HEADERS" in made.inherits
    guard = wanted({}, guard=True).guard
    assert guard is not None
    front = behind_gateway(made, guard, None, host="127.0.0.1", port=2)
    assert front.environment == made.environment
    assert set(made.inherits) <= set(front.inherits)
    assert "OTEL_EXPORTER_OTLP_HEADERS" in front.command[front.command.index("--engine-takes") + 1]
    assert traced(LAUNCH, "", "home") == LAUNCH == replace(LAUNCH)
