"""The agent of the file as a service beside the model's: its image, its container, and what it may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from homeport.agents import brain
from homeport.agents.builtin import builtin
from homeport.agents.service.card import PATH, card
from homeport.errors import SpecError
from homeport.reconcile import Ref, joined
from homeport.resources.google.agent_registry import registry_entry
from homeport.resources.google.rest import RestResource
from homeport.resources.google.service import ServiceRole
from homeport.spec import Agent
from homeport.targets.cloudrun.agent.fact import AgentFact
from homeport.targets.cloudrun.agent.secrets import readers
from homeport.targets.cloudrun.agent.way import ALL_TRAFFIC, AgentWay, way_of
from homeport.targets.cloudrun.companions import Companion
from homeport.targets.cloudrun.containers import HttpProbe, ServiceContainer
from homeport.targets.cloudrun.foundations import DOMAINS
from homeport.targets.cloudrun.front import PORT
from homeport.targets.cloudrun.own_image import OwnImage
from homeport.targets.cloudrun.service_labels import REGISTRY_LABEL
from homeport.targets.cloudrun.target import CloudRunTarget

PACKAGE = "agent"
"""The image's name in the endpoint's repository."""
MODULE = "homeport.agents.service.container"
IMAGE = OwnImage(package=PACKAGE, module=MODULE, extras=("agents", "cloudrun"))
_UNTOLD = "agent: whether {model} was trained to call tools is not known; `homeport agent eval` measures how well it chooses them"
_LONGEST_S = 3600
"""That Cloud Run lets a request take."""


def with_agent(target: CloudRunTarget) -> CloudRunTarget:
    """
    Return the target with the service of its file's `[agent]`; as it is where there is none. There is one agent, in the first region:
    in a further one it may call the model, since what it asks at the load balancer is answered there where the first one fails.

    Raises `SpecError` where it allows tools that it cannot have, `Unsupported` for a model that was not trained to call tools, `EngineMissing` where the extra `agents` is not
    installed: the image is made of what runs here.
    """
    agent = target.spec.agent
    if agent is None:
        return target
    if target.names.further:
        return replace(target, companions=(Companion(role=ServiceRole.AGENT, elsewhere=True),))
    _ensure_allowed_tools_exist(agent)
    taught = brain.ensure_taught(target.spec.model)
    brain.ensure_installed()
    way = way_of(target.spec, target.names, target.spec_file.parent)
    fact = AgentFact.of(
        agent,
        IMAGE.base,
        IMAGE.wheel.sha256,
        target.cold_start,
        _registry(target) if agent.registry else "",
        model_url=way.edge.address if way.edge else "",
    )
    gateway_ids = {resource.id for resource in target.gateway}
    companion = Companion(
        role=ServiceRole.AGENT,
        containers=(_container(target, agent, way),),
        egress=way.egress,
        callers=target.spec.access.callers,
        max_instances=agent.max_instances,
        concurrency=target.spec.engine.parallel,
        timeout_s=min(_LONGEST_S, agent.max_seconds + round(target.cold_start.high) + 60),
        # The wheel may be there already, for another image.
        resources=(
            *(resource for resource in IMAGE.resources(target) if resource.id not in gateway_ids),
            *readers(target.google, target.names, agent.mcp_secrets.values()),
            *([_entry(target, agent)] if agent.registry else []),
        ),
        labels={REGISTRY_LABEL: "agent"} if agent.registry else {},
        facts=(fact,),
    )
    outside = _unreached(target, agent.mcp) if way.egress == ALL_TRAFFIC else ()
    untold = () if taught else (_UNTOLD.format(model=target.spec.model),)
    notes = (*target.notes, *untold, *outside, *way.notes(companion.member(target.names)))
    return replace(target, companions=(*target.companions, companion), notes=notes)


def _ensure_allowed_tools_exist(agent: Agent) -> None:
    if agent.allow and not agent.mcp:
        raise SpecError(
            f"agent.allow names {', '.join(agent.allow)}, and agent.mcp names no server that could have such tools",
            hint="take them out of agent.allow: homeport's own tools change nothing, and need no leave",
        )


def _unreached(target: CloudRunTarget, servers: tuple[str, ...]) -> Iterator[str]:
    """Yield what a plan warns of: MCP servers that the agent's network may have no way to."""
    ours = tuple(f".{domain.rstrip('.')}" for domain in DOMAINS)
    outside = [server for server in servers if not (urlsplit(server).hostname or "").endswith(ours)]
    if not outside:
        return
    network = target.foundations.cloudrun.network
    way = (
        "homeport's own network has no way out to the internet"
        if network is None
        else f"whether {network} has a way out to the internet, such as Cloud NAT, is not looked at"
    )
    yield (
        f"agent: all that it sends goes through its network, where Google's own addresses are reached; {way}, "
        f"which {', '.join(outside)} may need. cloudrun.network names a network of yours"
    )


def _registry(target: CloudRunTarget) -> str:
    return f"projects/{target.names.project}/locations/{target.names.region}"


def _entry(target: CloudRunTarget, agent: Agent) -> RestResource:
    """Return its entry in Agent Registry, with the card that it tells itself: nobody but its callers can read that."""
    own = target.names.companion(ServiceRole.AGENT)
    told = card(
        name=own,
        model=target.launch.model,
        tools=[tool.name for name in agent.tools for tool in builtin(name, Path())],
        url=joined(Ref(f"service/{own}", "uri"), PATH),
    )
    entry = registry_entry(target.google, target.names.name, own, target.names.region, told)
    return replace(entry, after=(target.foundations.apis.id,))


def _container(target: CloudRunTarget, agent: Agent, way: AgentWay) -> ServiceContainer:
    names = target.names
    described = {
        "name": names.companion(ServiceRole.AGENT),
        "model": target.launch.model,
        **agent.model_dump(mode="json", exclude={"max_instances", "mcp_secrets", "registry"}),
        "mcp_tokens": {url: f"MCP_TOKEN_{at}" for at, url in enumerate(sorted(agent.mcp_secrets))},
        **way.described,
    }
    probe = HttpProbe(path="/health", port=PORT, period_s=5, timeout_s=4, attempts=24)
    return ServiceContainer(
        name="agent",
        image=Ref(f"image/{PACKAGE}", "reference"),
        environment={
            "HOMEPORT_AGENT": json.dumps(described, sort_keys=True),
            "MODEL_URL": way.url,
        },
        secrets={described["mcp_tokens"][url]: secret for url, secret in agent.mcp_secrets.items()},
        port=PORT,
        limits={"cpu": "1", "memory": "1Gi"},
        boosted=True,
        startup=probe,
    )
