"""`homeport list`, and `down` of an endpoint whose file is not here: the command line, over a rehearsed project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cloud import act, enable
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.faults import Fault
from homeport import cli
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.resources.google.traffic import Body, Receipt
from homeport.targets.cloudrun.companions import Companion
from places import TAUGHT
from second_service import AGENT
from user import User
from ways import REGION, Carrying, wanted


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """A rehearsed project in which `home` is up, and that the command line comes to; no file lies in the folder."""
    made = Cloud(delays=AT_ONCE, steps=Carrying())
    enable(made, "run", "compute", "storage", "secretmanager", "iam", "dns", "artifactregistry")
    named: list[str] = []

    async def from_env(env: Mapping[str, str], *, project: str = "", **_: object) -> Google:
        named.append(project)
        door = google_for(made)
        door.project = project or env.get("GOOGLE_CLOUD_PROJECT", "")
        return door

    monkeypatch.setattr("homeport.google.from_env", from_env)
    monkeypatch.setattr("homeport.sync.run", act)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "rehearsal")
    folder = tmp_path / "weights"
    folder.mkdir()
    up(made, folder, "home", REGION)
    return made


def up(cloud: Cloud, folder: Path, name: str, region: str, companions: tuple[Companion, ...] = ()) -> None:
    wish = wanted("ollama", folder, name=name, cloudrun={"region": region}, access={"callers": []})

    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at="2026-11-28T04:00:00Z", passed=True, counts={"passed": 20})

    async def work() -> None:
        async with google_for(cloud) as google:
            target = replace(wish.target(google, prove), companions=companions)
            await apply(await make_plan(name, "cloudrun", target.resources()), Silent())

    act(work())


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert cli.run(list(words)) == code
    said = capsys.readouterr()
    return said.out, said.err


def data(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:  # Any: JSON
    return json.loads(run(capsys, *words, "--json", code=code)[0])


def test_list_shows_what_a_project_has_without_a_file(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    header, line = run(capsys, "list", "--on", "cloudrun")[0].splitlines()
    assert header.split() == [
        "NAME",
        "REGION",
        "STATE",
        "MODEL",
        "REVISION",
        "TRAFFIC",
        "INSTANCES",
        "COST/H",
        "VERIFIED",
    ]
    name, region, state, model, revision, *rest = line.split()
    assert (name, region, state, model) == ("home", REGION, "ready", "gemma-4-taught")
    assert revision.startswith("home-")
    assert rest == ["100", "%", "0", "to", "1", "$1.05", "2026-11-28T04:00:00Z"]
    (one,) = data(capsys, "list", "--on", "cloudrun")["endpoints"]
    assert one["other"] == [
        "bucket rehearsal-home-weights",
        "network home",
        "private zone home-googleapis-com",
        "private zone home-pkg-dev",
        "private zone home-run-app",
        f"repository home in {REGION}",
        f"repository home-docker-io in {REGION}",
    ]


def test_a_second_service_is_shown_as_a_part_of_its_endpoint_and_goes_with_it(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    up(cloud, tmp_path / "weights", "home", REGION, (AGENT,))
    out, err = run(capsys, "list", "--on", "cloudrun")
    agent = f"service home-agent in {REGION} (agent, ready, $0.07 an hour while it runs)"
    assert len([line for line in out.splitlines() if line.startswith("home")]) == 1
    assert f"of home there is also: {agent}, bucket rehearsal-home-weights" in " ".join((out + err).split())
    Path("homeport.toml").write_text(
        f'name = "home"\nmodel = "gemma-4-e2b"\n[cloudrun]\nregion = "{REGION}"\n'
    )
    assert f"beside it {agent}" in " ".join(run(capsys, "status", "--on", "cloudrun")[0].split())
    assert [part["role"] for part in data(capsys, "status", "--on", "cloudrun")["parts"]] == ["agent"]
    gone = run(capsys, "down", "home", "--on", "cloudrun", "--yes")[0]
    assert gone.index("removed service home-agent") < gone.index("removed service home\n")


def test_list_and_down_take_the_project_from_the_option(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GOOGLE_CLOUD_PROJECT")
    for words in (("list",), ("down", "home", "--yes")):
        assert "no project is named" in run(capsys, *words, "--on", "cloudrun", code=10)[1]
    assert "home" in run(capsys, "list", "--on", "cloudrun", "--project", "rehearsal")[0]
    assert (
        "removed service home"
        in run(capsys, "down", "home", "--yes", "--on", "cloudrun", "--project", "rehearsal")[0]
    )


def test_list_of_what_cannot_all_be_read_says_so_and_fails(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.faults.append(Fault(method="storage.buckets.list", status=403, times=10))
    out, err = run(capsys, "list", "--on", "cloudrun", code=27)
    assert "home" in out
    assert "not known, could not be read: buckets: " in err
    assert data(capsys, "list", "--on", "cloudrun", code=27)["unread"][0].startswith("buckets: ")


def test_list_says_which_kinds_it_did_not_look_for_and_what_to_do(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    err = " ".join(run(capsys, "list", "--on", "cloudrun")[1].split())
    assert "not looked for: endpoint groups, " in err
    assert "do: `homeport down NAME --on cloudrun` beside a file that has their table looks for them" in err
    (one,) = [
        one for one in data(capsys, "list", "--on", "cloudrun")["not_looked_for"] if one["kind"] == "jobs"
    ]
    assert (one["where"], "gcloud run jobs list" in one["do"], "down" in one["do"]) == ("", True, False)


def test_down_by_name_needs_no_file_and_asks_first(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    refused = run(capsys, "down", "home", "--on", "cloudrun", code=23)[1]
    assert "- service/home" in refused
    assert f"  region   {REGION}" in refused
    assert "removed service home" in run(capsys, "down", "home", "--on", "cloudrun", "--yes")[0]
    (left,) = data(capsys, "list", "--on", "cloudrun")["endpoints"]
    assert (left["state"], left["other"]) == ("no service", ["bucket rehearsal-home-weights"])
    run(capsys, "down", "home", "--on", "cloudrun", "--yes", "--purge")
    empty = data(capsys, "list", "--on", "cloudrun")
    assert (empty["endpoints"], empty["unread"]) == ([], [])
    assert "no endpoint was found" in run(capsys, "list", "--on", "cloudrun")[1]
    assert "no endpoint called home is in" in run(capsys, "down", "home", "--on", "cloudrun", code=20)[1]


def test_after_a_new_name_in_the_file_down_tells_of_the_endpoint_with_the_old_one(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("homeport.toml").write_text(
        'name = "house"\nmodel = "gemma-4-e2b"\n[cloudrun]\nregion = "europe-west4"\n'
    )
    out, err = run(capsys, "down", "--on", "cloudrun", "--yes")
    assert out.strip() == "nothing of house is there; nothing to remove"
    assert "other endpoints in rehearsal: home; `homeport list --on cloudrun`" in err
    assert "removed service home" in run(capsys, "down", "home", "--on", "cloudrun", "--yes")[0]


def test_after_a_new_region_in_the_file_status_and_down_find_what_is_in_the_old_one(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("homeport.toml").write_text(
        'name = "home"\nmodel = "gemma-4-e2b"\n[cloudrun]\nregion = "europe-west4"\n'
    )
    shown = data(capsys, "status", "--on", "cloudrun")
    assert (shown["region"], shown["state"], shown["also_in"], shown["unread"]) == (REGION, "ready", [], [])
    assert f"region    {REGION}" in run(capsys, "status", "--on", "cloudrun")[0]
    assert "removed service home" in run(capsys, "down", "--on", "cloudrun", "--yes")[0]
    assert "is not deployed" in run(capsys, "status", "--on", "cloudrun", code=32)[1]


def test_down_that_could_not_look_everywhere_does_not_say_that_nothing_is_left(
    cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.faults.append(Fault(method="run.projects.locations.services.list", status=403, times=100))
    _, err = run(capsys, "down", "home", "--on", "cloudrun", "--yes", code=27)
    assert "left: nothing" not in err
    assert "it is not known whether anything of home is left" in err


def test_list_shows_what_runs_here(user: User) -> None:
    assert user.run("list", "--json").json == {"endpoints": [], "unread": [], "not_looked_for": []}
    user.write(f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n')
    user.run("up", "--yes", "--no-verify")
    (one,) = user.run("list", "--json").json["endpoints"]
    assert (one["name"], one["on"], one["region"], one["state"]) == ("home", "local", "", "ready")
    assert one["url"].startswith("http://127.0.0.1:")
    assert (one["engine"], one["usd_per_hour"], one["verified"]) == ("llamacpp", None, None)
    assert user.run("list").out.splitlines()[1].split()[:3] == ["home", "here", "ready"]
