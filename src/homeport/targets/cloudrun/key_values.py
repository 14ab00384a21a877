"""What is to be said of a key of one's own with which a revision did not come up: its state, and the commands that mend it."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.errors import HomeportError
from homeport.google import Google
from homeport.google.encryption import NUMBER, agent_of, letting_use, looking_at, making, mending
from homeport.json_types import Json

_UNTOLD = "projects/ITS_PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
_ABOUT = "ENCRYPTION_KEY"
"""How Cloud Run's reasons begin that are about a key."""


async def key_facts(google: Google, template: Mapping[str, Json], conditions: str) -> dict[str, str]:
    """Return the key that a revision is encrypted with, and Cloud Run's own account, where what failed is about that."""
    if _ABOUT not in conditions:
        return {}
    try:
        project = await google.get("cloudresourcemanager", f"v3/projects/{google.project}")
    except HomeportError:
        number = NUMBER
    else:
        number = str(project["name"]).rpartition("/")[2]
    return {"key": str(template.get("encryptionKey") or _UNTOLD), "agent": agent_of("run", number)}


def key_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for `told`, `letting` and `mending`, by the facts and by what Google's words name."""
    key = values.get("key", _UNTOLD)
    version = {
        "name": f"{key}/cryptoKeyVersions/{values.get('version', '')}",
        "state": values.get("state", ""),
    }
    if "keyless" in values:
        told, commands = "it is not there", making(key, ring="unknown")
    elif "versionless" in values:
        told, commands = "it has no primary version", mending(key, {})
    elif "state" in values:
        told, commands = f"its primary version is {values['state']}", mending(key, {"primary": version})
    else:
        told, commands = "Google does not say why", [looking_at(key)]
    letting = letting_use(key, agent=values.get("agent") or agent_of("run"))
    return {"told": told, "letting": letting, "mending": "; ".join(commands)}


__all__ = ["key_facts", "key_values"]
