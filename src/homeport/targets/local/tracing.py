"""Where the spans of an endpoint on this machine go: the file's `[observe] traces`, and OpenTelemetry's own variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from homeport.engines.base import Launch
from homeport.engines.registry import module
from homeport.errors import SpecError, Unsupported
from homeport.gateway.trace_variables import ADDRESS, HEADERS, RESOURCE, SERVICE
from homeport.spec import Spec

_EVERYTHING = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXAMPLE = 'otlp = "http://127.0.0.1:4318"'


def spans_go_to(spec: Spec, engine: str, env: Mapping[str, str] = os.environ) -> str:
    """
    Return the whole address that spans are sent to; '' where the file wants none.

    Raises `SpecError` where nobody is named who takes them, `Unsupported` where nobody would send any.
    """
    observe = spec.observe
    if observe is None or not observe.traces:
        return ""
    if not module(engine).TRACES and spec.guard is None:
        raise Unsupported(
            f"{module(engine).TITLE} sends no spans, and observe.traces asks for them",
            hint="add [guard], whose gateway sends them, set engine.kind to another engine, or remove traces",
        )
    if observe.otlp is not None:
        return f"{observe.otlp.rstrip('/')}/v1/traces"
    protocol = next((env[name] for name in _PROTOCOLS if env.get(name)), "")
    if protocol not in {"", "http/protobuf", "http/json"}:
        raise SpecError(
            f"spans are sent over HTTP, and the environment asks for {protocol}",
            hint=f"name the port of the receiver's that takes HTTP, usually 4318: observe.{_EXAMPLE}",
        )
    if env.get(ADDRESS):
        return env[ADDRESS]
    if env.get(_EVERYTHING):
        return f"{env[_EVERYTHING].rstrip('/')}/v1/traces"
    raise SpecError(
        "observe.traces is true, and nobody is named who takes the spans",
        hint=f"set observe.{_EXAMPLE}, or the variable {_EVERYTHING}",
    )


def traced(launch: Launch, address: str, name: str) -> Launch:
    """Return a start whose engine, and gateway where one stands before it, know where spans go; as it is for ''."""
    if not address:
        return launch
    environment = {**launch.environment, ADDRESS: address, SERVICE: f"homeport-{name}"}
    # What a receiver wants to see may be secret, so that it is taken from the environment and is in no record.
    return replace(launch, environment=environment, inherits=(*launch.inherits, HEADERS, RESOURCE))
