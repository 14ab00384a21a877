"""`homeport wake`: one token awaited, then asks that keep an endpoint awake, with the price running."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from homeport.endpoint.wake import ASK_EVERY_S, Wakefulness
from homeport.errors import EndpointError, HomeportError
from homeport.progress import Silent
from private_service import MODEL, Service, reached


@dataclass
class Skipping:
    """A clock on which a pause is over at once."""

    time: float = 0.0
    asked: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    async def pause(self, seconds: float) -> None:
        self.asked.append(self.time)
        self.time += seconds
        await asyncio.sleep(0)

    def sleep(self, seconds: float) -> None:
        self.time += seconds


class Told(Silent):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def woken(service: Service, within_s: float = 0.0, *, model: str = MODEL) -> tuple[Wakefulness, Told]:
    told = Told()

    async def scene() -> Wakefulness:
        async with reached(service) as endpoint:
            vigil = Wakefulness(
                endpoint=replace(endpoint, model=model), usd_per_hour=1.2, clock=Skipping(), progress=told
            )
            await vigil.wake()
            if within_s:
                await vigil.keep(within_s)
            return vigil

    return asyncio.run(scene()), told


def test_a_service_that_starts_from_zero_is_waited_for_until_its_token() -> None:
    service = Service()
    service.starting.extend([503, 429])
    vigil, _ = woken(service)
    assert service.asked == 3
    assert vigil.result is not None
    assert (vigil.result.requests, vigil.result.failed) == (1, 0)


def test_it_is_asked_once_a_minute_until_then_and_told_what_that_has_cost() -> None:
    service = Service()
    vigil, told = woken(service, within_s=3600.0)
    assert vigil.result is not None
    assert vigil.result.requests == service.asked == 3600 / ASK_EVERY_S
    assert vigil.result.usd == pytest.approx(1.2)
    assert len(told.notes) == 11, "every five minutes"
    assert "about $1.10 so far for one instance at $1.2000 an hour" in told.notes[-1]


def test_an_ask_that_fails_is_told_and_the_next_one_goes_on() -> None:
    service = Service()
    service.starting.extend([200, 500])
    vigil, told = woken(service, within_s=180.0)
    assert vigil.result is not None
    assert (vigil.result.requests, vigil.result.failed) == (3, 1)
    assert told.notes[0].startswith("one ask failed")


def test_where_the_last_ask_failed_so_does_the_command() -> None:
    service = Service()
    service.starting.extend([200, 200, 500])
    with pytest.raises(EndpointError):
        woken(service, within_s=180.0)


def test_a_model_that_nobody_named_is_the_one_that_the_service_lists() -> None:
    service = Service()
    vigil, _ = woken(service, model="")
    assert vigil.endpoint.model == "of-the-engine"


def test_somebody_who_may_not_call_it_is_told_so() -> None:
    service = Service()
    service.lets_in = False
    with pytest.raises(HomeportError, match="403"):
        woken(service)
