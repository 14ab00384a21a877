"""Waiting: every wait of homeport's goes by one policy, which needs no real time to be tested."""

from __future__ import annotations

import ast
import asyncio
import logging
from dataclasses import dataclass, field, replace

import pytest

from homeport.backoff import UNTIL_STOPPED, Backoff
from homeport.google.retry import looks
from source_tree import HOMEPORT, name, tree, within

WAIT_FOR_THEMSELVES = {
    "homeport.backoff": "the policy",
    "homeport.cli.top": "looks again at the times that its user asked for",
    "homeport.console.views": "looks again for as long as a page is open",
    "homeport.bench.connection": "no wait: lets the loop run once",
    "homeport.bench.load": "sends at the times of its load, and looks how late it is",
    "homeport.endpoint.auth": "an HTTP client's two flows, in which the server says how long",
    "homeport.targets.local.lifecycle": "a log of this machine that a thread follows for ever",
    "homeport.reconcile.interrupts": "no wait: lets the loop run once",
    "homeport.supervisor": "a process of its own that is to stay small",
    "homeport.targets.cloudrun.verification.cold_start_check": "leaves something alone, and looks at nothing",
    "homeport.weights.download": "sends again what failed",
    "homeport.weights.transfer": "runs in Cloud Build with nothing of homeport's",
}
"""Modules that may sleep otherwise, and why."""


@dataclass
class Made:
    """A clock that is told how late it is, and that keeps what it was asked to let pass."""

    time: float = 0.0
    passed: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.time

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        self.passed.append(seconds)
        self.time += seconds


async def all_of(wait: Backoff) -> None:
    while await wait.pause():
        pass


def test_pauses_grow_to_the_longest_and_end_with_the_time_for_them() -> None:
    clock = Made()
    asyncio.run(all_of(Backoff(what="it", within=20, first=1, factor=2, longest=5, clock=clock)))
    assert clock.passed == [1, 2, 4, 5, 5, 5]


def test_a_wait_without_time_does_not_pause_once() -> None:
    clock = Made()
    assert asyncio.run(Backoff(what="it", within=0, first=5, clock=clock).pause()) is False
    assert clock.passed == []


def test_a_thread_waits_by_the_same_policy() -> None:
    clock = Made()
    wait = Backoff(what="it", within=3, first=1, clock=clock)
    while wait.sleep():
        pass
    assert clock.passed == [1, 1, 1]


def test_the_time_of_a_look_is_part_of_the_pause_where_it_shall_be() -> None:
    async def waited(counts: bool, took: float) -> list[float]:
        clock = Made()
        wait = Backoff(what="it", within=UNTIL_STOPPED, first=2, counts_looks=counts, clock=clock)
        clock.time += took
        await wait.pause()
        return clock.passed

    assert asyncio.run(waited(True, 0.5)) == [1.5]
    assert asyncio.run(waited(True, 9)) == [0]
    assert asyncio.run(waited(False, 9)) == [2]


def test_looks_at_google_are_ten_seconds_apart_at_most() -> None:
    async def waited() -> list[float]:
        clock = Made()
        await all_of(replace(looks("an operation", 600), clock=clock))
        return clock.passed

    pauses = asyncio.run(waited())
    assert 0.4 <= pauses[0] <= 0.6
    assert 8 <= pauses[-1] <= 12
    assert 600 <= sum(pauses) <= 612


def test_a_wait_says_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="homeport.backoff")
    asyncio.run(all_of(Backoff(what="the service to settle", within=1, first=1, clock=Made())))
    assert caplog.messages == [
        "waiting for the service to settle", "no longer waiting for the service to settle, after 1 s"
    ]  # fmt: skip


def test_nobody_waits_by_a_policy_of_his_own() -> None:
    sleeps = {
        name(path)
        for path in HOMEPORT
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in {"asyncio", "time"}
    }
    assert not {module for module in sleeps if not within(module, *WAIT_FOR_THEMSELVES)}
