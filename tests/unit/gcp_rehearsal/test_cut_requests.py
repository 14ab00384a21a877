"""What asked for something and was gone before it had said all of it has changed nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cloud import act
from gcp_rehearsal.cloud import OWNER, Cloud
from gcp_rehearsal.server import App

PATH = "/v3/projects/rehearsal:setIamPolicy"
PLACE = ("cloudresourcemanager", "projects/rehearsal")
EMPTY = json.dumps({"policy": {"bindings": []}}).encode()
GONE = {"type": "http.disconnect"}


def asked(cloud: Cloud, *messages: dict[str, Any]) -> None:  # Any: ASGI
    """The cloud after a request for another policy, of which these messages came."""
    left = [*messages, GONE]
    headers = {
        "host": "cloudresourcemanager.googleapis.com",
        "authorization": f"Bearer {cloud.token(OWNER)}",
        "content-type": "application/json",
    }
    scope = {
        "type": "http",
        "method": "POST",
        "raw_path": PATH.encode(),
        "path": PATH,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:  # Any: ASGI
        return left.pop(0)

    async def send(message: Any) -> None:  # Any: ASGI
        pass

    act(App(cloud, inside=2)(scope, receive, send))


@pytest.mark.parametrize(
    "came", [(), ({"type": "http.request", "body": b"", "more_body": True},)], ids=["head", "half"]
)
def test_a_request_that_was_cut_changes_no_policy(came: tuple[dict[str, Any], ...]) -> None:  # Any: ASGI
    cloud = Cloud()
    before = cloud.access.policy(*PLACE)
    asked(cloud, *came)
    assert cloud.access.policy(*PLACE) == before
    assert before["bindings"]


def test_the_same_request_changes_it_when_all_of_it_came() -> None:
    cloud = Cloud()
    asked(cloud, {"type": "http.request", "body": EMPTY, "more_body": False})
    assert cloud.access.policy(*PLACE)["bindings"] == []
