"""The key of Cloud KMS: whether it is one of the region, and what was not looked at."""

from __future__ import annotations

from collections.abc import Sequence

from homeport.google import Google
from homeport.google.encryption import AGENTS, ROLE
from homeport.targets.cloudrun.preflight.finding import PreflightFinding, not_checked, problem
from homeport.targets.cloudrun.preflight.request import PreflightInput


async def key(_: Google, asked: PreflightInput) -> Sequence[PreflightFinding]:
    """Tell whether the key is one of the region; what is of Cloud KMS itself is not looked at, and is said to be not."""
    if not asked.key:
        return []
    place = asked.key.split("/")[3]
    if place != asked.region:
        return [
            problem(
                "encryption key",
                f"{asked.key} is a key of {place}, and what lies in {asked.region} takes none of it",
                f"name a key of {asked.region} in access.encryption_key; with {{region}} for the location each region has its own",
            )
        ]
    accounts = ", ".join(f"service-PROJECT_NUMBER@{agent}" for agent in AGENTS.values())
    return [
        not_checked(
            "encryption key",
            f"whether {asked.key} is there, and whether Google's own accounts may use it, was not looked at",
            f"make it, and grant {ROLE} on it to {accounts}",
        )
    ]
