"""Keys of Cloud KMS in a rehearsed cloud, as if somebody had made them and let Google's own accounts use them long ago."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from gcp_rehearsal.apis.cloudkms.usable import AGENTS, agent_of
from gcp_rehearsal.call import Request
from gcp_rehearsal.cloud import Cloud, Project
from gcp_rehearsal.iam.caller import Caller

ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
HOST = "cloudkms.googleapis.com"


def make_key(cloud: Cloud, key: str, *, users: Sequence[str] = tuple(AGENTS)) -> None:
    """Make a key with its ring and, where there is none, its project; the first project's accounts of these APIs may use it."""
    ring, _, name = key.partition("/cryptoKeys/")
    place, _, ring_id = ring.partition("/keyRings/")
    project = place.split("/")[1]
    _have_project(cloud, project)
    cloud.enabled[project, HOST] = float("-inf")
    _sent(cloud, "POST", f"{place}/keyRings", f"keyRingId={ring_id}", {}, also=409)
    _sent(cloud, "POST", f"{ring}/cryptoKeys", f"cryptoKeyId={name}", {"purpose": "ENCRYPT_DECRYPT"})
    grant(cloud, key, *users)


def grant(cloud: Cloud, thing: str, *apis: str, api: str = "cloudkms") -> None:
    """Let the first project's accounts of these APIs, and no others, use a key, or all keys of a ring or a project."""
    project = cloud.projects[0].id
    members = [f"serviceAccount:{agent_of(cloud, user, project)}" for user in apis]
    before = [
        binding for binding in cloud.access.policy(api, thing).get("bindings", ()) if binding["role"] != ROLE
    ]
    bindings = [*before, *([{"role": ROLE, "members": members}] if members else [])]
    cloud.access.set_policy(api, thing, {"bindings": bindings}, at_once=True)


def disable(cloud: Cloud, key: str, *, destroy: bool = False) -> None:
    """Disable the first version of a key, with which it encrypts, or let it be destroyed in thirty days."""
    if destroy:
        _sent(cloud, "POST", f"{key}/cryptoKeyVersions/1:destroy", "", {})
        return
    _sent(cloud, "PATCH", f"{key}/cryptoKeyVersions/1", "updateMask=state", {"state": "DISABLED"})


def _have_project(cloud: Cloud, name: str) -> None:
    if cloud.project(name) is not None:
        return
    made = Project(id=name, number=str(7_000_000_000 + len(cloud.projects)))
    cloud.projects = (*cloud.projects, made)
    owners = {"bindings": [{"role": "roles/owner", "members": [Caller(made.owner).member]}]}
    cloud.access.set_policy("cloudresourcemanager", f"projects/{name}", owners, at_once=True)


def _sent(
    cloud: Cloud, verb: str, path: str, query: str, body: dict[str, Any], *, also: int = 200
) -> None:  # Any: JSON
    known = len(cloud.log)
    headers = {
        "authorization": f"Bearer {cloud.token(cloud.projects[0].owner)}",
        "content-type": "application/json",
    }
    came = cloud.answered(
        Request(
            verb=verb,
            host=HOST,
            path=f"/v1/{path}",
            query=query,
            headers=headers,
            body=json.dumps(body).encode(),
        )
    )
    assert came.status in {200, also}, came.body
    del cloud.log[known:]  # It was long ago.
