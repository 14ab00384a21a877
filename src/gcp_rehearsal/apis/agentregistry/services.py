"""Entries of Agent Registry that users make, and the agents that come of them."""

from __future__ import annotations

import json
import re
import uuid

from gcp_rehearsal import generic
from gcp_rehearsal.context import Call, Handler, Kind
from gcp_rehearsal.errors import invalid, unimplemented
from gcp_rehearsal.json_types import Json, JsonObject
from gcp_rehearsal.state import StoredResource

_BASE = "agentregistry.projects.locations"
_ID = re.compile(r"[a-z0-9-]{4,63}")
_SPECS = ("agentSpec", "mcpServerSpec", "endpointSpec")
_LARGEST_CARD = 10 * 1024
_LONGEST = {"displayName": 63, "description": 2048}
_OF_CARD = ("name", "description", "version", "skills", "capabilities")
"""What each card has, whatever version of A2A it is of."""

_WORD = re.compile(r"[\w-]+")


def _prepare(call: Call, body: JsonObject, before: StoredResource | None) -> None:
    if before is None and not _ID.fullmatch(str(call.query.get("serviceId") or "")):
        raise invalid(
            "Invalid service id: 4 to 63 lower-case letters, digits and hyphens.",
            ("service_id", "is invalid"),
        )
    for key, most in _LONGEST.items():
        if len(str(body.get(key) or "")) > most:
            raise invalid(f"{key} has more than {most} characters.", (f"service.{key}", "is too long"))
    specs = [key for key in _SPECS if body.get(key) is not None]
    if len(specs) != 1:
        raise invalid(f"Exactly one of {', '.join(_SPECS)} is required.", ("service", "has not one spec"))
    if specs != ["agentSpec"]:
        raise unimplemented("entries of Agent Registry for anything but agents")
    spec = body["agentSpec"]
    if before is not None and spec.get("type") != before.body["agentSpec"]["type"]:
        raise invalid("agent_spec.type is immutable.", ("service.agent_spec.type", "cannot be changed"))
    if spec.get("type") == "A2A_AGENT_CARD":
        if body.get("interfaces"):
            raise invalid("A card says its interfaces itself.", ("service.interfaces", "must be empty"))
        _check_card(spec.get("content") or {})
    elif spec.get("type") != "NO_SPEC" or spec.get("content"):
        raise invalid("agent_spec is neither a card nor empty.", ("service.agent_spec", "is invalid"))
    body["registryResource"] = _agent_name(
        str(before.name if before else f"{call.name}/{call.query['serviceId']}")
    )


def _check_card(card: JsonObject) -> None:
    """Raise `ApiError` 400 for a content that is no A2A card of version 1.0, or an older one with a `url`."""
    size = len(json.dumps(card, separators=(",", ":")).encode())
    if size > _LARGEST_CARD:
        raise invalid(f"The card has {size} bytes, {_LARGEST_CARD} at most.", ("service.agent_spec.content", "is too large"))  # fmt: skip
    lacks = [key for key in _OF_CARD if key not in card]
    interfaces = card.get("supportedInterfaces") or ([{"url": card["url"]}] if card.get("url") else [])
    if not interfaces or not all(
        str(one.get("url", "")).startswith(("http://", "https://")) for one in interfaces
    ):
        lacks.append("supportedInterfaces")
    if lacks:
        raise invalid(
            f"The content is no A2A agent card: it lacks {', '.join(lacks)}.",
            ("service.agent_spec.content", "is invalid"),
        )


def _made(call: Call, service: StoredResource) -> None:
    """Put the agent beside it, which is what others list and search."""
    card = service.body["agentSpec"].get("content") or {}
    name = service.body["registryResource"]
    kept = call.cloud.store.get("agentregistry", name)
    interfaces = card.get("supportedInterfaces") or []
    body: JsonObject = {
        "name": name,
        "displayName": service.body.get("displayName") or card.get("name", ""),
        "description": service.body.get("description") or card.get("description", ""),
        "version": card.get("version", ""),
        "skills": [{key: skill[key] for key in ("id", "name", "description", "tags") if key in skill} for skill in card.get("skills", ())],
        "card": {"type": "A2A_AGENT_CARD", "content": card},
        "protocols": [
            {"type": "A2A_AGENT", "protocolVersion": str(one.get("protocolVersion", "")), "interfaces": [{"url": one["url"], "protocolBinding": one.get("protocolBinding", "JSONRPC")}]}
            for one in interfaces
        ],
    }  # fmt: skip
    if kept is None:
        call.cloud.keep(call, name, f"{_BASE}.agents", body)
    else:
        kept.body = {**kept.body, **body}


def _remove(call: Call, service: StoredResource) -> None:
    agent = call.cloud.store.get("agentregistry", str(service.body["registryResource"]))
    if agent is not None and not call.validate_only:
        call.cloud.forget(agent)


def _agent_name(service: str) -> str:
    """Return the name of the agent that comes of an entry: Google's ends in an id that it makes up."""
    parent = service.rpartition("/services/")[0]
    return f"{parent}/agents/agentregistry-{uuid.uuid5(uuid.NAMESPACE_URL, service)}"


def _search(call: Call) -> Json:
    wanted = str(call.body.get("searchString") or "").strip()
    if wanted and not _WORD.fullmatch(wanted):
        raise unimplemented("expressions in a search of Agent Registry, except one word")
    found: list[Json] = []
    for agent in call.cloud.store.under("agentregistry", call.name):
        told = json.dumps([agent.body[key] for key in ("name", "displayName", "description", "skills")])
        if wanted.lower() in (word.lower() for word in _WORD.findall(told)) or not wanted:
            found.append(agent.body)
    return generic.page(call, "agents", found)


KINDS = {f"{_BASE}.services": Kind(prepare=_prepare, made=_made, remove=_remove, seconds=3.0)}
HANDLERS: dict[str, Handler] = {f"{_BASE}.agents.search": _search}
