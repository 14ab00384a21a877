"""What is to be said of a key of one's own with which a revision did not come up: its state, and the commands that mend it."""

from __future__ import annotations

from collections.abc import Mapping

from homeport.errors import HomeportError, NotFound
from homeport.google import Google
from homeport.google.encryption import ENCRYPTS, NUMBER, agent_of, letting_use, looking_at, making, mending
from homeport.json_types import Json

_UNTOLD = "projects/ITS_PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
_ABOUT = "ENCRYPTION_KEY"
"""How Cloud Run's reasons begin that are about a key."""


async def key_facts(google: Google, template: Mapping[str, Json], conditions: str) -> dict[str, str]:
    """Return the key that a revision is encrypted with, as Cloud KMS shows it, and Cloud Run's own account, where what failed is about that."""
    if _ABOUT not in conditions:
        return {}
    try:
        project = await google.get("cloudresourcemanager", f"v3/projects/{google.project}")
    except HomeportError:
        number = NUMBER
    else:
        number = str(project["name"]).rpartition("/")[2]
    key = str(template.get("encryptionKey") or "")
    seen = await _seen(google, key) if key else {}
    return {"key": key or _UNTOLD, "agent": agent_of("run", number), **seen}


async def _seen(google: Google, key: str) -> dict[str, str]:
    """Return what Cloud KMS shows of a key: `seen`, why it encrypts nothing, '' where it would now, and `mended`, by which commands; {} where it shows nothing."""
    try:
        live = await google.get("cloudkms", f"v1/{key}")
    except NotFound:
        return {"seen": "it is not there", "mended": "; ".join(making(key, ring="unknown"))}
    except HomeportError:
        return {}
    purpose = str(live.get("purpose") or ENCRYPTS)
    state = str((live.get("primary") or {}).get("state") or "")
    commands = mending(key, live)
    if purpose != ENCRYPTS:
        seen = f"its purpose is {purpose}, which cannot be changed"
        commands = [*commands, "name that key in access.encryption_key"]
    elif state == "ENABLED":
        seen = ""
    else:
        seen = f"its primary version is {state}" if state else "it has no primary version"
    return {"seen": seen, "mended": "; ".join(commands)}


def key_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for `told`, `letting` and `mending`: by what Cloud KMS showed, and else by what Google's words name."""
    key = values.get("key", _UNTOLD)
    told, commands = _by_words(key, values)
    if "mended" in values:
        told, commands = values["seen"] or told, [values["mended"]]
    letting = letting_use(key, agent=values.get("agent") or agent_of("run"))
    return {"told": told, "letting": letting, "mending": "; ".join(commands)}


def _by_words(key: str, values: Mapping[str, str]) -> tuple[str, list[str]]:
    """Return why a key that was not seen encrypts nothing by Google's words, and what mends it: a look first, since they name neither its purpose nor its kind."""
    look = looking_at(key)
    if "keyless" in values:
        return "it is not there", making(key, ring="unknown")
    if "versionless" in values:
        return "it has no primary version", [look, *mending(key, {})]
    if "state" not in values:
        return "Google does not say why", [look]
    version = {
        "name": f"{key}/cryptoKeyVersions/{values.get('version', '')}",
        "state": values["state"],
    }
    commands = mending(key, {"primary": version})
    return f"its primary version is {values['state']}", list(dict.fromkeys([look, *commands]))


__all__ = ["key_facts", "key_values"]
