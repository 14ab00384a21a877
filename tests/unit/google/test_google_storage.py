"""Objects as bytes."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import httpx2
import pytest

from cloud import act
from google_door import Script, door, older, says
from homeport.errors import Conflict, GoogleError

DATA = b"the source of a build"


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()  # noqa: S324 - what Storage tells


def test_an_object_is_made_of_bytes() -> None:
    script = Script(says({"name": "src/a b.tgz", "md5Hash": md5(DATA)}))
    made = act(
        door(script).upload(
            "bucket", "src/a b.tgz", DATA, if_generation_match=0, content_type="application/gzip"
        )
    )
    assert made["name"] == "src/a b.tgz"
    request = script.requests[0]
    assert request.url.path == "/upload/storage/v1/b/bucket/o"
    assert dict(request.url.params) == {
        "uploadType": "media",
        "name": "src/a b.tgz",
        "ifGenerationMatch": "0",
    }
    assert request.headers["content-type"] == "application/gzip"
    assert request.content == DATA


def test_a_lost_answer_is_not_a_second_object() -> None:
    script = Script(
        httpx2.RemoteProtocolError("dropped after the commit"),
        older(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet"),
        says({"name": "a/b", "md5Hash": md5(DATA)}),
    )
    assert act(door(script).upload("bucket", "a/b", DATA, if_generation_match=0))["name"] == "a/b"
    assert script.requests[2].url.raw_path == b"/storage/v1/b/bucket/o/a%2Fb"


def test_other_bytes_under_that_name_are_a_conflict() -> None:
    refused = older(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet")
    script = Script(refused, says({"name": "a", "md5Hash": md5(b"theirs")}))
    with pytest.raises(Conflict):
        act(door(script).upload("bucket", "a", DATA, if_generation_match=0))


def test_what_arrives_damaged_is_told() -> None:
    with pytest.raises(GoogleError, match="arrived damaged"):
        act(door(Script(says({"md5Hash": md5(b"other")}))).upload("bucket", "a", DATA))


def test_a_big_object_is_given_more_time() -> None:
    import asyncio

    async def slow(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(250)
        return says({})

    async def work() -> Any:  # Any: JSON
        return await door(slow).upload("bucket", "a", bytes(64 * 2**20))

    assert act(work()) == {}
