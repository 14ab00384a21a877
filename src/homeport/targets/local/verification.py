"""The verification of an endpoint on this machine: what is promised of it, and the receipt that is kept."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from homeport.catalog.served_for import served_for
from homeport.endpoint import Endpoint
from homeport.engines.registry import module
from homeport.errors import NotRunning
from homeport.resources.local import endpoint_key, endpoint_record
from homeport.resources.local.condition import engine_of
from homeport.resources.local.endpoint_record import EndpointRecord
from homeport.targets.base import OnResult
from homeport.targets.local.guard import is_behind_gateway
from homeport.targets.local.target import LocalTarget

if TYPE_CHECKING:
    from homeport.verify import Report, VerificationSubject


async def check(
    graph: LocalTarget,
    asked: Endpoint | None = None,
    *,
    only: tuple[str, ...] = (),
    on_result: OnResult | None = None,
) -> Report:
    """
    Return the conformance report of a running endpoint. A whole one is kept with the process as its receipt.

    With `asked`, a copy of it that may have another address or key, the checks ask that; it is no receipt where it has. Raises `NotRunning`; `SpecError` or `WrongKey` where the engine's key is not available here.
    """
    from homeport import verify  # Late: an endpoint that is only reached needs no checks.

    remembered = running(graph)
    own = await endpoint_of(graph, remembered)
    subject = _subject(graph, remembered, asked or own)
    report = await verify.verify(subject, only=only, on_result=on_result)
    if not only and subject.endpoint == own:
        counts = {
            outcome.value: sum(r.outcome is outcome for r in report.results) for outcome in verify.Outcome
        }
        now = datetime.now(UTC).isoformat(timespec="seconds")
        current = endpoint_record.load(graph.folder)
        if current is not None and current.pid == remembered.pid:  # It may have been replaced meanwhile.
            current.with_receipt({"at": now, "passed": report.passed, "counts": counts}).save(graph.folder)
    return report


def running(graph: LocalTarget) -> EndpointRecord:
    """Return the record of the endpoint, whose engine runs. Raises `NotRunning`."""
    remembered = endpoint_record.load(graph.folder)
    name = graph.spec.endpoint_name
    if remembered is None:
        raise NotRunning(f"{name} does not run", hint="`homeport up` starts it")
    if engine_of(remembered, graph.folder) is None:
        raise NotRunning(
            f"the process of {name} (pid {remembered.pid}) is gone", hint="`homeport up` starts it again"
        )
    return remembered


async def endpoint_of(graph: LocalTarget, remembered: EndpointRecord) -> Endpoint:
    """
    Return the endpoint with the key that its engine was started with, which can verify itself.

    Raises `WrongKey` where another key is here, `SpecError` where none is.
    """
    key = await endpoint_key.of_record(remembered, graph.endpoint_folder).held(remembered)
    return Endpoint(
        name=remembered.name,
        base_url=f"{remembered.url}/v1",
        model=remembered.launch["model"],
        task=remembered.launch.get("task", "generate"),
        api_key=key,
        verifier=partial(check, graph),
    )


def _subject(graph: LocalTarget, remembered: EndpointRecord, endpoint: Endpoint) -> VerificationSubject:
    from homeport.verify import VerificationSubject

    weights, launch = graph.weights, remembered.launch
    manifest = graph.store.manifest(weights.source, weights.format) if weights else None
    digest = remembered.weights["digest"]
    names = tuple(adapter.name for adapter in graph.spec.engine.lora)
    named = module(launch["engine"]).NAMES_ADAPTERS
    return VerificationSubject(
        endpoint=endpoint,
        model=served_for(graph.described(Path(launch["weights"])), endpoint.task),
        engine=launch["engine"],
        context=launch["context"],
        parallel=launch["parallel"],
        tools=launch["tools"],
        weights_path=launch["weights"],
        weights_digest=digest,
        weights_intact=weights is None or (manifest is not None and manifest.digest == digest),
        weights_unlike=graph.store.unlike(weights.source, weights.format) if weights else "",
        sees=launch.get("sees", False),
        hears=launch.get("hears", False),
        behind_gateway=is_behind_gateway(launch["command"]),
        adapters=names if named else (),
        applied_adapters=() if named else names,
    )
