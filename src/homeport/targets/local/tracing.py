"""Where the spans of an endpoint on this machine go: the file's `[observe] traces`, and OpenTelemetry's own variables."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from homeport import patterns
from homeport.engines.base import Launch
from homeport.engines.registry import module
from homeport.errors import SpecError, Unsupported
from homeport.gateway.trace_variables import ADDRESS, HEADERS, RESOURCE, SERVICE, TRACES_HEADERS
from homeport.resources.local import endpoint_record
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.spec import Spec

_EVERYTHING = "OTEL_EXPORTER_OTLP_ENDPOINT"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_EXAMPLE = 'otlp = "http://127.0.0.1:4318"'


def spans_go_to(
    spec: Spec, engine: str, env: Mapping[str, str] = os.environ, folder: Path | None = None
) -> str:
    """
    Return the whole address that spans are sent to; '' where the file wants none.

    Where neither the file nor the environment names it, it stays what the environment named for the endpoint in `folder`. Raises `SpecError` where
    nobody is named who takes them, or by an address that may hold secrets, `Unsupported` where nobody would send any.
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
        return _plain(env[ADDRESS], ADDRESS)
    if env.get(_EVERYTHING):
        return f"{_plain(env[_EVERYTHING], _EVERYTHING).rstrip('/')}/v1/traces"
    if recorded := _recorded(spec, folder):
        return recorded
    raise SpecError(
        "observe.traces is true, and nobody is named who takes the spans",
        hint=f"set observe.{_EXAMPLE}, or the variable {_EVERYTHING}",
    )


def _plain(address: str, variable: str) -> str:
    """Return an address that may stand on a command line, in a record and in a plan."""
    if re.fullmatch(patterns.OTLP, address):
        return address
    # What it says is not told: it may be a secret.
    raise SpecError(
        f"{variable} should be {patterns.MEANINGS[patterns.OTLP]}, with http:// or https:// and without a user, a query, a fragment "
        "or percent signs: it would stand on the engine's command line and in records",
        hint=f"name the receiver's address alone; what it wants to see goes into {TRACES_HEADERS} or {HEADERS}",
    )


def _recorded(spec: Spec, folder: Path | None) -> str:
    """
    Return the address in the endpoint's record, or in what `rollback` returns to; '' where none is known.

    What is for this spec, on whatever port, goes first. An address that a file named then went with that file.
    """
    if folder is None:
        return ""
    kept = (endpoint_record.read(folder), endpoint_record.verified(folder))
    records = [one for one in kept if isinstance(one, EndpointRecord)]
    records = [one for one in records if not (one.spec.get("observe") or {}).get("otlp")]
    records.sort(key=lambda one: not one.is_for_but_port(spec))
    found = (str(one.launch["environment"].get(ADDRESS, "")) for one in records)
    return next((one for one in found if re.fullmatch(patterns.OTLP, one)), "")


def traced(launch: Launch, address: str, name: str) -> Launch:
    """Return a start whose engine, and gateway where one stands before it, know where spans go; as it is for ''."""
    if not address:
        return launch
    environment = {**launch.environment, ADDRESS: address, SERVICE: f"homeport-{name}"}
    # What a receiver wants to see may be secret, so that it is taken from the environment and is in no record.
    return replace(
        launch, environment=environment, inherits=(*launch.inherits, HEADERS, TRACES_HEADERS, RESOURCE)
    )
