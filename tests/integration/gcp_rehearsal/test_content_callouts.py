"""Model Armor at a load balancer of the rehearsal's: what it stops by either of Google's roads, what passes, and what follows an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2
import pytest

from edges import DOMAIN
from gcp_rehearsal.apis.iam.tokens import id_token
from gcp_rehearsal.cloud import OWNER
from gcp_rehearsal.faults import Fault
from homeport.gateway.road_probes import probe_gaps
from homeport.spec import Guard
from homeport.spec.guard import UNSCREENED
from screened_edges import ATTACK, CARD, HARMLESS, MATRIX, ROADS, ScreenedEdge, screened_edge

PROMPTS, ANSWERS = (
    f"modelarmor.projects.locations.templates.{verb}"
    for verb in ("sanitizeUserPrompt", "sanitizeModelResponse")
)


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScreenedEdge]:
    with screened_edge(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest, edge: ScreenedEdge) -> Iterator[str]:
    edge.attach(request.param)
    yield str(request.param)
    edge.running.cloud.faults.clear()
    edge.detach()


def test_it_stops_what_googles_pages_say_and_all_else_passes(edge: ScreenedEdge, road: str) -> None:
    stopped = {}
    for words, path, body, _ in MATRIX:
        came = edge.ask(path, {"model": "m", **body})
        stopped[words] = came.status_code == 403 and came.json()["error"]["code"] == "bad_request_error"
        assert stopped[words] or came.status_code == 200, (words, came.text)
    assert stopped == {words: expected for words, _, _, expected in MATRIX}


@pytest.mark.parametrize("method", [PROMPTS, ANSWERS])
def test_it_fails_closed_unless_it_was_told_otherwise(edge: ScreenedEdge, road: str, method: str) -> None:
    edge.running.cloud.faults.append(Fault(method=method, nth=1, times=1000, status=503))
    assert edge.say(HARMLESS).status_code == 500
    edge.detach()
    edge.attach(road, fail_open=True)
    passed = edge.say(
        ATTACK if method == PROMPTS else HARMLESS, says=[CARD] if method == ANSWERS else ["Rome."]
    )
    assert passed.status_code == 200, "unscreened, as the lab has it"


def test_it_fails_where_its_account_lacks_a_role(edge: ScreenedEdge, road: str) -> None:
    edge.granted("roles/modelarmor.user", "roles/serviceusage.serviceUsageConsumer")
    assert edge.say(HARMLESS).status_code == 500
    edge.granted()
    assert edge.say(HARMLESS).status_code == 200


def test_a_model_that_no_entry_names_is_not_screened_by_a_traffic_extension(edge: ScreenedEdge) -> None:
    edge.attach("traffic-extension", models=("a", "b"))
    try:
        assert edge.say(ATTACK, model="b").status_code == 403
        assert edge.say(ATTACK, model="c").status_code == 200
    finally:
        edge.detach()


def test_without_anything_attached_all_of_it_passes(edge: ScreenedEdge) -> None:
    assert [edge.ask(path, {"model": "m", **body}).status_code for _, path, body, _ in MATRIX] == [200] * len(
        MATRIX
    )


def gaps(edge: ScreenedEdge, road: str, *passing: str) -> dict[str, tuple[str, str]]:
    """What became of each thing that a road lets pass besides, by its place: the outcome, and the word of it."""

    async def work() -> dict[str, tuple[str, str]]:
        token = id_token(edge.running.cloud, OWNER, f"https://{DOMAIN}")
        headers = {"host": DOMAIN, "authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(
            base_url=edge.running.client.base_url, headers=headers, timeout=300, trust_env=False
        ) as client:
            words = passing or Guard.model_validate({"where": road, "unscreened": list(UNSCREENED)}).passing
            found = probe_gaps(client, "m", "/v1/chat/completions", filters=["injection"], passing=words)
            return {one.place: (one.outcome, one.passes) async for one in found}

    return asyncio.run(work())


TEXTS = ("definition of a tool", "response format", "document")
NAMES = ("other letters of its name", "another name", "no name")


def test_other_texts_and_long_ones_pass_pictures_are_taken_and_other_names_by_one_of_the_roads(
    edge: ScreenedEdge, road: str
) -> None:
    expected = {
        "picture": ("taken", "media"),
        "text beside a picture": ("refused", "media"),
        "sound": ("taken", "media"),
        **dict.fromkeys(TEXTS, ("passed", "texts")),
        "long text": ("passed", "long"),
        **(dict.fromkeys(NAMES, ("passed", "names")) if road == "traffic-extension" else {}),
    }
    assert gaps(edge, road) == expected
    if road == "authz-extension":
        assert gaps(edge, road, "names") == dict.fromkeys(NAMES, ("refused", "names")), (
            "all are the same to it"
        )


def test_during_an_outage_nothing_is_told_as_stopped_or_not_offered(edge: ScreenedEdge, road: str) -> None:
    edge.running.cloud.faults.append(Fault(method=PROMPTS, nth=1, times=1000, status=503))
    outcomes = {place: outcome for place, (outcome, _) in gaps(edge, road).items()}
    assert {outcomes[place] for place in ("picture", "sound", "long text")} == {"failed"}
    assert set(outcomes.values()) <= {"failed", "passed"}
