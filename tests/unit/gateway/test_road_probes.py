"""What passes one of Google's roads: what is not taken by the engine is told from what nobody answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx2
import pytest

from gcp_rehearsal.runtime.screened_texts import prompt_of
from homeport.gateway.probes import PROBES, ProbeResult
from homeport.gateway.road_probes import probe_gaps

CHAT = "/v1/chat/completions"
MEDIA = ("image_url", "input_audio")


def probed(passing: str, *, odd: int, usual: int = 200, is_odd: str) -> list[ProbeResult]:
    """What is told of a server that answers with `odd` where a request has that in it, and with `usual` else."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(odd if is_odd in request.content.decode() else usual, json={})

    return asked(passing, answer)


def asked(passing: str, answer: Callable[[httpx2.Request], httpx2.Response]) -> list[ProbeResult]:
    async def work() -> list[ProbeResult]:
        transport = httpx2.MockTransport(answer)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found = probe_gaps(client, "m", CHAT, filters=["injection"], passing=[passing])
            return [one async for one in found]

    return asyncio.run(work())


@pytest.mark.parametrize("status", [400, 404, 415, 422, 500])
@pytest.mark.parametrize("medium", MEDIA)
def test_a_picture_or_a_sound_that_the_engine_does_not_take_is_not_offered(medium: str, status: int) -> None:
    outcomes = [one.outcome for one in probed("media", odd=status, is_odd=medium)]
    beside = ["not offered"] if medium == "image_url" else ["passed"]
    assert sorted(outcomes) == sorted(["not offered", "taken", *beside]), (
        "of the other nothing is known but that it came through"
    )


@pytest.mark.parametrize("status", [401, 429, 502, 503, 504])
@pytest.mark.parametrize("medium", MEDIA)
def test_what_says_nothing_of_a_picture_is_no_engine_without_pictures(medium: str, status: int) -> None:
    outcomes = [one.outcome for one in probed("media", odd=status, is_odd=medium)]
    beside = ["failed"] if medium == "image_url" else ["passed"]
    assert sorted(outcomes) == sorted(["failed", "taken", *beside])


@pytest.mark.parametrize("status", [400, 404, 429, 500, 502, 503, 504])
def test_where_the_question_without_a_picture_gets_no_answer_either_nothing_is_told_of_pictures(
    status: int,
) -> None:
    found = probed("media", odd=500, usual=status, is_odd="image_url")
    assert {(one.outcome, one.good) for one in found} == {("failed", False)}
    assert all(str(status) in one.reason for one in found)


def test_a_picture_that_comes_through_shows_nothing_and_is_not_good() -> None:
    found = {one.place: (one.outcome, one.good) for one in probed("media", odd=200, is_odd="m")}
    assert (found["picture"], found["sound"]) == (("taken", False), ("taken", False))
    assert found["text beside a picture"] == ("passed", False)


@pytest.mark.parametrize("reads_parts", [True, False])
def test_a_text_beside_a_picture_shows_whether_the_road_reads_messages_of_parts(reads_parts: bool) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        text, _ = prompt_of(CHAT, request.content) if reads_parts else ("", "")
        return httpx2.Response(403 if PROBES["injection"] in text else 200, json={})

    found = {one.place: one for one in asked("media", answer)}
    told = found["text beside a picture"]
    assert (told.outcome, told.good) == (("refused", True) if reads_parts else ("passed", False))
    assert (told.filter, told.passes) == ("injection", "media")
    assert found["picture"].outcome == "taken"


def test_texts_that_are_nobodys_message_are_tried_each_by_itself() -> None:
    attack = json.dumps(PROBES["injection"])[1:-1]
    stopped = {one.place: one.outcome for one in probed("texts", odd=403, is_odd=attack)}
    assert stopped == dict.fromkeys(("definition of a tool", "response format", "document"), "refused")
    assert {one.outcome for one in probed("texts", odd=400, is_odd="documents")} == {"passed", "not offered"}
    assert {one.outcome for one in probed("texts", odd=503, is_odd="documents")} == {"passed", "failed"}
