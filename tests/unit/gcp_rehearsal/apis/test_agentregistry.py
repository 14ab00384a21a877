"""Agent Registry in the rehearsal: what users enter, what is refused, and what others find of it."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud

PLACE = "agentregistry.googleapis.com/v1/projects/rehearsal/locations/us-central1"
CARD = {
    "name": "sums",
    "description": "Adds numbers.",
    "version": "1",
    "capabilities": {},
    "supportedInterfaces": [
        {"url": "https://sums.example.com/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    ],
    "skills": [{"id": "add", "name": "Add", "description": "Adds.", "tags": ["sums"]}],
}
Body = dict[str, Any]  # Any: JSON


@pytest.fixture
def raw() -> Raw:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "agentregistry")
    return Raw(cloud)


def entered(raw: Raw, body: Body, *, called: str = "sums") -> tuple[int, Any]:
    came = act(raw.send("POST", f"{PLACE}/services?serviceId={called}", body))
    return came.status, came.body


def with_card(**changed: Any) -> Body:  # Any: JSON
    return {"displayName": "Sums", "agentSpec": {"type": "A2A_AGENT_CARD", "content": {**CARD, **changed}}}


def agents(raw: Raw, word: str) -> list[str]:
    came = act(raw.send("POST", f"{PLACE}/agents:search", {"searchString": word}))
    return [one["displayName"] for one in came.body.get("agents", [])]


def test_what_is_entered_is_found_until_it_is_taken_away(raw: Raw) -> None:
    status, _ = entered(raw, with_card())
    assert status == 200
    assert agents(raw, "sums") == agents(raw, "adds") == agents(raw, "") == ["Sums"]
    assert agents(raw, "weather") == []
    service = act(raw.send("GET", f"{PLACE}/services/sums")).body
    (agent,) = act(raw.send("GET", f"{PLACE}/agents")).body["agents"]
    assert service["registryResource"] == agent["name"]
    assert agent["card"]["content"] == CARD
    other = with_card(skills=[{"id": "see", "name": "See", "description": "Sees.", "tags": ["weather"]}])
    assert act(raw.send("PATCH", f"{PLACE}/services/sums?updateMask=agentSpec", other)).status == 200
    assert (agents(raw, "weather"), agents(raw, "add")) == (["Sums"], [])
    assert act(raw.send("DELETE", f"{PLACE}/services/sums")).status == 200
    assert agents(raw, "") == []
    assert act(raw.send("GET", f"{PLACE}/services/sums")).status == 404


@pytest.mark.parametrize(
    ("body", "called", "words"),
    [
        (with_card(), "abc", "service id"),
        (with_card(), "Sums", "service id"),
        (with_card(), "s" * 64, "service id"),
        ({"displayName": "x"}, "sums", "Exactly one of"),
        ({"agentSpec": {"type": "A2A_AGENT_CARD"}}, "sums", "no A2A agent card: it lacks name"),
        (with_card(supportedInterfaces=[]), "sums", "lacks supportedInterfaces"),
        (with_card(supportedInterfaces=[{"url": "sums"}]), "sums", "lacks supportedInterfaces"),
        (with_card(description="x" * 11_000), "sums", "10240 at most"),
        ({**with_card(), "displayName": "x" * 64}, "sums", "more than 63"),
        ({**with_card(), "interfaces": [{"url": "https://x.example.com", "protocolBinding": "JSONRPC"}]}, "sums", "interfaces itself"),
    ],
)  # fmt: skip
def test_what_is_no_card_or_no_name_is_refused(raw: Raw, body: Body, called: str, words: str) -> None:
    status, answer = entered(raw, body, called=called)
    assert status == 400
    assert words in answer["error"]["message"]
    assert agents(raw, "") == []


def test_what_kind_of_spec_it_is_cannot_be_changed(raw: Raw) -> None:
    entered(raw, with_card())
    came = act(
        raw.send("PATCH", f"{PLACE}/services/sums?updateMask=agentSpec", {"agentSpec": {"type": "NO_SPEC"}})
    )
    assert (came.status, "immutable" in came.body["error"]["message"]) == (400, True)


@pytest.mark.parametrize("expression", ["skills.tags:sums", "a OR b"])
def test_what_is_not_acted_out_says_so(raw: Raw, expression: str) -> None:
    assert act(raw.send("POST", f"{PLACE}/agents:search", {"searchString": expression})).status == 501
    assert entered(raw, {"endpointSpec": {"type": "NO_SPEC"}})[0] == 501
