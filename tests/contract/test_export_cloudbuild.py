"""The exported build of Cloud Build: what it says is what `up` does, and run, it leaves what `up` would."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import ways
from building import TOKEN, Place, place
from deployment import Wish, deployment, google_for
from exporting import There, pending, there
from gcloud import Served, needs_gcloud
from gcp_rehearsal import discovery
from gcp_rehearsal.apis.cloudbuild import checks as build_checks
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from gcp_rehearsal.schema import SchemaCheck
from gcp_rehearsal.state import StoredResource
from homeport.export import export
from homeport.export.builds import builds
from homeport.export.cloudbuild import Pipeline, grants
from homeport.export.graph import Things
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import Plan, Resource, apply, make_plan
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Release
from homeport.resources.google.service import Service
from homeport.resources.google.traffic import Receipt, latest, receipts, shares, tag_url
from pipelines import REPO, chosen, target
from places import TAUGHT, TAUGHT_FOLDER
from second_service import AGENT

Json = Any  # JSON, parsed again


def things(engine: str, *, token: str = TOKEN, at_hub: bool = True) -> list[Resource]:
    return target(google_for(Cloud(delays=AT_ONCE)), chosen(engine, at_hub=at_hub), token=token).resources()


def exported(engine: str, *, token: str = TOKEN, at_hub: bool = True) -> tuple[dict[str, str], Json]:
    files = export("cloudbuild", things(engine, token=token, at_hub=at_hub))
    return files, yaml.safe_load(files["cloudbuild.yaml"])


def steps(build: Json) -> Mapping[str, Json]:
    return {step["id"]: step for step in build["steps"]}


@pytest.mark.parametrize("engine", ["ollama", "vllm"])
def test_it_is_a_build_that_google_knows_and_the_same_each_time(engine: str) -> None:
    files, build = exported(engine)
    assert files == exported(engine)[0]
    assert SchemaCheck(discovery.load("cloudbuild.v1")).schema("Build", build) == []
    build_checks.check(build)
    for script in (files["prepare.sh"], *(one["script"] for one in build["steps"] if one["id"] in {"deploy", "serving-look"})):  # fmt: skip
        subprocess.run(["bash", "-n"], input=script, text=True, check=True, timeout=120)


def test_what_goes_into_the_image_is_in_the_bucket_before() -> None:
    """A GGUF does, by way of the bucket; vllm's image is not built, and its weights are carried at once."""
    first = {engine: steps(exported(engine)[1]) for engine in ("ollama", "vllm")}
    assert first["ollama"]["serving-write"]["waitFor"] == ["weights-model-carry", "serving-look"]
    assert not [name for name in first["vllm"] if name.startswith("serving-")]
    assert first["vllm"]["weights-model-carry"]["waitFor"] == ["-"]


@pytest.mark.parametrize("engine", ["ollama", "vllm"])
def test_its_steps_are_those_of_the_builds_of_up_and_only_docker_is_put_into_a_shell(engine: str) -> None:
    _, build = exported(engine)
    made = steps(build)
    for one in builds(Things.of(things(engine))):
        for step in one.body["steps"]:
            same = made[f"{one.name}-{step['id']}"]
            for key in ("name", "script", "env", "secretEnv"):
                # A pipeline has a folder for each image.
                assert str(same.get(key)).replace(f'"/workspace/{one.name}"', '"/workspace"') == str(
                    step.get(key)
                ), key
            if step["id"] == "build":
                assert f"\n{' '.join(['docker', *step['args']])}\ndocker push " in same["args"][1]
        assert one.body["options"].items() <= build["options"].items()
        assert made[f"{one.name}-{one.body['steps'][-1]['id']}"]["timeout"] == one.body["timeout"]
        if isinstance(one.thing, ContainerImage):
            assert build["serviceAccount"] == one.body["serviceAccount"]
    assert float(build["timeout"][:-1]) >= (7200 if engine == "ollama" else 0) + 10800 + 1800


def test_the_hubs_token_is_one_version_of_its_secret_for_the_step_that_carries_alone() -> None:
    files, build = exported("vllm")
    secret = {"versionName": "projects/rehearsal/secrets/home-hub-token/versions/${_HF_TOKEN_VERSION}", "env": "HF_TOKEN"}  # fmt: skip
    assert build["availableSecrets"] == {"secretManager": [secret]}
    assert build["substitutions"] == {"_HF_TOKEN_VERSION": "1"}
    assert [one["id"] for one in build["steps"] if "secretEnv" in one] == ["weights-model-carry"]
    assert not any(TOKEN in text for text in files.values())
    assert "availableSecrets" not in exported("vllm", token="")[1]


def test_no_dollar_of_a_shell_stands_where_cloud_build_reads_one() -> None:
    """What it reads is replaced in args and env; the values that come out are those that were meant."""
    _, build = exported("vllm")
    read = build_checks.substituted(build, {"PROJECT_ID": "p", "_HF_TOKEN_VERSION": "7"})
    assert steps(read)["deploy"]["script"] == steps(build)["deploy"]["script"]
    assert "CLOUDSDK_CORE_PROJECT=p" in steps(read)["deploy"]["env"]
    assert read["availableSecrets"]["secretManager"][0]["versionName"].endswith("/versions/7")
    for before, after in zip(build["steps"], read["steps"], strict=True):
        if before["id"] not in {"deploy", "serving-look"}:
            texts = [*before.get("args", ()), *before.get("env", ())]
            assert [text.replace("$$", "$") for text in texts] == [
                *after.get("args", ()),
                *after.get("env", ()),
            ]


def test_weights_of_one_machine_are_left_to_up_and_that_is_said() -> None:
    files, build = exported("vllm", at_hub=False, token="")
    assert [one["id"] for one in build["steps"]] == ["deploy"]
    assert "which only `homeport up` carries" in " ".join(
        files["cloudbuild.yaml"].replace("\n# ", " ").split()
    )


def test_what_stands_before_is_made_as_the_script_of_gcloud_makes_it() -> None:
    script = export("cloudbuild", things("vllm"))["prepare.sh"]
    whole = export("gcloud", things("vllm"))["deploy.sh"]
    made = whole[whole.index("\n# service account ") + 1 :]
    parts = [part for part in made.split("\n\n") if part.startswith("# ")]
    others = [part for part in parts if part not in script]
    assert len(parts) - len(others) > 20
    assert {part.split()[1] for part in others} == {"image", "weights", "service", "the"}
    last = script.rpartition("\nif serves home ")[2]
    assert "grant user:friend@example.com roles/run.servicesInvoker" in last, (
        "who may call it is said of a service that is there"
    )


async def _moments() -> AsyncIterator[None]:
    while True:
        await asyncio.sleep(0.1)
        yield


@pytest.fixture
def quick(gcloud_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{gcloud_folder}:{os.environ['PATH']}")


class Run:
    """A project in which builds really run, and what its owner does."""

    def __init__(self, here: Place, folder: Path, engine: str) -> None:
        self.here, self.folder, self.engine = here, folder, engine
        self.gcloud = Served(here.url, folder, here.cloud.secret)
        paths = (
            [TAUGHT] if engine == "ollama" else [path for path in TAUGHT_FOLDER.iterdir() if path.is_file()]
        )
        files = {path.name: path.read_bytes() for path in paths}
        self.commit = here.hub.push(REPO, files, gated="manual")
        here.hub.tokens[TOKEN] = {REPO}

    def resources(self, parallel: int) -> list[Resource]:
        what = chosen(self.engine, parallel=parallel, commit=self.commit)
        return target(self.here.google(), what, parallel=parallel, token=TOKEN).resources()

    def up(self, parallel: int, *kinds: type, do: bool) -> Plan:
        """The plan of those that are none of `kinds`, carried out if so wished."""
        resources = [one for one in self.resources(parallel) if not isinstance(one, kinds)]
        google = resources[0].google  # type: ignore[attr-defined] # all of them have it

        async def work() -> Plan:
            async with google:
                plan = await make_plan("home", "cloudrun", resources)
                if do:
                    await apply(plan, Silent())
                return plan

        return self.here.act(work())

    def prepared(self, parallel: int) -> None:
        """What prepare.sh does, without a hundred processes of gcloud: test_export_gcloud.py runs those commands."""
        resources = self.resources(parallel)
        before = [
            one
            for one in resources
            if not isinstance(one, (ContainerImage, MirroredImage, StoredWeights, Service, Release))
        ]
        before = [one for one in before if not (isinstance(one, Grant) and one.on.api == "run")]
        more = grants(Pipeline(Things.of(resources)))

        async def work() -> None:
            async with more[0].google:
                await apply(await make_plan("home", "cloudrun", [*before, *more]), Silent())

        self.here.act(work())

    def submit(self, parallel: int) -> Json:
        """What comes of the exported build, submitted by the real gcloud."""
        for name, text in export("cloudbuild", self.resources(parallel)).items():
            (self.folder / name).write_text(text)
        asked = (
            "builds",
            "submit",
            "--no-source",
            "--config=cloudbuild.yaml",
            "--region=europe-west4",
            "--format=json",
        )
        self.gcloud.gcloud(*asked, "--suppress-logs")
        return self.here.builds()[-1]

    def posted(self, parallel: int) -> Json:
        """The same, sent to Google's API as it stands in the file."""
        body = yaml.safe_load(export("cloudbuild", self.resources(parallel))["cloudbuild.yaml"])
        google = self.here.google()
        builds = "v1/projects/rehearsal/locations/europe-west4/builds"

        async def work() -> Json:
            async with google:
                begun = await google.post("cloudbuild", builds, body)
                path = f"{builds}/{begun['metadata']['build']['id']}"
                build: Json = {"status": "QUEUED"}
                async for _ in _moments():
                    build = await google.get("cloudbuild", path)
                    if build["status"] not in {"QUEUED", "WORKING"}:
                        break
                return build

        return self.here.act(work())

    @property
    def service(self) -> Json:
        return next(
            kept.body for kept in self.here.cloud.store.of("run") if kept.collection.endswith("services")
        )


@needs_gcloud
@pytest.mark.usefixtures("quick")
def test_run_it_leaves_image_weights_and_service_as_up_would_and_a_change_has_no_traffic(
    tmp_path: Path,
) -> None:
    with place(tmp_path, bare=True, speed=100) as here:
        run = Run(here, tmp_path, "vllm")
        run.prepared(4)
        assert run.submit(4)["status"] == "SUCCESS", here.lines()
        left = pending(run.up(4, do=False))
        assert [one.split(":")[0] for one in left] == [
            "create release/home", "create grant/run.servicesInvoker/friend@example.com/service/home",
        ]  # fmt: skip
        run.up(4, do=True)
        assert pending(run.up(4, do=False)) == []
        first, digest = latest(run.service), run.service["template"]["annotations"]["homeport/image"]
        assert run.service["template"]["containers"][0]["image"].endswith(f"@{digest}")

        assert run.posted(2)["status"] == "SUCCESS", here.lines()
        assert latest(run.service) != first
        assert shares(run.service) == {first: 100}, "who served goes on serving"
        assert tag_url(run.service)
        assert receipts(run.service).keys() == {first}
        assert run.service["template"]["annotations"]["homeport/image"] == digest, "nothing was built again"
        left = pending(run.up(2, do=False))
        assert [one.split(":")[0] for one in left] == ["update release/home"]


MEANWHILE = """#!/bin/bash
# The real gcloud; before it replaces the service somebody else changes who serves.
if [[ "$*" == "run services replace"* ]]; then
  {gcloud} run services update-traffic home --region=us-central1 --set-tags="stays=$SERVES" >/dev/null || exit 9
fi
exec {gcloud} "$@"
"""


@needs_gcloud
@pytest.mark.usefixtures("quick")
def test_a_change_of_somebody_else_between_reading_and_deploying_is_told(
    tmp_path: Path, gcloud_folder: Path
) -> None:
    with there(tmp_path) as here:
        asyncio.run(_made(here))
        (kept,) = [one for one in here.cloud.store.of("run") if one.collection.endswith("services")]
        build = yaml.safe_load(here.exported("cloudbuild", _changed)["cloudbuild.yaml"])
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "gcloud").write_text(MEANWHILE.format(gcloud=gcloud_folder / "gcloud"))
        (tmp_path / "bin" / "gcloud").chmod(0o755)
        here.write({"deploy": steps(build)["deploy"]["script"]})
        env = {"CLOUDSDK_CORE_PROJECT": "rehearsal", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        said = here.run("bash", "deploy", code=1, PATH=path, SERVES=latest(kept.body), **env)
        assert "Somebody else changed the service home while this ran" in said.err


@needs_gcloud
@pytest.mark.usefixtures("quick")
def test_the_steps_that_deploy_put_a_second_service_beside_the_first_and_give_it_all_traffic(
    tmp_path: Path, gcloud_folder: Path
) -> None:
    wish = ways.wanted("ollama", tmp_path)

    def resources(steps: str) -> Callable[[Google], list[Resource]]:
        container = replace(
            AGENT.containers[0], environment={**AGENT.containers[0].environment, "STEPS": steps}
        )
        agent = replace(AGENT, containers=(container,))
        return lambda google: replace(wish.target(google, _proven), companions=(agent,)).resources()

    with there(tmp_path, steps=ways.Carrying()) as here:
        asyncio.run(_applied(here, resources("8")))
        before = {one.name.rpartition("/")[2]: one.body["latestReadyRevision"] for one in _services(here)}
        build = yaml.safe_load(here.exported("cloudbuild", resources("9"))["cloudbuild.yaml"])
        made = steps(build)
        assert list(made)[-2:] == ["deploy", "deploy-home-agent"]
        here.write({"deploy": made["deploy-home-agent"]["script"]})
        env = {"CLOUDSDK_CORE_PROJECT": "rehearsal", "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        here.run("bash", "deploy", code=0, PATH=f"{gcloud_folder}:{os.environ['PATH']}", **env)
        after = {one.name.rpartition("/")[2]: one.body for one in _services(here)}
        assert after["home"]["latestReadyRevision"] == before["home"]
        newest = latest(after["home-agent"])
        assert not before["home-agent"].endswith(newest)
        assert shares(after["home-agent"]) == {newest: 100}
        assert pending(here.plan(resources("9"))) == []


def _services(here: There) -> list[StoredResource]:
    return [kept for kept in here.cloud.store.of("run") if kept.collection.endswith("services")]


async def _proven(*_: object) -> Receipt:
    return Receipt(at="2026-11-25T00:00:01", passed=True, counts={"passed": 20})


async def _applied(here: There, resources: Callable[[Google], list[Resource]]) -> None:
    async with google_for(here.cloud) as google:
        await apply(await make_plan("home", "cloudrun", resources(google)), Silent())


def _changed(google: Google) -> list[Resource]:
    return deployment(google, Wish(concurrency=2))


async def _made(here: There) -> None:
    async with google_for(here.cloud) as google:
        await apply(await make_plan("home", "cloudrun", deployment(google)), Silent())


@needs_gcloud
@pytest.mark.usefixtures("quick")
def test_run_it_bakes_a_gguf_by_way_of_the_bucket(tmp_path: Path) -> None:
    with place(tmp_path, bare=True, speed=100) as here:
        run = Run(here, tmp_path, "ollama")
        run.prepared(4)
        assert run.posted(4)["status"] == "SUCCESS", here.lines()
        left = pending(run.up(4, do=False))
        assert [one.split(":")[0] for one in left] == [
            "create release/home",
            "create grant/run.servicesInvoker/friend@example.com/service/home",
        ]
        (baked,) = (here.cloud.folder / "images").rglob("model.gguf")
        assert baked.read_bytes() == TAUGHT.read_bytes()
