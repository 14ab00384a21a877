"""Builds of one exported pipeline, which Cloud Build begins at once in one workspace: each image is made of what is its own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from building import place
from homeport.export import export
from homeport.export.cloudbuild import Pipeline, grants
from homeport.export.graph import Things
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, make_plan
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.resources.google.release import Release
from homeport.resources.google.service import Service
from homeport.targets.cloudrun.agent.companion import with_agent
from pipelines import chosen, target

Json = Any  # JSON, parsed again
LATE = (ContainerImage, MirroredImage, StoredWeights, Service, Release)
AT = "v1/projects/rehearsal/locations/europe-west4/builds"


def resources(google: Google) -> list[Resource]:
    tables = {"guard": {}, "agent": {"tools": ["calculator"]}}
    made = target(google, chosen("vllm"), isolated=True, tables=tables)
    return with_agent(made).resources()


async def built(google: Google, wanted: list[Resource]) -> Json:
    """What comes of the steps that build; what must stand before is made as `up` makes it."""
    every = {one.id: one for one in wanted}

    def late(one: Resource) -> bool:
        return isinstance(one, LATE) or any(late(every[need]) for need in one.needs if need in every)

    more = grants(Pipeline(Things.of(wanted)))
    body = yaml.safe_load(export("cloudbuild", wanted)["cloudbuild.yaml"])
    body["steps"] = [one for one in body["steps"] if not one["id"].startswith(("weights-", "deploy"))]
    async with google:
        before = [one for one in wanted if not late(one)]
        await apply(await make_plan("home", "cloudrun", [*before, *more]), Silent())
        begun = await google.post("cloudbuild", AT, body)
        while True:
            build: Json = await google.get("cloudbuild", f"{AT}/{begun['metadata']['build']['id']}")
            if build["status"] not in {"QUEUED", "WORKING"}:
                return build
            await asyncio.sleep(0.1)


@pytest.mark.lasts(30)
def test_a_gateway_and_an_agent_that_are_built_at_once_are_each_built_of_their_own_files(
    tmp_path: Path,
) -> None:
    with place(tmp_path, bare=True, speed=100) as here:
        google = here.google()
        build = here.act(built(google, resources(google)))
        assert build["status"] == "SUCCESS", here.lines()
        begun = {one["id"] for one in build["steps"] if one.get("waitFor") == ["-"]}
        assert {"gateway-look", "agent-look"} <= begun, "neither waits for the other"
        made = [
            json.loads(file.read_text())["entrypoint"][-1]
            for file in (here.cloud.folder / "images").rglob("image.json")
        ]
        assert sorted(made) == ["homeport.agents.service.container", "homeport.gateway.process"]
