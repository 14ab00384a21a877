"""The exported script and YAML, carried out by the real gcloud: afterwards `up` finds nothing to do but to verify."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import ways
from deployment import NAME, PROJECT, REGION, deployment, google_for
from exporting import There, pending, there
from gcloud import NEEDS_GCLOUD
from homeport.google import Google
from homeport.progress import Silent
from homeport.reconcile import Resource, apply, make_plan
from homeport.resources.google.release import Release
from homeport.resources.google.service import Service
from homeport.resources.google.traffic import RECEIPTS, Receipt
from homeport.targets.cloudrun.iap.entry import ACCESSOR, EndpointIap
from proxied import AGENT as AGENT_OF_IAP
from proxied import ROBOT, TEAM
from second_service import AGENT

WEB = f"projects/{PROJECT}/iap_web/cloud_run-{REGION}/services/{NAME}"
_SAID = ("generation", "traffic", "annotations", "template")
CHANGES = re.compile(r"\.(create|insert|patch|update|delete|replaceService|addVersion|batchEnable|enable)$")
"""Without `setIamPolicy`: gcloud sends a grant also where it is there already."""
pytestmark = NEEDS_GCLOUD


def test_what_the_script_makes_is_what_up_would_make(tmp_path: Path, gcloud_folder: Path) -> None:
    path = f"{gcloud_folder}:{os.environ['PATH']}"
    wish = ways.wanted("vllm", tmp_path)

    def resources(google: Google) -> list[Resource]:
        return wish.target(google, _never).resources()

    with there(tmp_path, steps=ways.Carrying()) as here:
        here.write(here.exported("gcloud", resources))
        assert len(pending(here.plan(resources))) > 25
        said = here.run("bash", "deploy.sh", HF_TOKEN=ways.TOKEN, PATH=path)
        assert [line[:13] for line in said.out.splitlines()] == ["https://home-"]
        assert ways.TOKEN not in said.out + said.err
        assert pending(here.plan(resources)) == ["create release/home: []"], "the proof is not gcloud's"
        before, grants = len(here.cloud.log), set(here.cloud.access.grants())
        said = here.run("bash", "deploy.sh", PATH=path)
        assert set(here.cloud.access.grants()) == grants
        assert not [one.method for one in here.cloud.log[before:] if CHANGES.search(one.method)]
        left = [line for line in said.err.splitlines() if line.startswith("= ")]
        assert len(left) > 20, said.err
        assert "= service home: is ready, as the file says; left as it is" in left
        assert "= secret home-hub-token: has a version, and HF_TOKEN is not set; left as it is" in left


def test_the_script_makes_a_second_service_too_which_knows_where_the_first_is(
    tmp_path: Path, gcloud_folder: Path
) -> None:
    wish = ways.wanted("ollama", tmp_path)

    def resources(google: Google) -> list[Resource]:
        return replace(wish.target(google, _never), companions=(AGENT,)).resources()

    with there(tmp_path, steps=ways.Carrying()) as here:
        asyncio.run(_all_but_services(here, resources))
        files = here.exported("gcloud", resources)
        # What all of it begins with, and the services: gcloud takes a second for each of the others.
        whole = files["deploy.sh"]
        begin, last = whole[: whole.index("\n# 14 APIs")], whole[whole.index(f"\n# service {NAME}\n") :]
        here.write({**files, "deploy.sh": begin + last})
        said = here.run("bash", "deploy.sh", PATH=f"{gcloud_folder}:{os.environ['PATH']}")
        model, agent = said.out.strip().splitlines()[-2:]
        assert model.startswith("https://home-")
        assert agent.startswith("https://home-agent-")
        assert pending(here.plan(resources)) == ["create release/home: []"]


def test_the_script_puts_identity_aware_proxy_before_the_service_and_leaves_access_levels_alone(
    tmp_path: Path, gcloud_folder: Path
) -> None:
    path = f"{gcloud_folder}:{os.environ['PATH']}"
    wish = ways.wanted("ollama", tmp_path, access={"iap": [TEAM, ROBOT]})

    def resources(google: Google) -> list[Resource]:
        target = wish.target(google, _never)
        iap = EndpointIap(google=google, names=target.names, agent=AGENT_OF_IAP, members=(TEAM, ROBOT))
        return replace(target, iap=iap).resources()

    def ours(one: Resource) -> bool:
        return isinstance(one, Service | Release) or one.id.startswith("grant/iap.")

    with there(tmp_path, steps=ways.Carrying()) as here:
        here.up(resources, ours)
        here.script_of_the_rest(resources)
        here.run("bash", "deploy.sh", PATH=path)
        assert pending(here.plan(resources)) == ["create release/home: []"], "the proof is not gcloud's"
        (service,) = [one.body for one in here.cloud.store.of("run") if one.name.endswith("/services/home")]
        assert service["iapEnabled"]
        assert here.cloud.access.policy("run", str(service["name"]))["bindings"] == [
            {"role": "roles/run.invoker", "members": [AGENT_OF_IAP]}
        ]
        office = {"role": ACCESSOR, "members": [TEAM], "condition": {"title": "office", "expression": "true"}}
        bound = [office, {"role": ACCESSOR, "members": [ROBOT]}]
        here.cloud.access.set_policy("iap", WEB, {"version": 3, "bindings": bound})
        here.run("bash", "deploy.sh", PATH=path)
        assert here.cloud.access.policy("iap", WEB)["bindings"] == bound


def test_run_again_the_script_leaves_who_serves_and_what_was_found_out(
    tmp_path: Path, gcloud_folder: Path
) -> None:
    path = f"{gcloud_folder}:{os.environ['PATH']}"
    with there(tmp_path) as here:
        asyncio.run(_rolled_back(here))
        (kept,) = [one for one in here.cloud.store.of("run") if one.collection.endswith("services")]
        before = {key: deepcopy(kept.body.get(key)) for key in _SAID}
        files = here.exported("gcloud")
        # Of the script, what all of it begins with and the service: gcloud takes a second for each of the others.
        whole = files["deploy.sh"]
        begin, last = whole[: whole.index("\n# 9 APIs")], whole[whole.index(f"\n# service {NAME}\n") :]
        here.write({**files, "deploy.sh": begin + last[: last.index("\n# user:")]})
        here.run("bash", "deploy.sh", PATH=path)
        assert {key: kept.body.get(key) for key in _SAID} == before


async def _never(*_: object) -> Receipt:
    raise AssertionError


async def _all_but_services(here: There, resources: Callable[[Google], list[Resource]]) -> None:
    """Whatever needs no service."""
    async with google_for(here.cloud) as google:
        every = {one.id: one for one in resources(google)}

        def on_a_service(id_: str) -> bool:
            return id_.startswith("service/") or any(on_a_service(need) for need in every[id_].needs)

        wanted = [one for one in every.values() if not on_a_service(one.id)]
        await apply(await make_plan(NAME, "cloudrun", wanted), Silent())


async def _rolled_back(here: There) -> None:
    """The deployment, a revision of it that has all traffic by its name, and a receipt."""
    path = f"v2/projects/{PROJECT}/locations/{REGION}/services/{NAME}"
    async with google_for(here.cloud) as google:
        await apply(await make_plan(NAME, "cloudrun", deployment(google)), Silent())
        made = await google.get("run", path)
        revision = made["latestReadyRevision"].rpartition("/")[2]
        one = {"type": "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION", "revision": revision, "percent": 100}
        told = {**made.get("annotations", {}), RECEIPTS: "{}"}
        await google.patch("run", path, {**made, "traffic": [one], "annotations": told})
