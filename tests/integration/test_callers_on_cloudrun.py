"""
Who asked a rehearsed endpoint, and how much: each caller with a token of his own, one who wants to be taken for another, and a service
that somebody opened by hand. A real Prometheus measures in the sidecar's place. `make test-observe` runs this.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commands_on_cloudrun import FILE
from gcloud import served
from gcp_rehearsal.cloud import OWNER
from identity_headers import bearer
from observed_by_commands import Observed, until_observed
from prometheus import program
from user import User

pytestmark = [pytest.mark.observe, pytest.mark.lasts(52)]

FRIEND, COLLEAGUE = "friend@example.com", "colleague@example.com"
CALLED = (
    FILE.replace(f'["user:{FRIEND}"]', f'["user:{FRIEND}", "user:{COLLEAGUE}"]')
    + """
[observe]
callers = true
"""
)
SERVERLESS = "x-serverless-authorization"


@pytest.fixture
def cloud(user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observed]:
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10") as rehearsal:
        made = Observed(user, rehearsal)
        user.write(CALLED)
        yield made


class Callers:
    """Those who ask, and what their answers said that it took."""

    def __init__(self, cloud: Observed, host: str) -> None:
        self._cloud, self._host = cloud, host
        self.took: dict[str, list[int]] = {}

    def ask(self, who: str, words: str, **headers: str) -> None:
        """Ask with these headers; the answer counts as what `who` took."""
        body = {"model": "first", "messages": [{"role": "user", "content": words}], "max_tokens": 6}
        with httpx2.Client(base_url=self._cloud.rehearsal.url, trust_env=False, timeout=120) as client:
            came = client.post("/v1/chat/completions", json=body, headers={"host": self._host, **headers})
        assert came.status_code == 200, came.text
        usage = came.json()["usage"]
        took = self.took.setdefault(who, [0, 0, 0])
        for place, count in enumerate((1, usage["prompt_tokens"], usage["completion_tokens"])):
            took[place] += count

    def own(self, who: str) -> str:
        return f"Bearer {self._cloud.rehearsal.id_token(who)}"


def rows(cloud: Observed) -> dict[str, Any]:  # Any: JSON
    return {one["key"]: one for one in cloud.run("usage", "demo", "--by", "caller", "--json").json}


def believed(seen: dict[str, Any]) -> str | None:
    """What a look came to that tried whether a made-up name is believed; None where it was not tried."""
    return str(seen["callers' names"]["verdict"]) if "callers' names" in seen else None


def figures(row: Any) -> list[float]:
    return [row["requests"], row["prompt_tokens"], row["output_tokens"]]


def test_each_caller_has_what_his_answers_took_and_nobody_counts_as_another(cloud: Observed) -> None:
    planned = cloud.run("plan", "--json").json
    assert planned["facts"]["observe"]["callers_usd_per_day"] > 0
    assert "sees who asked" in cloud.run("plan").out
    report = cloud.run("up", "--yes", "--json").json["report"]
    assert report["passed"], report
    host = cloud.status["url"].removeprefix("https://").removesuffix("/v1")
    for who in (FRIEND, COLLEAGUE):  # A grant takes its time to be known everywhere.
        until_observed(partial(cloud.asked_by, who), lambda status: status == 200)
    callers = Callers(cloud, host)
    for words in ("Hello", "What is the capital of France?", "And of Italy?"):
        callers.ask(FRIEND, words, authorization=callers.own(FRIEND))
    callers.ask(COLLEAGUE, "Hello", authorization=callers.own(COLLEAGUE))
    # Who shows his own token in the one header may write whatever he likes into the other.
    forged = bearer(FRIEND)["authorization"]
    callers.ask(COLLEAGUE, "Hi", authorization=forged, **{SERVERLESS: callers.own(COLLEAGUE)})

    def arrived(found: dict[str, Any]) -> bool:
        # A request is counted before its tokens are, and each is read by itself.
        pairs = [(figures(found[who]), took) for who, took in callers.took.items() if who in found]
        return len(pairs) == len(callers.took) and all(
            (one or 0) >= two for seen, took in pairs for one, two in zip(seen, took, strict=True)
        )

    found = until_observed(lambda: rows(cloud), arrived)
    assert {who: figures(found[who]) for who in callers.took} == callers.took
    assert all(found[who]["partly"] == [] for who in callers.took)
    assert set(found) - set(callers.took) <= {OWNER, "not known"}, (
        "`verify` asked as whoever deployed it, and looked"
    )
    text = cloud.run("usage", "--by", "caller", "--csv").out
    assert f"{FRIEND},demo,cloudrun,3," in text

    until_observed(cloud.asked_and_looked, lambda seen: believed(seen) == "ok")

    # Somebody opens it by hand: from then on a name says nothing.
    path = f"v2/projects/rehearsal/locations/{found[FRIEND]['region']}/services/demo"
    cloud.google("PATCH", "run", f"{path}?updateMask=invokerIamDisabled", {"invokerIamDisabled": True})
    callers.ask(FRIEND, "I am your friend", authorization=forged)
    opened = cloud.run("usage", "demo", "--by", "caller", "--json")
    assert {one["key"] for one in opened.json} == {"not known"}
    assert "it is open to everybody" in opened.err
    assert FRIEND not in opened.out + opened.err
    assert "left: nothing" in cloud.run("down", "--yes", "--purge").err


def test_where_cloud_run_takes_the_token_away_that_it_looked_at_a_look_says_that_names_are_not_to_be_believed(
    user: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(program('prometheus')).parent}{os.pathsep}{os.environ['PATH']}")
    with served(tmp_path, "--speed", "10", "--strip-proof") as rehearsal:
        cloud = Observed(user, rehearsal)
        user.write(CALLED)
        cloud.run("up", "--yes", "--json")
        until_observed(partial(cloud.asked_by, COLLEAGUE), lambda status: status == 200)
        host = cloud.status["url"].removeprefix("https://").removesuffix("/v1")
        callers = Callers(cloud, host)
        # He shows his own token, which is taken away, and whom he names beside it is all that comes through.
        stolen = bearer("boss@example.com")["authorization"]
        callers.ask("boss@example.com", "Hi", authorization=stolen, **{SERVERLESS: callers.own(COLLEAGUE)})
        until_observed(lambda: rows(cloud), lambda found: "boss@example.com" in found)
        seen = until_observed(cloud.asked_and_looked, lambda seen: believed(seen) is not None)
        assert believed(seen) == "failed", seen["callers' names"]
