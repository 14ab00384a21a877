"""JSON is read as deep as Google's parser goes, and what is deeper is refused with its words."""

from __future__ import annotations

import pytest

from cloud import Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.json_text import DEEPEST, read_json

BUCKETS = "storage.googleapis.com/storage/v1/b?project=rehearsal"
UPLOADS = "storage.googleapis.com/upload/storage/v1/b/deep/o?uploadType=resumable"
SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets?secretId=deep"


@pytest.fixture
def cloud() -> Cloud:
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, "secretmanager")
    assert act(Raw(cloud).send("POST", BUCKETS, {"name": "deep"})).status == 200
    return cloud


@pytest.mark.parametrize("address", [BUCKETS, UPLOADS, SECRETS])
@pytest.mark.parametrize("depth", [DEEPEST + 1, 100_000])
def test_a_body_that_is_nested_too_deep_is_googles_400(cloud: Cloud, address: str, depth: int) -> None:
    body = ('{"labels":' + '{"a":' * depth + "1" + "}" * depth + "}").encode()
    answer = act(Raw(cloud).send("POST", address, content=body, content_type="application/json"))
    assert answer.status == 400
    said = "Invalid JSON payload received. Message too deep. Max recursion depth reached for key 'a'"
    assert answer.error == said


def test_a_body_as_deep_as_may_be_is_held_to_its_document(cloud: Cloud) -> None:
    depth = DEEPEST - 1
    body = ('{"labels":' + '{"a":' * depth + "1" + "}" * depth + "}").encode()
    answer = act(Raw(cloud).send("POST", SECRETS, content=body, content_type="application/json"))
    assert answer.status == 400
    assert "Invalid value at" in answer.error


def test_only_what_is_open_counts_as_depth() -> None:
    many = '["[{", "\\"[{", {"a": [' + ", ".join(["{}"] * 500) + "]}]"
    assert len(read_json(many)[2]["a"]) == 500
    with pytest.raises(ValueError, match="for key ''"):
        read_json("[" * 100_000)


def test_a_form_that_is_no_text_is_refused_as_any_body(cloud: Cloud) -> None:
    form = {"content": b"\xff=\xff", "content_type": "application/x-www-form-urlencoded"}
    assert act(Raw(cloud).send("POST", "sts.googleapis.com/v1/token", **form)).status == 400  # type: ignore[arg-type]
    assert act(Raw(cloud).send("POST", "oauth2.googleapis.com/token", **form)).status == 400  # type: ignore[arg-type]
