"""What can be known of one spec on Cloud Run before anything is made."""

from __future__ import annotations

from homeport.engines.registry import module
from homeport.home import find_home
from homeport.targets.cloudrun.docker_login import login_findings
from homeport.targets.cloudrun.edge.backends import FrontEndpoint
from homeport.targets.cloudrun.preflight import Findings, PreflightFinding
from homeport.targets.cloudrun.preflight.encryption import key_findings
from homeport.targets.cloudrun.preflight.run import preflight
from homeport.targets.cloudrun.preflight.template import template_findings
from homeport.targets.cloudrun.target import CloudRunTarget


async def findings_of(target: CloudRunTarget) -> Findings:
    """Return what can be known before anything is created, and a revision proven. Reads only, raises nothing."""
    return Findings((*(await looked_at(target)).all, *await provable(target)))


async def provable(target: CloudRunTarget) -> list[PreflightFinding]:
    """Return whether a revision can be proven; nothing where nothing has to be signed for that."""
    return await target.iap.findings() if target.iap else []


async def looked_at(target: CloudRunTarget) -> Findings:
    """Return what can be known before anything is created, of all but a proof."""
    asked = [each.preflight_input() for each in target.every]
    findings = await preflight(target.google, asked[0])
    for there in asked[1:]:
        findings = findings.and_in(there.region, await preflight(target.google, there))
    front = FrontEndpoint.of(target.spec, target.launch.model)
    more = (*login_findings(target.settings, target.names.project),)
    more += tuple(await key_findings(target.google, findings, asked))
    engine, root = module(target.chosen.engine), find_home().root
    more += await template_findings(target.chosen.model, target.spec, engine, root)
    more += await target.api_gateway.findings() if target.api_gateway else ()
    more += tuple(target.road.findings()) if target.road else ()
    iaps = [each.iap for each in target.every if each.iap]
    more += tuple(await iaps[0].looked_at(findings, iaps[1:])) if iaps else ()
    return Findings((*findings.all, *more, *(await target.edge.looked_at(front) if target.edge else ())))
