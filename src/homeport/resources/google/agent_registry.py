"""An entry of Agent Registry, by which others find an agent: the agent's A2A card, which Google keeps and never fetches."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.google import Google
from homeport.json_types import Json
from homeport.resources.google.rest import LABEL, Address, RestResource

API = "agentregistry"
KIND = "registry entry"


def registry_entry(
    google: Google, name: str, entry_id: str, region: str, card: Mapping[str, Json]
) -> RestResource:
    """Return the entry `entry_id` of the endpoint `name`; of a `card` that is empty as much as it takes to unmake it."""
    parent = f"v1/projects/{google.project}/locations/{region}/services"
    return RestResource(
        google=google,
        name=name,
        id=f"registry-entry/{entry_id}",
        kind=KIND,
        address=Address(api=API, path=f"{parent}/{entry_id}", made_at=parent, query={"serviceId": entry_id}),
        wanted={
            "displayName": entry_id,
            "description": f"{card.get('description', '')} {LABEL}={name}",
            "agentSpec": {"type": "A2A_AGENT_CARD", "content": card},
        },
        marked="description",
    )
