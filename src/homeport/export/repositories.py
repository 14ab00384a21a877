"""Repositories of images in gcloud's words: where one fetches from, and what it forgets."""

from __future__ import annotations

import json
from collections.abc import Mapping

from homeport.export.fields import Fields
from homeport.json_types import Json


def upstream(body: Fields) -> list[str]:
    """Return the flags of a repository that fetches from another registry; none for one of our own."""
    mode, config = body.take("mode"), body.take("remoteRepositoryConfig", {})
    if not mode:
        return []
    repository = config["dockerRepository"]
    source = repository.get("customRepository", {}).get("uri") or repository["publicRepository"].replace(
        "_", "-"
    )
    flags = [
        f"--mode={mode.lower().replace('_', '-')}",
        f"--remote-docker-repo={source}",
        f"--remote-repo-config-desc={config['description']}",
    ]
    login = config.get("upstreamCredentials", {}).get("usernamePasswordCredentials")
    if login:
        flags.append(f"--remote-username={login['username']}")
        flags.append(f"--remote-password-secret-version={login['passwordSecretVersion']}")
    return flags


def clean_up(policies: Mapping[str, Mapping[str, Json]]) -> str:
    """Return the file of clean-up policies that gcloud reads."""
    gcloud_policies = [
        {"name": policy["id"], "action": {"type": policy["action"]}, **{k: v for k, v in policy.items() if k not in {"id", "action"}}}
        for policy in policies.values()
    ]  # fmt: skip
    return json.dumps(gcloud_policies, indent=2) + "\n"
