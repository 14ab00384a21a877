"""One file, up on a rehearsed Cloud Run: a real engine behind a real front end, verified before it serves, and gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands_on_cloudrun import FILE, OnCloudRun
from gcloud import needs_gcloud, served
from places import TAUGHT
from schemas import ensure_valid
from user import User


@pytest.fixture
def cloud(user: User, tmp_path: Path) -> Iterator[OnCloudRun]:
    with served(tmp_path, "--inside", "0") as rehearsal:
        yield OnCloudRun(user, rehearsal)


def variables_are_those_of_the_proxy_that_runs(cloud: OnCloudRun, service: str) -> None:
    without = cloud.run("env", code=20)
    assert "no proxy of yours" in without.err
    assert without.out == ""
    clients = cloud.proxied_env()
    key = clients.json["OPENAI_API_KEY"]
    assert key.startswith("hp-")
    assert clients.json == {"OPENAI_BASE_URL": clients.json["proxy"], "OPENAI_API_BASE": clients.json["proxy"], "OPENAI_API_KEY": key, "OPENAI_MODEL": "first",
                            "proxy": clients.json["proxy"], "service": service}  # fmt: skip
    assert "while `homeport proxy` runs" in clients.err


def stranger_and_cold_start(cloud: OnCloudRun, report: Any) -> None:  # Any: JSON
    """What needs a grant of its own is skipped with that grant, and made with it; so is a start from zero measured."""
    (before,) = [result for result in report["results"] if result["name"] == "stranger"]
    grant = re.search(
        r"you@example.com may have no token .*: gcloud (iam .*OpenIdTokenCreator)$", before["detail"]
    )
    assert before["outcome"] == "skipped"
    assert grant, before["detail"]
    cloud.rehearsal.gcloud(*grant[1].split())
    wanted = ("--only", "stranger", "--cold", "--idle", "2")
    found = {one["name"]: one for one in cloud.run("verify", *wanted, "--json").json["results"]}
    outcomes = {name: one["outcome"] for name, one in found.items()}
    assert outcomes == {"stranger": "passed", "cold": "passed"}, found
    assert "demo-build@rehearsal.iam.gserviceaccount.com" in found["stranger"]["detail"]
    assert found["cold"]["evidence"]["measured"]
    expected = found["cold"]["evidence"]["budget"]["text"]
    assert f"a start from zero is expected to take {expected}" in cloud.proxy()


def for_another_audience(cloud: OnCloudRun, report: Any) -> None:  # Any: JSON
    """A person's token has gcloud's audience, whatever was asked for; an account's shows that another is refused."""
    (before,) = [result for result in report["results"] if result["name"] == "audience"]
    assert before["outcome"] == "skipped"
    assert "gcloud's own audience" in before["detail"]
    account = "demo-carry@rehearsal.iam.gserviceaccount.com"
    owner = ("rehearsal", f"--member=serviceAccount:{account}", "--role=roles/owner", "--condition=None")
    cloud.rehearsal.gcloud("projects", "add-iam-policy-binding", *owner)
    (found,) = cloud.run("verify", "--only", "audience", "--json", caller=account).json["results"]
    assert found["outcome"] == "passed", found
    cloud.rehearsal.gcloud("projects", "remove-iam-policy-binding", *owner)


def who_may_only_call_it_wakes_it_too(cloud: OnCloudRun) -> None:
    assert cloud.asked_by("friend@example.com") == 200
    assert cloud.asked_by("stranger@example.com") == 403
    refused = cloud.run("chat", "hi", code=35, caller="friend@example.com").err
    assert "run.services.get" in refused, "who may only call it uses `homeport proxy --url`"
    address = cloud.status["url"].removesuffix("/v1")
    woken = cloud.run("wake", "--url", address, caller="friend@example.com")
    assert "its token came after" in woken.out + woken.err
    refused = cloud.run("wake", "--url", address, code=22, caller="stranger@example.com").err
    assert "you are stranger@example.com, who lacks roles/run.invoker" in refused


def a_model_that_does_not_load_changes_nothing(cloud: OnCloudRun) -> None:
    before = cloud.status["traffic"]
    broken = cloud.user.folder / "broken.gguf"
    whole = TAUGHT.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    failed = cloud.run("swap", "file:./broken.gguf", "--yes", code=None)
    assert failed.code not in {0, 1}
    assert "   do: " in failed.err
    assert "first.gguf" in (cloud.user.folder / "homeport.toml").read_text(), "the file stays as it was"
    assert (cloud.status["traffic"], cloud.status["model"]) == (before, "first")
    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out


@needs_gcloud
def test_the_whole_life_of_an_endpoint_with_its_model_in_the_image(cloud: OnCloudRun) -> None:
    planned = cloud.run("plan", "--json").json
    ensure_valid("plan", planned)
    assert {action["kind"] for action in planned["actions"]} == {"create", "update"}
    assert planned["facts"]["weights"]["delivery"] == "baked"
    assert cloud.run("status", code=32).err.startswith("error: demo is not deployed")

    came = cloud.run("up", "--yes", "--json").json
    ensure_valid("up", came)
    ensure_valid("status", cloud.status)
    ensure_valid("list", cloud.run("list", "--json").json)
    assert came["report"]["passed"]
    outcomes = {result["name"]: result["outcome"] for result in came["report"]["results"]}
    assert {outcomes[name] for name in ("chat", "tools", "no-token", "image", "size")} == {"passed"}
    assert cloud.run("plan", "--json").json["changes_pending"] is False
    assert "nothing to do" in cloud.run("up", "--yes").err

    variables_are_those_of_the_proxy_that_runs(cloud, came["endpoint"]["base_url"])
    stranger_and_cold_start(cloud, came["report"])
    assert "Paris" in cloud.run("chat", "What is the capital of France?", "--temperature", "0").out
    for_another_audience(cloud, came["report"])
    who_may_only_call_it_wakes_it_too(cloud)

    cloud.rehearsal.gcloud("run", "services", "update", "demo", "--region=europe-west4", "--timeout=77")
    assert "timeout: 77s → 900s" in cloud.run("plan").out
    cloud.run("up", "--yes")
    assert cloud.run("plan", "--json").json["changes_pending"] is False

    a_model_that_does_not_load_changes_nothing(cloud)
    (first,) = cloud.status["traffic"]
    assert cloud.run("plan", "--model", "file:./second.gguf", "--json").json["changes_pending"]
    swapped = cloud.run("swap", "file:./second.gguf", "--yes", "--canary", "50").err
    assert 'model = "file:./second.gguf"' in (cloud.user.folder / "homeport.toml").read_text()
    assert swapped.count("a chat gets an answer") == 2, "before it has traffic, and with half of it"
    assert set(cloud.status["traffic"]) != {first}
    assert cloud.status["model"] == "second"
    rolled = cloud.run("rollback", "--json").json
    ensure_valid("rollback", rolled)
    assert rolled["serving"] == first
    assert (cloud.status["traffic"], cloud.status["model"]) == ({first: 100}, "first")
    assert "print_timing" in cloud.run("logs", "-n", "100").out

    unsaid = cloud.run("down", code=23).err
    assert "- service/demo" in unsaid
    assert "- bucket" not in unsaid
    assert cloud.run("status", "--json").json["state"] == "ready"
    ended = cloud.run("down", "--yes", "--json")
    ensure_valid("down", ended.json)
    assert "left: nothing" in ended.err
    assert "removed bucket" in cloud.run("down", "--yes", "--purge").out
    assert cloud.run("down", "--yes", "--purge").out.strip().startswith("nothing of demo is there")


@pytest.mark.long
def test_an_isolated_endpoint_is_proven_from_within_its_network_and_says_so_to_whoever_is_outside(
    cloud: OnCloudRun,
) -> None:
    cloud.user.write(FILE + "isolated = true\n")
    outside = cloud.run("up", "--yes", code=3).err
    assert "from here it answers 404" in outside
    assert "within the network demo" in outside
    assert cloud.run("up", "--yes", "--json", inside=True).json["report"]["passed"]
    report = cloud.run("verify", "--cold", "--json", code=3).json
    outcomes = {one["name"]: one["outcome"] for one in report["results"]}
    assert {name for name, outcome in outcomes.items() if outcome == "failed"} == {"reached"}
    assert outcomes["chat"] == outcomes["cold"] == "skipped"
    assert outcomes["no-token"] == outcomes["around"] == outcomes["image"] == "passed"
