"""Accounts by which Google's own services act in a project: Google makes one only once somebody asks for it."""

from __future__ import annotations

from homeport.export.graph import Things
from homeport.resources.google.service_agent import AgentGrant


def api_of(grant: AgentGrant) -> str:
    """Return the API whose service acts by the account of a grant."""
    return f"{grant.agent_of}.googleapis.com"


def notes(things: Things) -> list[str]:
    """Return paragraphs for the head of a file of a tool that cannot ask for them; none where no such account is granted a role."""
    asked = sorted({api_of(grant) for grant in things.all(AgentGrant)})
    if not asked:
        return []
    return [
        (
            "Roles are granted to accounts of Google's own services, which must be there before. hashicorp/google has no resource "
            "that asks Google to make them; say once in a project:"
        ),
        *(
            f"gcloud beta services identity create --service={api} --project={things.project}"
            for api in asked
        ),
    ]
