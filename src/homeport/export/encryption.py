"""What a key of Cloud KMS needs that no export makes: Google's own accounts, which must be let use it."""

from __future__ import annotations

import re

from homeport.export.graph import Things
from homeport.export.text import listed
from homeport.google.encryption import CryptoKeyName, letting_agents_use, showing
from homeport.resources.google.bucket import Bucket
from homeport.resources.google.rest import RestResource
from homeport.targets.cloudrun.preflight.encryption import LOOKS


def keys_of(things: Things) -> list[str]:
    """Return the full names of the keys that things are encrypted with, each once: one for each region."""
    keys = dict.fromkeys(_key_of(resource) for resource in things.all(RestResource))
    return [key for key in keys if key]


def _key_of(resource: RestResource) -> str:
    wanted = resource.wanted
    of_bucket = wanted.get("encryption", {}).get("defaultKmsKeyName") if isinstance(resource, Bucket) else ""
    return str(of_bucket or wanted.get("kmsKeyName") or wanted.get("template", {}).get("encryptionKey") or "")


def own_keys(things: Things) -> list[str]:
    """Return those of them that lie in the endpoint's own project."""
    return [key for key in keys_of(things) if CryptoKeyName.of(key).project == things.project]


def looks(things: Things, planner: str) -> list[str]:
    """Return paragraphs for the head of a file by which others plan: how their account sees the keys of other projects; none where there are none."""
    others = [key for key in keys_of(things) if key not in own_keys(things)]
    if not others:
        return []
    role_id = re.sub(r"[^a-zA-Z0-9_.]", "_", f"homeport.{things.name}.keys")
    commands = [
        command
        for key in others
        for command in showing(key, member=planner, role_id=role_id, permissions=LOOKS)
    ]
    return [
        f"A plan says of {listed(others)} that it was not looked at, until somebody who may has let {planner.partition(':')[2]}, which plans, see it:",
        *dict.fromkeys(commands),
    ]


def notes(things: Things) -> list[str]:
    """Return paragraphs for the head of a file: who must be let use the keys, by which commands; none where there is no key."""
    keys = keys_of(things)
    if not keys:
        return []
    return [
        (
            f"The {'key' if len(keys) == 1 else 'keys'} {listed(keys)} must be there, and Google's own accounts for repositories, buckets and services must be let use "
            f"{'it' if len(keys) == 1 else 'each'} before. This is not done here, since {'the key' if len(keys) == 1 else 'a key'} may be somebody else's:"
        ),
        *letting_agents_use(keys, things.project),
    ]
