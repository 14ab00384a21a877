"""Model Armor at a load balancer of the rehearsal's: what it stops by either of Google's roads, what passes, and what follows an outage."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gcp_rehearsal.faults import Fault
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
