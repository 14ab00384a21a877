"""Objects of Google's API as the provider has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from homeport.export.fields import Fields
from homeport.export.terraform.addresses import snake
from homeport.export.terraform.hcl import Block, Item, attributes, block

_MAPS = frozenset(("annotations", "labels", "limits", "metadata", "userLabels"))
"""Fields whose keys are the user's own, not Google's."""
_FIRST = ("name", "location", "image", "command", "args")


def fields(values: Mapping[str, Any]) -> list[Item]:  # Any: JSON, with Code
    """
    Return the fields of an object of the API: scalars, lists of scalars and maps as attributes, objects as
    blocks. That is how the provider has all of the service: `terraform validate` in the tests would tell of a
    field that differs.
    """
    plain: dict[str, Any] = {}  # Any: as above
    blocks: list[Item] = []
    for key, value in sorted(
        values.items(), key=lambda pair: _FIRST.index(pair[0]) if pair[0] in _FIRST else 99
    ):
        name = snake(key)
        if isinstance(value, Mapping) and key not in _MAPS:
            blocks.append(block(name, body=fields(value)))
        elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
            blocks += [block(name, body=fields(part)) for part in value]
        else:
            plain[name] = value
    return [*attributes(plain), *blocks]


def upstream(config: Mapping[str, Any]) -> Block:  # Any: JSON
    """Return where a repository of images fetches from."""
    repository = config["dockerRepository"]
    own = repository.get("customRepository")
    if own:
        source = block(
            "docker_repository", body=[block("custom_repository", body=attributes({"uri": own["uri"]}))]
        )
    else:
        source = block(
            "docker_repository", body=attributes({"public_repository": repository["publicRepository"]})
        )
    described = attributes({"description": config["description"]})
    login = config.get("upstreamCredentials", {}).get("usernamePasswordCredentials")
    credentials = []
    if login:
        login_body = attributes(
            {"username": login["username"], "password_secret_version": login["passwordSecretVersion"]}
        )
        credentials = [
            block("upstream_credentials", body=[block("username_password_credentials", body=login_body)])
        ]
    return block("remote_repository_config", body=[*described, source, *credentials])


def clean_up(policy: Mapping[str, Any]) -> Block:  # Any: JSON
    """Return a clean-up policy of a repository."""
    body = Fields(policy, "a clean-up policy")
    arguments: list[Item] = attributes({"id": body.take("id"), "action": body.take("action")})
    for key, name, inner in (
        ("condition", "condition", {"olderThan": "older_than"}),
        ("mostRecentVersions", "most_recent_versions", {"keepCount": "keep_count"}),
    ):
        part = Fields(body.take(key, {}), key)
        values = {inner[field]: part.take(field) for field in inner}
        part.done()
        if any(value is not None for value in values.values()):
            arguments.append(block(name, body=attributes(values)))
    body.done()
    return block("cleanup_policies", body=arguments)
