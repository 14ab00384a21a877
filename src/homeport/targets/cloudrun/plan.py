"""What `up --on cloudrun` would do, and what its reader should know of that."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from homeport.engines.registry import module
from homeport.reconcile import Plan, make_plan
from homeport.resources.google.release import Release
from homeport.targets.chat_template import noted
from homeport.targets.cloudrun.doubts import with_doubts
from homeport.targets.cloudrun.findings import looked_at, provable
from homeport.targets.cloudrun.plan_facts import facts_of
from homeport.targets.cloudrun.preflight import Findings
from homeport.targets.cloudrun.regions.elsewhere import notes_of_elsewhere
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of


async def plan_of(target: CloudRunTarget) -> tuple[Plan, Findings]:
    """Return what `up --on cloudrun` would do, and what was found of that before. Reads only."""
    regions = {each.names.region for each in target.every}
    elsewhere, plan, findings = await asyncio.gather(
        notes_of_elsewhere(target.google, target.names, regions, target.seen.take()),
        _planned(target),
        looked_at(target),
    )
    if any(action.resource.kind == Release.kind for action in plan.pending):
        findings = Findings((*findings.all, *await provable(target)))
    warnings = [*plan.warnings, *target.notes, *elsewhere]
    warnings += noted(target.chosen.model, target.spec, module(target.chosen.engine))
    warnings += _notes_of_further_regions(target)
    warnings += [doubt for adapter in target.chosen.adapters for doubt in adapter.doubts]
    warnings += [f"{finding.subject}: {finding.text}" for finding in findings.warnings]
    if findings.unchecked:
        unseen = ", ".join(finding.subject for finding in findings.unchecked)
        later = any(action.resource.id == target.foundations.apis.id for action in plan.pending)
        when = "; `up` looks again once the APIs are on, before it makes anything else"
        warnings.append(f"not checked: {unseen}{when if later else ''}")
    warnings += target.warm.warnings(target.moment)
    warnings += target.road.warnings() if target.road else ()
    warnings += target.observing.warnings(plan) if target.observing else ()
    warnings += [f"isolated: {target.foundations.isolation}"] if target.spec.access.isolated else []
    return replace(
        plan,
        facts=facts_of(target, plan, findings),
        warnings=tuple(warnings),
        problems=tuple(
            f"{finding.subject}: {finding.text}\n      do: {finding.hint}" for finding in findings.problems
        ),
    ), findings


def _notes_of_further_regions(target: CloudRunTarget) -> list[str]:
    """Return what is to be known of further regions alone."""
    notes: list[str] = []
    for each in target.further:
        region = each.names.region
        notes += [f"{region}: {note}" for note in each.notes if note not in target.notes]
        if each.no_cache and each.no_cache != target.no_cache:
            notes.append(f"{region}: no startup cache: {each.no_cache}")
    return notes


async def _planned(target: CloudRunTarget) -> Plan:
    surplus = await unwanted_of(target)
    return with_doubts(await make_plan(target.names.name, "cloudrun", target.resources(), surplus), surplus)
