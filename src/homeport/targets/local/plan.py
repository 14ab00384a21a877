"""What `up` would do on this machine, and what its reader should know of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from homeport.catalog.served_for import untrained
from homeport.errors import HomeportError
from homeport.fit import Fit
from homeport.home import LOCK, is_held
from homeport.ownership import owner
from homeport.reconcile import ActionKind, Plan, make_plan
from homeport.reconcile.fact import Fact
from homeport.resources.local import endpoint_record
from homeport.resources.local.candidate import Candidate
from homeport.supervisor.order import MOST, WITHIN_S
from homeport.targets.chat_template import noted, told_of_template
from homeport.targets.facts import ModelFact
from homeport.targets.local import endpoint_key, facts, guard, weights_headers
from homeport.targets.local.room import no_disk
from homeport.targets.local.target import TAKE_OVER, LocalTarget
from homeport.targets.local.weights import path_of
from homeport.weights import Manifest

WAITS = (
    "another homeport is working on {name} now: a change waits until that has ended, and is refused where it is no longer what "
    "this plan says"
)


async def plan_of(target: LocalTarget) -> Plan:
    """Return what `up` would do. Raises what `up` would raise at once."""
    target.key.current()  # A reference that leads nowhere is an error before anything is done.
    manifest = target.store.manifest(target.weights.source, target.weights.format) if target.weights else None
    size = target.check(manifest)
    name = target.spec.endpoint_name
    spare = Candidate(name=name, endpoint=target.endpoint_folder)
    busy = is_held(target.endpoint_folder / LOCK)
    # What lies on a spare port meanwhile is at work, and nobody has left it.
    plan = await make_plan(name, "local", target.resources, () if busy else (spare,))
    warnings = [WAITS.format(name=name)] if busy else []
    warnings += guard.warnings(target.spec)
    warnings += noted(target.model, target.spec, target.engine[0]) if target.model else []
    before = endpoint_record.load(target.folder)
    warnings += _doubts(target, manifest, size)
    warnings += weights_headers.ensure_adapters(
        target.engine[0], target.adapters, target.weights, target.spec_file.parent
    )
    warnings += endpoint_key.warnings(target.key, target.spec.local.host, target.engine[1].engine, before)
    other = owner(target.spec, target.spec_file, target.home)
    foreign = f"{target.spec.name} belongs to {other}; {TAKE_OVER}"
    problems = [foreign] if other and not target.take_over else []
    if full := no_disk(target.all_weights):
        problems.append(f"{full}; {full.hint}")
    if other and target.take_over:
        warnings.append(f"this takes {target.spec.name} over from {other}, whose endpoint it is now")
    if size is not None and size.footprint is not None:
        needs = size.footprint.needs(target.spec.engine.parallel)
        if needs > target.machine.memory_available and ActionKind.CREATE in {
            action.kind for action in plan.actions if action.resource.kind == "process"
        }:
            warnings.append("that is more memory than is free: the machine may swap, or end a process")
    return replace(
        plan, facts=tuple(_facts(target, size)), warnings=tuple(warnings), problems=tuple(problems)
    )


def _doubts(target: LocalTarget, manifest: Manifest | None, size: Fit | None) -> list[str]:
    """Return what may go wrong with the model, as far as its files or headers tell."""
    made = read = target.made(manifest)
    if target.model and target.spec.weights and manifest:
        read = weights_headers.model_if_read(path_of(manifest), name=target.spec.model)
    elif target.model and target.headers:
        read = target.headers.model
    doubts = told_of_template(read, target.spec, target.spec_file, target.engine[0], target.home.root)
    unread = "" if manifest else target.headers_unread
    unjudged = unread and f"{unread}; whether an engine here can load it, and what it needs, is not known"
    return list(
        filter(None, [unjudged, untrained(made, target.spec.task) if size is not None else "", *doubts])
    )


def _facts(target: LocalTarget, size: Fit | None) -> Iterator[Fact]:
    settings, local, model = target.spec.engine, target.spec.local, target.model
    _, installation = target.engine
    yield ModelFact(
        title=model.title if model else target.spec.model, licence=model.licence if model else None
    )
    yield facts.EngineFact(name=installation.engine, version=installation.version)
    yield facts.ContextFact(context_tokens=settings.context, parallel=settings.parallel)
    yield _fits(target, size)
    yield facts.ListensFact(host=local.host, port=local.port or None)
    yield facts.KeyFact(reference=target.key.reference, words=endpoint_key.described(target.key))
    yield facts.RestartFact(
        restart=local.restart,
        most_restarts=MOST,
        within_s=WITHIN_S,
        memory_limit_bytes=target.memory_limit(size),
    )
    if target.spec.cloudrun:
        yield _on_cloudrun(target)
    if target.spec.guard:
        yield guard.GuardFact.of(target.spec.guard, guard.screen_here(target.spec.guard))
    yield from facts.elsewhere(target.spec)


def _on_cloudrun(target: LocalTarget) -> Fact:
    """Return what `[cloudrun]` would come to."""
    from homeport.fit.cloud import outlook
    from homeport.fit.outlook import CloudRunOutlook

    try:
        return outlook(target.spec, target.spec_file)
    except HomeportError as error:
        return CloudRunOutlook(fits=None, words=f"not known: {error}")


def _fits(target: LocalTarget, size: Fit | None) -> facts.FitsFact:
    if size is None or size.footprint is None:
        why = " before its weights are here" if size is None else ": its architecture is new to homeport"
        return facts.FitsFact(
            fits=None, needs_bytes=None, of=None, memory_bytes=None, free_bytes=None, unknown=why
        )
    gpu = bool(size.place.device.gpu)
    return facts.FitsFact(
        fits=True,
        needs_bytes=size.footprint.needs(target.spec.engine.parallel),
        of="gpu" if gpu else "host",
        memory_bytes=size.footprint.usable.size if gpu else target.machine.memory,
        free_bytes=None if gpu else target.machine.memory_available,
    )
