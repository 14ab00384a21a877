"""Whatever is sent, the rehearsal answers as an API does: never a failure of its own, never a wrong body taken."""

from __future__ import annotations

import json
import re

import pytest
from google.cloud import artifactregistry_v1, run_v2, secretmanager_v1
from google.protobuf import json_format

from bodies import Bodies
from cloud import Answer, Raw, act, enable
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.discovery import NAMES, Document, Method, load
from gcp_rehearsal.schema import SchemaCheck

ROUNDS = 2
"""Right and wrong bodies of each method: with some 800 methods, several thousand requests."""


def _with_bodies(document: Document) -> list[Method]:
    return [method for method in document.methods.values() if method.request and not method.media_upload]


def _address(document: Document, method: Method) -> str:
    """An address that the method's path allows, in the project that is there."""
    api = document.name.partition(".")[0]
    path = re.sub(r"{projectsId}|{project}", "rehearsal", method.flat)
    path = re.sub(r"{[^}]*}", "x", path)
    required = [
        f"{name}={spec.get('enum', ['rehearsal' if name == 'project' else 'x'])[0]}"
        for name, spec in method.parameters.items()
        if spec.get("location") == "query" and spec.get("required")
    ]
    return f"{api}.googleapis.com/{path}" + ("?" + "&".join(required) if required else "")


@pytest.mark.parametrize("name", NAMES)
def test_no_body_breaks_the_rehearsal_and_no_wrong_one_is_taken(name: str) -> None:
    document = load(name)
    cloud = Cloud(delays=AT_ONCE)
    enable(cloud, *{one.partition(".")[0] for one in NAMES})
    raw = Raw(cloud)

    async def work() -> None:
        for number, method in enumerate(_with_bodies(document)):
            url = _address(document, method)
            assert method.request
            for turn in range(ROUNDS):
                bodies = Bodies(document, number * ROUNDS + turn)
                answer = await raw.send(method.verb, url, bodies.right(method.request))
                _check(method, answer)
                spoiled = bodies.wrong(method.request)
                if spoiled is not None:
                    answer = await raw.send(method.verb, url, spoiled[0])
                    assert answer.status == 400, f"{method.id} took {spoiled[1]}: {json.dumps(spoiled[0])}"

    act(work())


def _check(method: Method, answer: Answer) -> None:
    assert answer.status != 500, f"{method.id}: {answer.body}"
    if answer.status >= 400:
        assert answer.body["error"]["code"] == answer.status
        assert answer.body["error"]["message"]


JUDGED = [
    ("secretmanager.v1", "Secret", secretmanager_v1.Secret),
    ("secretmanager.v1", "AddSecretVersionRequest", secretmanager_v1.AddSecretVersionRequest),
    ("artifactregistry.v1", "Repository", artifactregistry_v1.Repository),
    ("run.v2", "GoogleCloudRunV2Service", run_v2.Service),
    ("run.v2", "GoogleCloudRunV2Job", run_v2.Job),
]


@pytest.mark.parametrize(("document", "schema", "message"), JUDGED, ids=[one[1] for one in JUDGED])
def test_what_is_taken_and_what_is_not_agrees_with_googles_own_parser(
    document: str, schema: str, message: type
) -> None:
    check, agreed = SchemaCheck(load(document)), 0
    for seed in range(1500):
        bodies = Bodies(load(document), seed)
        body = bodies.right(schema)
        assert not check.schema(schema, body)
        if not _google_takes(message, body):
            continue  # The document is newer than the client, and has fields that it lacks.
        agreed += 1
        spoiled = Bodies(load(document), seed).wrong(schema)
        if spoiled is not None and not _google_takes(message, spoiled[0]):
            assert check.schema(schema, spoiled[0]), f"{spoiled[1]} is wrong to Google: {spoiled[0]}"
    assert agreed > 50


def _google_takes(message: type, body: object) -> bool:
    try:
        json_format.ParseDict(body, message.pb(message()))  # type: ignore[attr-defined]
    except json_format.ParseError:
        return False
    return True
