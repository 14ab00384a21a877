"""The target of a file whose service stands behind Identity-Aware Proxy, or did until now."""

from __future__ import annotations

from dataclasses import replace

from homeport.errors import ApiDisabled, NotFound
from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.service_agent import IAP, agent
from homeport.resources.google.traffic import receipts, shares
from homeport.targets.cloudrun.agent.entry_found import former_entry
from homeport.targets.cloudrun.iap.entry import endpoint_iap
from homeport.targets.cloudrun.iap.former import state_of_entrants
from homeport.targets.cloudrun.iap.switch import IapSwitch
from homeport.targets.cloudrun.invokers import unexpected_invokers
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.verification.closed_checks import EVERYBODY


async def with_iap(target: CloudRunTarget, *, changing: bool) -> CloudRunTarget:
    """
    Return the target with the proxy of its file's `access.iap`, and where it is for `changing` what is there, with what the services say
    that they had once, and that the proxy is turned on or off before what serves.
    """
    members = target.spec.access.iap
    if members:
        target = replace(target, iap=await endpoint_iap(target.google, target.names, members))
    if not changing:
        return target
    live = await _service(target.google, target.names)
    labels = live.get("labels", {}) if live is not None else None
    # A further region has no agent.
    registers = target.spec.registers_agent or target.names.further
    former = await former_entry(target.google, target.names, labels, wanted=registers)
    left = "" if members else await state_of_entrants(target.google, target.names, labels or {})
    target = replace(target, former_iap=left, former_entry=former)
    if live is None:
        return target
    if not _serves_without(live, bool(members)):
        return target
    if members:
        invokers = await unexpected_invokers(target.google, target.names, target.callers)
        # Everybody is nobody's caller: that goes first, as ever, and no proof passes before.
        leaving = frozenset(grant.member for grant in invokers) - EVERYBODY
    else:
        leaving = frozenset({await agent(target.google, IAP)})
    return replace(target, switch=IapSwitch(leaving=leaving))


async def _service(google: Google, names: Names) -> Json | None:
    """Return the endpoint's service; None where there is none."""
    try:
        return await google.get("run", f"v2/{names.service}")
    except (NotFound, ApiDisabled):
        return None


def _serves_without(service: Json, wanted: bool) -> bool:
    """Return True if verified revisions have all traffic of the service, and the proxy is not before it as `wanted`."""
    known, serving = receipts(service), shares(service)
    proven = bool(serving) and all(name in known and known[name].passed for name in serving)
    return proven and bool(service.get("iapEnabled")) is not wanted
