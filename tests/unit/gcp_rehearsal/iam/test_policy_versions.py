"""Versions of policies: what is sent, and what is read by those who ask for an older one."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"
PATH = f"{SECRETS}/token"
CONDITION = {"title": "for a day", "expression": "request.time < timestamp('2026-12-01T00:00:00Z')"}
GRANT = {"role": "roles/secretmanager.secretAccessor", "members": ["user:you@example.com"]}


@pytest.fixture
def raw() -> Raw:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "secretmanager")
    made = Raw(cloud)
    act(made.send("POST", f"{SECRETS}?secretId=token", {"replication": {"automatic": {}}}))
    return made


def put(raw: Raw, *bindings: dict[str, Any], **more: Any) -> Any:  # Any: JSON
    return act(raw.send("POST", f"{PATH}:setIamPolicy", {"policy": {"bindings": list(bindings), **more}}))


def read(raw: Raw, version: int | None = None) -> Any:  # Any: JSON
    asked = "" if version is None else f"?options.requestedPolicyVersion={version}"
    return act(raw.send("GET", f"{PATH}:getIamPolicy{asked}"))


def test_a_policy_that_nobody_has_set_has_an_etag_alone(raw: Raw) -> None:
    assert read(raw).body == {"etag": "ACAB"}
    assert put(raw, GRANT, etag="ACAB").status == 200
    assert put(raw, GRANT, etag="ACAB").status == 409


def test_a_policy_without_conditions_is_read_as_version_1_whatever_was_sent(raw: Raw) -> None:
    assert put(raw, GRANT, version=3).body["version"] == 3
    assert [read(raw, version).body["version"] for version in (None, 1, 3)] == [1, 1, 1]


def test_conditions_are_of_version_3_and_hidden_from_those_who_ask_for_less(raw: Raw) -> None:
    conditional = {**GRANT, "condition": CONDITION}
    assert "set the version to 3" in put(raw, conditional, version=1).error
    assert put(raw, conditional, version=3).status == 200
    whole = read(raw, 3).body
    assert (whole["version"], whole["bindings"]) == (3, [conditional])
    lowered = read(raw).body
    assert lowered["version"] == 1
    assert lowered["bindings"][0]["role"].startswith(f"{GRANT['role']}_withcond_")
    assert "condition" not in lowered["bindings"][0]
    back = put(raw, *lowered["bindings"], version=1, etag=lowered["etag"])
    assert back.status == 400
    assert "set the version to 3" in put(raw, GRANT, etag=lowered["etag"]).error
    assert put(raw, GRANT, version=3, etag=lowered["etag"]).status == 200


@pytest.mark.parametrize("version", [2, 4, -1])
def test_other_versions_are_refused(raw: Raw, version: int) -> None:
    assert read(raw, version).status == 400
    assert put(raw, GRANT, version=version).status == 400


def test_a_role_that_is_not_known_is_a_501_and_one_that_cannot_be_a_400(raw: Raw) -> None:
    unknown = put(raw, {**GRANT, "role": "roles/pubsub.publisher"})
    assert (unknown.status, "the rehearsal does not act out the role" in unknown.error) == (501, True)
    assert put(raw, {**GRANT, "role": "secretAccessor"}).status == 400
