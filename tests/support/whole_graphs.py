"""Files of many tables as the whole graphs that `up` makes of them: every region, all doors, and what is wanted no more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edges import DOMAIN
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.reconcile import Plan, make_plan
from homeport.resources.google.release import Prove
from homeport.resources.google.traffic import Body
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.edge.proof import with_edge
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.guard.road_target import with_road
from homeport.targets.cloudrun.iap.target import with_iap
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.names import in_region
from homeport.targets.cloudrun.observe.target import with_observe, with_uptime
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.targets.cloudrun.unwanted import unwanted_of
from ways import NAME, REGION, SPEC_FILE, Wanted, Way, other_weights, wanted

Work = Literal["up", "change", "down", "rollback"]
"""What is made; changed once it is made; unmade once it is made; turned back once it was changed."""
Tables = dict[str, dict[str, Any]]  # Any: values of homeport.toml
_TOOLS = "https://tools.example.com/mcp"
_CALLERS = {"callers": ["user:friend@example.com"]}
_KEY = "projects/vault/locations/{region}/keyRings/ring/cryptoKeys/own"
_ROAD = {"unscreened": ["streams", "apis", "choices", "texts", "media", "long", "names"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What a file says at first and then, and what must be among the calls so that it is tried at all."""

    way: Way
    first: Tables
    then: Tables
    calls: tuple[str, ...]
    """Parts of methods that are called while it is made."""
    changes: tuple[str, ...] = ()
    """Parts of methods that are called while it is changed."""
    works: tuple[Work, ...] = ("up", "change", "down")
    every: int = 5
    """Of how many calls a sample lets one go wrong. With twelve kinds it has no common divisor: each comes."""

    def called(self, work: Work) -> tuple[str, ...]:
        """What must be among the calls of a work."""
        return {"up": self.calls, "change": self.changes}.get(work, ())


_LARGE: Tables = {
    "cloudrun": {"hub_token": "env:HF_TOKEN", "startup_cache": "auto"},
    "agent": {"mcp": [_TOOLS], "mcp_secrets": {_TOOLS: "users-own"}},
    "observe": {"alerts": ["mailto:ops@example.com"], "budget": 50},
}
_KEYED = {"kind": "api-gateway", "clients": ["alice", "bob"], "gateway_region": "europe-west1"}
_REGIONS = {"domain": DOMAIN, "requests_per_minute": 60}
_IN_FIRST: Tables = {"cloudrun": {"region": REGION}}
_REGISTERED = {"tools": ["calculator"], "registry": True}
_PROXIED: Tables = {"access": {"iap": ["group:team@example.com", "user:ann@example.com"]}}
_ROADS: Tables = {"edge": {"kind": "regional", "domain": DOMAIN}}
_WATCHED: Tables = {
    "cloudrun": {"hub_token": "env:HF_TOKEN"},
    "access": {**_CALLERS, "encryption_key": _KEY},
}
GRAPHS: dict[str, Graph] = {
    # Beside a service that may have all that the quota holds, a change has no job make another cache.
    "large": Graph(way="vllm", first=_LARGE, then=_LARGE, calls=(".jobs.", "billingbudgets.", "monitoring.")),
    "keyed": Graph(
        way="ollama",
        first={"edge": _KEYED},
        then={"edge": {**_KEYED, "requests_per_minute": 60}},
        calls=("apigateway.", "apikeys."),
        changes=("apigateway.",),
    ),
    "behind a proxy": Graph(
        way="ollama", first=_PROXIED, then={"access": _CALLERS}, calls=("iap.",), changes=("iap.",)
    ),
    "to a proxy": Graph(
        way="ollama",
        first={"access": _CALLERS},
        then=_PROXIED,
        calls=(),
        changes=("iap.",),
        works=("change",),
    ),
    "behind both": Graph(
        way="ollama",
        first={**_PROXIED, "edge": _REGIONS},
        then={"access": _CALLERS, "edge": _REGIONS},
        calls=("iap.", "urlMaps.insert"),
        changes=("iap.",),
        every=11,
    ),
    "registered": Graph(
        way="ollama",
        first={"agent": _REGISTERED},
        then={"agent": {**_REGISTERED, "registry": False}},
        calls=("agentregistry.",),
        changes=("agentregistry.",),
        every=11,
    ),
    "regions": Graph(
        way="ollama",
        first={**_IN_FIRST, "edge": {**_REGIONS, "regions": ["us-central1"]}},
        then={**_IN_FIRST, "edge": {**_REGIONS, "regions": ["europe-west1"]}},
        calls=("urlMaps.insert", "certificatemanager."),
        changes=("urlMaps.", "services.delete"),
        every=11,
    ),
    "back in regions": Graph(
        way="ollama",
        first={**_IN_FIRST, "edge": {**_REGIONS, "regions": ["us-central1"]}},
        then={**_IN_FIRST, "edge": {**_REGIONS, "regions": ["us-central1"]}},
        calls=(),
        works=("rollback",),
        every=1,
    ),
    "roads": Graph(
        way="ollama",
        first={**_ROADS, "guard": {"where": "traffic-extension", **_ROAD}},
        then={**_ROADS, "guard": {"where": "authz-extension", **_ROAD}},
        calls=("modelarmor.", "networkservices."),
        changes=("networkservices.", "networksecurity."),
        every=11,
    ),
    "screened": Graph(
        way="vllm",
        first={**_WATCHED, "guard": {}, "agent": {"tools": ["calculator"]}},
        then={**_WATCHED, "observe": {"callers": True, "traces": True}},
        calls=("modelarmor.", "networkconnectivity."),
        changes=("modelarmor.", "monitoring."),
        every=11,
    ),
    "warm": Graph(
        way="vllm",
        first={**_WATCHED, "scaling": {"warm": ["Sat 08:00-18:00 Europe/Berlin"]}},
        then={
            **_WATCHED,
            "scaling": {"min": 1},
            "observe": {"uptime": True, "slo": {"ttft": "2s", "availability": 0.99}},
        },
        calls=("cloudscheduler.",),
        changes=("cloudscheduler.", "uptimeCheckConfigs."),
        every=11,
    ),
}
"""Graphs beside the usual one."""


@dataclass(frozen=True, kw_only=True)
class WholeFile(Wanted):
    """A file with whichever tables, whose target is put together as `up` does it."""

    further: tuple[tuple[spec.Spec, ResolvedModel], ...] = ()
    """What is wanted in each further region."""

    async def whole(self, google: Google, prove: Prove) -> CloudRunTarget:
        """What should exist, in all regions."""
        first = await _put_together(self, google, prove)
        others = [
            await _put_together(replace(self, spec=wish, chosen=chosen), google, prove, first.names.region)
            for wish, chosen in self.further
        ]
        return replace(first, further=tuple(others))

    async def plan(self, google: Google, prove: Prove) -> Plan:
        """What there is to do, what is wanted no more included."""
        target = await self.whole(google, prove)
        return await make_plan(NAME, "cloudrun", target.resources(), await unwanted_of(target))


def whole_file(way: Way, folder: Path, tables: Tables, *, changed: bool = False) -> WholeFile:
    """A file by that way with those tables; `changed` to what makes a new revision, which is released in steps."""
    made = wanted(way, folder, **tables)
    if changed and way == "vllm":
        made = other_weights(made)
    elif changed:
        engine = made.spec.engine.model_copy(update={"parallel": 2})
        made = replace(made, spec=made.spec.model_copy(update={"engine": engine}))
    regions = made.spec.edge.regions if made.spec.edge else ()
    further = tuple(
        (there, replace(_chosen(there), pinned=made.chosen.pinned))
        for there in (in_region(made.spec, region) for region in regions)
    )
    canary = (50, 100) if changed else ()
    return WholeFile(spec=made.spec, chosen=made.chosen, canary=canary, further=further)


def _chosen(wish: spec.Spec) -> ResolvedModel:
    return asyncio.run(choose(wish, SPEC_FILE, find_home(), Silent()))


async def _put_together(wish: Wanted, google: Google, prove: Prove, first: str = "") -> CloudRunTarget:
    """One region's target, as `CloudRunLifecycle.graph` puts it together; whatever is asked from outside answers."""
    observed = await with_uptime(with_observe(replace(wish.bare(google, prove), moment=None)))
    ready = await with_iap(with_agent(with_gateway(observed)), changing=True)
    target = await with_road(await with_edge(ready, prove, first=first))
    if target.edge is not None:
        target = replace(target, edge=replace(target.edge, ask=_answers))
    if target.api_gateway is not None:
        target = replace(target, api_gateway=replace(target.api_gateway, ask=_answers))
    return target


async def _answers(_: Body | str) -> str:
    """What answers at once: nothing is sent in a cloud of the test's own process."""
    return ""
