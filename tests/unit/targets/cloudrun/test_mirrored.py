"""An image that nobody builds: taken by its digest, through a repository that fetches it once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.cloud import AT_ONCE, Cloud
from homeport import spec
from homeport.errors import SpecError
from homeport.google.registry import platform_digest
from homeport.progress import Silent
from homeport.reconcile import apply, make_plan
from homeport.resources.google.repository import remote_repository
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.registries import cached, parse
from places import TAUGHT_FOLDER
from ways import Carrying, Wanted, wanted

NAMES = Names(name="home", project="rehearsal", region="europe-west4")
KEPT = "europe-west4-docker.pkg.dev/rehearsal/home-docker-io"


def table(deployer: Deployer, **cloudrun: Any) -> spec.Spec:  # Any: values of homeport.toml
    return deployer.wanted().model_copy(update={"cloudrun": spec.CloudRun.model_validate(cloudrun)})


def builds(cloud: Cloud) -> list[Any]:  # Any: JSON
    return [kept.body for kept in cloud.store.of("cloudbuild") if kept.collection.endswith("builds")]


def image_of(deployer: Deployer) -> str:
    return str(deployer.service["template"]["containers"][0]["image"])


def test_vllm_is_deployed_by_its_makers_digest_without_any_build_and_then_nothing_is_left_to_do() -> None:
    deployer = Deployer("vllm")
    first, then = deployer.up(deployer.wanted())
    assert builds(deployer.cloud) == []
    (planned,) = [one.summary for one in first.actions if one.resource.id == "image/serving"]
    assert planned == "image vllm/vllm-openai:v0.32.0, through home-docker-io: no build"

    async def digest() -> str:
        async with google_for(deployer.cloud) as google:
            path = "rehearsal/home-docker-io/vllm/vllm-openai"
            return await platform_digest(google, "europe-west4-docker.pkg.dev", path, "v0.32.0")

    assert image_of(deployer) == f"{KEPT}/vllm/vllm-openai@{act(digest())}"
    assert deployer.service["template"]["annotations"]["homeport/image"] == act(digest())
    assert not then.pending


def test_files_of_ours_lie_in_the_bucket_and_are_mounted_where_the_image_would_have_them() -> None:
    deployer = Deployer("vllm")
    known = {
        "model": "gemma-3-270m-pt",
        "weights": f"file:{TAUGHT_FOLDER}",
    }  # The catalog has a template for it.
    deployer.up(spec.parse({**deployer.wanted().model_dump(), **known}))
    template = deployer.service["template"]
    told = template["containers"][0]["args"]
    assert told[told.index("--chat-template") + 1] == "/homeport/chat_template.jinja"
    (mount,) = [one for one in template["containers"][0]["volumeMounts"] if one["mountPath"] == "/homeport"]
    (volume,) = [one for one in template["volumes"] if one["name"] == mount["name"]]
    assert volume["gcs"]["readOnly"] is True
    (folder,) = [one for one in volume["gcs"]["mountOptions"] if one.startswith("only-dir=files/")]
    name = f"{folder.removeprefix('only-dir=')}/chat_template.jinja"
    kept = [one.body["name"] for one in deployer.cloud.store.of("storage", "storage.objects")]
    assert name in kept


def test_the_file_can_have_it_built_and_then_on_the_base_that_was_fetched_once() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(table(deployer, image_from="build"))
    (build,) = builds(deployer.cloud)
    assert image_of(deployer).startswith("europe-west4-docker.pkg.dev/rehearsal/home/serving@sha256:")
    assert build["steps"][0]["name"] == f"{KEPT}/library/python:3.12-slim"
    assert not [one for one in deployer.service["template"]["volumes"] if one["name"] == "files"]


def test_from_built_to_mirrored_is_one_change_that_is_proven_first() -> None:
    deployer = Deployer("vllm")
    deployer.deployed(table(deployer, image_from="build"))
    deployer.up(deployer.wanted())
    assert len(deployer.proven) == 2
    assert "/home-docker-io/" in image_of(deployer)


def test_weights_in_the_image_are_built_on_a_base_that_was_fetched_once(tmp_path: Path) -> None:
    deployer = Deployer("ollama")
    deployer.up(deployer.wanted())
    build = builds(deployer.cloud)[-1]
    names = [step["name"] for step in build["steps"]]
    assert names == [f"{KEPT}/library/python:3.12-slim"] * 2 + ["gcr.io/cloud-builders/docker"]
    import base64

    encoded = json.loads(build["steps"][0]["script"].partition("FILES = ")[2].partition("\nfor ")[0])
    dockerfile = base64.b64decode(encoded["Dockerfile"]).decode()
    assert dockerfile.startswith(f"FROM {KEPT}/ollama/ollama:")


def test_a_mirror_of_what_must_be_built_is_refused() -> None:
    deployer = Deployer("ollama")
    with pytest.raises(
        SpecError, match="image_from mirror cannot be honoured by ollama with the delivery baked"
    ):
        deployer.up(table(deployer, image_from="mirror"))


def test_an_image_of_googles_is_taken_from_google() -> None:
    deployer = Deployer("vllm")
    theirs = "us-docker.pkg.dev/vertex-ai/vertex-vision-model-garden-dockers/pytorch-vllm-serve"
    _, then = deployer.up(table(deployer, image=f"{theirs}:gemma4"))
    assert image_of(deployer).startswith(f"{theirs}@sha256:")
    assert not then.pending


def test_another_registry_has_a_repository_of_its_own() -> None:
    deployer = Deployer("vllm")
    deployer.up(table(deployer, image="ghcr.io/my-org/my-vllm:v1"))
    assert image_of(deployer).startswith(
        "europe-west4-docker.pkg.dev/rehearsal/home-ghcr-io/my-org/my-vllm@sha256:"
    )
    google = google_for(deployer.cloud)
    wanted_ = remote_repository(google, "home", "home-ghcr-io", "europe-west4", "ghcr.io").wanted
    config = wanted_["remoteRepositoryConfig"]["dockerRepository"]
    assert config == {"customRepository": {"uri": "https://ghcr.io"}}


def test_an_image_that_its_makers_do_not_have_ends_before_the_service_and_says_which_key_names_another() -> (
    None
):
    deployer = Deployer("vllm")
    with pytest.raises(Exception, match="Failed to fetch") as refused:
        deployer.up(table(deployer, image="my-org/missing:v1"))
    assert "cloudrun.image in homeport.toml names another one" in str(getattr(refused.value, "hint", ""))
    assert not list(deployer.cloud.store.of("run", "run.projects.locations.services"))


def test_those_who_carry_weights_may_read_what_their_image_is_fetched_through(tmp_path: Path) -> None:
    cloud = Cloud(delays=AT_ONCE, steps=Carrying())
    _apply(cloud, wanted("vllm", tmp_path))
    policy = cloud.access.policy(
        "artifactregistry", "projects/rehearsal/locations/europe-west4/repositories/home-docker-io"
    )
    (binding,) = policy["bindings"]
    assert binding["role"] == "roles/artifactregistry.reader"
    assert {one.partition(":")[2].partition("@")[0] for one in binding["members"]} == {
        "home-build",
        "home-carry",
    }
    (build,) = builds(cloud)
    assert build["steps"][0]["name"] == f"{KEPT}/library/python:3.12-slim"


@pytest.mark.parametrize(
    ("reference", "host", "path", "pinned"),
    [
        ("python:3.12-slim", "docker.io", "library/python", "3.12-slim"),
        ("vllm/vllm-openai", "docker.io", "vllm/vllm-openai", "latest"),
        ("docker.io/vllm/vllm-openai:v1", "docker.io", "vllm/vllm-openai", "v1"),
        ("index.docker.io/python:3", "docker.io", "library/python", "3"),
        ("ghcr.io/a/b@sha256:" + "0" * 64, "ghcr.io", "a/b", "sha256:" + "0" * 64),
        ("localhost:5000/a:t", "localhost:5000", "a", "t"),
        ("ollama/ollama:0.34.0@sha256:" + "0" * 64, "docker.io", "ollama/ollama", "sha256:" + "0" * 64),
    ],
)
def test_references_are_read_as_docker_reads_them(reference: str, host: str, path: str, pinned: str) -> None:
    found = parse(reference)
    assert (found.host, found.path, found.pinned) == (host, path, pinned)


def test_what_google_has_is_not_fetched_again() -> None:
    for one in ("gcr.io/cloud-builders/docker", "us-docker.pkg.dev/a/b/c:t"):
        assert cached(NAMES, one) == one


def _apply(cloud: Cloud, wish: Wanted) -> None:
    async def prove(*_: object) -> Any:  # Any: a receipt
        from homeport.resources.google.traffic import Receipt

        return Receipt(at="2026-11-25T00:00:00", passed=True, counts={"passed": 20})

    async def work() -> None:
        async with google_for(cloud) as google:
            await apply(await make_plan("home", "cloudrun", wish.target(google, prove).resources()), Silent())

    act(work())
