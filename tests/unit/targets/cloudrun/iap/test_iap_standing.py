"""A proof waits until Identity-Aware Proxy is before the service, or gone from it, at a front end that learns of it late."""

from __future__ import annotations

import asyncio

import pytest

from answers_of_iap import ANSWERS, MaybeOfIap
from cloud import act
from deployment import google_for
from gcp_rehearsal.cloud import Cloud
from homeport.errors import NetworkError
from homeport.targets.cloudrun.iap.standing import TAKES_S, is_answer_of_iap, wait_until_it_stands
from late_iap import HOST, asking, cloud_of, turned


async def waited(cloud: Cloud, wanted: bool) -> tuple[bool, float, list[str]]:
    """Whether it came, after how many seconds, and what was said."""
    said: list[str] = []
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with asking(cloud) as sender, google_for(cloud) as google:

        async def stands() -> bool:
            return (await sender.without_token(f"https://{HOST}", "/v1/models"))[1]

        came = await wait_until_it_stands(
            google.telling(said.append),
            "it",
            wanted,
            stands,
        )
    return came, loop.time() - begun, said


@pytest.mark.parametrize("wanted", [True, False])
def test_where_it_is_as_wanted_already_nothing_is_waited_for(wanted: bool) -> None:
    came, seconds, said = act(waited(cloud_of(200, enabled=wanted), wanted))
    assert (came, said) == (True, [])
    assert seconds < 1


@pytest.mark.parametrize("wanted", [True, False])
def test_a_front_end_that_learns_of_it_late_is_waited_for_and_that_is_said(wanted: bool) -> None:
    cloud = cloud_of(200, enabled=not wanted)
    turned(cloud, wanted)
    came, seconds, said = act(waited(cloud, wanted))
    assert came
    assert 200 <= seconds < TAKES_S
    (note,) = said
    assert ("stand before it" in note, "leave it" in note, "10 min at most" in note) == (
        wanted,
        not wanted,
        True,
    )


def test_one_that_never_learns_of_it_is_not_waited_for_without_end() -> None:
    cloud = cloud_of(10 * TAKES_S, enabled=False)
    turned(cloud, True)
    came, seconds, said = act(waited(cloud, True))
    assert not came
    assert TAKES_S <= seconds < 2 * TAKES_S
    assert "has not come" in said[-1]


def came_of(answers: list[bool | NetworkError], wanted: bool = True) -> tuple[bool, int]:
    """Whether it came by these answers, the last of which is given on and on, and how many were asked for."""
    asked = 0

    async def answer() -> bool:
        nonlocal asked
        one = answers[min(asked, len(answers) - 1)]
        asked += 1
        if isinstance(one, NetworkError):
            raise one
        return one

    async def work() -> bool:
        async with google_for(Cloud()) as google:
            return await wait_until_it_stands(google, "it", wanted, answer)

    return act(work()), asked


def test_front_ends_that_learn_one_after_another_are_not_taken_for_all_of_them() -> None:
    assert came_of([False, True, True, False, True, True, True, False]) == (True, 7)


def test_a_connection_that_breaks_while_it_is_waited_for_is_no_end_of_the_wait() -> None:
    broken = NetworkError("cut")
    assert came_of([False, broken, True, broken, True, True, True]) == (True, 7)
    assert came_of([broken]) == (False, 1), "where nothing answers at all the checks tell"


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_of_the_proxy_is_told_from_those_of_others(answer: MaybeOfIap) -> None:
    assert is_answer_of_iap(answer.status, answer.headers) is answer.is_of_iap
