"""The exported script over what an earlier run left: broken, changed, stopped in the middle, refused, not seen yet."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployment import NAME, PROJECT, REGION, deployment, google_for
from exporting import There, pending, there
from gcloud import NEEDS_GCLOUD
from gcp_rehearsal.apis.cloudbuild.step import Ran
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.cloud import Cloud
from gcp_rehearsal.faults import Fault
from gcp_rehearsal.runtime.container_runtime import Willing
from gcp_rehearsal.runtime.container_state import Failure
from homeport.errors import OperationFailed
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan

pytestmark = NEEDS_GCLOUD
Json = Any  # Any: JSON
SERVICE = f"v2/projects/{PROJECT}/locations/{REGION}/services/{NAME}"
KILLED = """#!/bin/sh
{gcloud} "$@"; code=$?
# As if the machine went off: the script is gone after that command.
case "$*" in {after}) kill -9 "$(ps -o ppid= -p $PPID | tr -d ' ')" $PPID ;; esac
exit $code
"""


@pytest.fixture
def here(tmp_path: Path, gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[There]:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")
    with there(tmp_path) as here:
        yield here


class UntilFound(Acted):
    """Builds that go on until somebody has looked for a build that is under way, twice."""

    def run(self, cloud: Any, step: Any) -> Any:  # Any: as the rehearsal calls it
        return Going(cloud)


class Going:
    """One step of such a build."""

    seconds = 1.0

    def __init__(self, cloud: Any) -> None:  # Any: the rehearsal's
        self._cloud = cloud

    def fresh(self) -> list[str]:
        return []

    def poll(self) -> Ran | None:
        looked = [one for one in self._cloud.log if one.method == "cloudbuild.projects.locations.builds.list"]
        return Ran(lines=["done"]) if len(looked) > 1 else None

    def stop(self) -> None:
        return


def part(here: There, *titles: str) -> None:
    """Write of the script what all of it begins with, and some things: gcloud takes a second for each of the others."""
    files = here.exported("gcloud")
    begin, *blocks = files["deploy.sh"].split("\n\n# ")
    first = next(place for place, block in enumerate(blocks) if block.startswith("9 APIs"))
    chosen = [block for block in blocks[first:] if block.startswith(titles)]
    assert len(chosen) == len(titles)
    text = "\n\n# ".join([begin, *blocks[:first], *chosen])
    here.write({**files, "deploy.sh": f"{text}\nfinish\n"})


def service_of(here: There) -> Json:
    (kept,) = [one for one in here.cloud.store.of("run") if one.collection.endswith("services")]
    return kept.body


def up(here: There) -> None:
    async def work() -> None:
        async with google_for(here.cloud) as google:
            await apply(await make_plan(NAME, "cloudrun", deployment(google)), Silent())

    asyncio.run(work())


def test_over_a_service_that_does_not_start_it_says_so_and_once_it_can_start_deploys_it_again(
    here: There,
) -> None:
    containers = here.cloud.containers
    assert isinstance(containers, Willing)
    containers.failing["serving"] = Failure(
        message="it ends at once", revision_reason="HEALTH_CHECK_CONTAINER_ERROR"
    )
    with pytest.raises((OperationFailed, ExceptionGroup)):
        up(here)
    broken = service_of(here)["latestCreatedRevision"]
    part(here, f"service {NAME}\n")
    said = here.run("bash", "deploy.sh", code=1)
    assert re.search("is as the file says, and not ready: .* it ends at once", said.err)
    assert "error: this failed: gcloud run services replace" in said.err
    containers.failing.clear()
    here.run("bash", "deploy.sh")
    now = service_of(here)
    assert now["terminalCondition"]["state"] == "CONDITION_SUCCEEDED"
    assert now["latestReadyRevision"] != broken
    assert not [one for one in pending(here.plan()) if " service/" in one]


def test_a_service_that_somebody_changed_is_deployed_as_the_file_says_while_who_serves_goes_on(
    here: There,
) -> None:
    up(here)
    before = service_of(here)
    serves = before["latestReadyRevision"].rpartition("/")[2]

    async def change() -> None:
        async with google_for(here.cloud) as google:
            live = await google.get("run", SERVICE)
            live["template"]["containers"][0]["args"] = ["--more"]
            live["template"]["containers"][0].setdefault("env", []).append(
                {"name": "SOMEBODY", "value": "was here"}
            )
            pin = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": serves, "percent": 100}
            told = {**live.get("annotations", {}), "homeport/receipts": '{"a|b & c":"it\'s"}'}
            await google.patch("run", SERVICE, {**live, "traffic": [pin], "annotations": told})

    asyncio.run(change())
    assert [one for one in pending(here.plan()) if " service/" in one]
    part(here, f"service {NAME}\n")
    said = here.run("bash", "deploy.sh").err
    assert f"~ service {NAME} differs:" in said
    assert "has spec.template.spec.containers[0].env[" in said
    now = service_of(here)
    assert [(one["revision"], one["percent"]) for one in now["trafficStatuses"] if one.get("percent")] == [
        (serves, 100)
    ]
    assert now["annotations"]["homeport/receipts"] == '{"a|b & c":"it\'s"}'
    assert not [one for one in pending(here.plan()) if " service/" in one]
    generation = now["generation"]
    assert "is ready, as the file says; left as it is" in here.run("bash", "deploy.sh").err
    assert service_of(here)["generation"] == generation


def test_stopped_while_a_build_is_under_way_it_waits_for_that_build_and_submits_no_other(
    here: There, tmp_path: Path, gcloud_folder: Path
) -> None:
    asyncio.run(_all_before(here.cloud, "image/"))
    here.cloud.steps, here.cloud.clock.speed = UntilFound(), 10.0
    part(here, "image serving:")
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "gcloud"
    shim.write_text(KILLED.format(gcloud=gcloud_folder / "gcloud", after='"builds submit"*'))
    shim.chmod(0o755)
    stopped = here.run(
        "bash", "-c", "bash deploy.sh; echo $?", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    )
    assert stopped.out.split()[-1] == "137"
    assert len(list(here.cloud.store.of("cloudbuild", "cloudbuild.projects.locations.builds"))) == 1
    said = here.run("bash", "deploy.sh").err
    assert "is under way already" in said
    (build,) = here.cloud.store.of("cloudbuild", "cloudbuild.projects.locations.builds")
    assert build.body["status"] == "SUCCESS"
    assert "image/serving" not in " ".join(pending(here.plan()))


def test_stopped_between_two_commands_for_one_thing_it_does_the_second_and_leaves_the_rest(
    here: There,
) -> None:
    asyncio.run(_all_before(here.cloud, "bucket/"))
    here.run(
        "gcloud",
        "storage",
        "buckets",
        "create",
        f"gs://{PROJECT}-{NAME}-weights",
        f"--location={REGION}",
        "--uniform-bucket-level-access",
    )
    here.run(
        "gcloud",
        "artifacts",
        "repositories",
        "create",
        NAME,
        f"--location={REGION}",
        "--repository-format=python",
    )
    part(here, f"bucket {PROJECT}-{NAME}-weights\n", f"repository {NAME}\n")
    said = here.run("bash", "deploy.sh", code=1).err
    assert "wanted labels.homeport: home" in said
    assert "wanted iamConfiguration.publicAccessPrevention: enforced" in said
    assert f"! repository {NAME}: is there, and left as it is, though it differs:" in said
    assert "wanted format: DOCKER" in said
    assert said.strip().endswith(
        "error: 1 things that were there differ from the file, and were left: see the lines with !"
    )
    (kept,) = [one.body for one in here.cloud.store.of("storage") if one.collection.endswith("buckets")]
    assert kept["labels"] == {"homeport": NAME}
    assert kept["iamConfiguration"]["publicAccessPrevention"] == "enforced"


def test_what_one_may_not_see_is_not_taken_for_something_that_is_not_there(here: There) -> None:
    asyncio.run(_all_before(here.cloud, "network/"))
    part(here, f"network {NAME}\n")
    stranger = here.cloud.token("stranger@example.com")
    said = here.run("bash", "deploy.sh", code=1, CLOUDSDK_AUTH_ACCESS_TOKEN=stranger).err
    assert "compute.networks.get" in said
    assert "error: whether it is there, Google does not say: gcloud compute networks describe" in said
    assert "+ gcloud" not in said, "nothing was tried to be made"
    assert "waiting" not in said, "nobody was granted anything that is not seen yet"


def test_what_google_is_too_busy_to_say_is_asked_again_and_what_it_refuses_is_not(here: There) -> None:
    asyncio.run(_all_before(here.cloud, "network/"))
    part(here, f"network {NAME}\n")
    here.cloud.faults.append(Fault(method="compute.networks.insert", status=503, times=1))
    said = here.run("bash", "deploy.sh").err
    assert "waiting, for 1" in said
    assert not [one for one in pending(here.plan()) if one.startswith("create network/")]


def test_in_a_new_project_it_waits_until_an_api_that_it_switched_on_answers(
    here: There, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, refused = here.cloud.is_enabled, iter("ab")

    def twice_later(project: str, api: str) -> bool:
        spreads = api == "compute" and here.cloud.was_enabled(project, api) and next(refused, None)
        return not spreads and answers(project, api)

    monkeypatch.setattr(here.cloud, "is_enabled", twice_later)
    part(here, "9 APIs", f"network {NAME}\n")
    said = here.run("bash", "deploy.sh").err
    assert (
        len(re.findall("waiting, for [56][0-9][0-9] s at most: .*has not been used in project", said)) == 2
    ), said
    made = [one.status for one in here.cloud.log if one.method == "compute.networks.insert"]
    assert made == [200]


def test_without_a_terminal_it_wants_the_token_from_the_environment_and_says_which(here: There) -> None:
    asyncio.run(_all_before(here.cloud, "secret-version/"))
    part(here, f"a version of secret {NAME}-token\n")
    said = here.run("bash", "deploy.sh", code=1).err
    assert "error: HOME_TOKEN is not set, and there is no terminal to ask on: export HOME_TOKEN=…" in said
    assert not list(here.cloud.store.of("secretmanager", "secretmanager.projects.secrets.versions"))


async def _all_before(cloud: Cloud, what: str) -> None:
    """Make what a thing needs."""
    async with google_for(cloud) as google:
        every = {one.id: one for one in deployment(google)}
        wanted: dict[str, object] = {}

        def need(id_: str) -> None:
            for one in every[id_].needs:
                need(one)
                wanted[one] = every[one]

        for id_ in every:
            if id_.startswith(what):
                need(id_)
        await apply(await make_plan(NAME, "cloudrun", [every[one] for one in wanted]), Silent())
