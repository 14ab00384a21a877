"""An image that others have built with the weights in it: no build, no transfer, its digest, and what it refuses."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cloud import act
from deployers import Deployer
from deployment import google_for
from gcp_rehearsal.faults import Fault
from homeport import spec
from homeport.catalog import find
from homeport.catalog.prebuilt import prebuilt_images
from homeport.errors import SpecError
from homeport.export import KINDS, export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.targets.cloudrun.findings import findings_of
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.prebuilt import prebuilt_base
from homeport.targets.cloudrun.preflight import PreflightFinding

THEIRS = "us-docker.pkg.dev/cloudrun/container/gemma/gemma3-1b"


def wanted(
    model: str = "gemma-3-1b", *, more: Any = None, **cloudrun: Any
) -> spec.Spec:  # Any: homeport.toml
    return spec.parse(
        {
            "name": "home",
            "model": model,
            "engine": {"context": 1024},
            "cloudrun": {"delivery": "prebuilt", **cloudrun},
            **(more or {}),
        }
    )


def test_it_is_deployed_by_its_digest_without_a_build_or_a_transfer_and_then_nothing_is_left_to_do() -> None:
    deployer = Deployer("ollama")
    first, then = deployer.up(wanted())
    kept = deployer.cloud.store.of("cloudbuild")
    assert [one.body for one in kept if one.collection.endswith("builds")] == []
    assert "image us-docker.pkg.dev/cloudrun/container/gemma/gemma3-1b:latest: no build" in [
        one.summary for one in first.actions
    ]
    (container,) = deployer.service["template"]["containers"]
    assert container["image"].startswith(f"{THEIRS}@sha256:")
    digest = container["image"].partition("@")[2]
    assert deployer.service["template"]["annotations"]["homeport/image"] == digest
    assert [*container["command"], *container.get("args", [])] == ["bash", "/homeport/serve.sh", "gemma3:1b"]
    told = {one["name"]: one["value"] for one in container["env"]}
    assert told["OLLAMA_ORIGINS"] == "http://localhost", "theirs lets every web page in"
    assert "OLLAMA_MODELS" not in told, "where its weights lie the image knows"
    assert [one["mountPath"] for one in container["volumeMounts"]] == ["/homeport"]
    assert {name.partition("/")[0] for name in deployer.objects} == {"files"}, "no weights were carried"
    assert not then.pending


def looked_at(deployer: Deployer, wish: spec.Spec) -> list[PreflightFinding]:
    """What preflight finds of the image."""
    chosen = asyncio.run(choose(wish, Path("/x/homeport.toml"), find_home(), Silent()))
    found = act(findings_of(deployer.target(google_for(deployer.cloud), chosen, wish)))
    return [one for one in found.all if one.subject.startswith("image")]


def test_plan_says_before_anything_is_made_whether_the_image_is_there() -> None:
    (found,) = looked_at(Deployer("ollama"), wanted())
    assert (found.verdict, found.subject) == ("ok", "image/gemma3-1b")
    (missing,) = looked_at(Deployer("ollama"), wanted(image="us-docker.pkg.dev/my-org/missing/gemma:v1"))
    assert missing.verdict == "problem"
    assert "us-docker.pkg.dev has no my-org/missing/gemma at v1" in missing.text
    assert missing.hint == "cloudrun.image in homeport.toml names another one"


@pytest.mark.parametrize(("status", "verdict"), [(403, "problem"), (500, "not checked")])
def test_a_registry_that_does_not_give_it_is_told_from_one_that_does_not_answer(
    status: int, verdict: str
) -> None:
    deployer = Deployer("ollama")
    deployer.cloud.faults.append(Fault(method="docker.manifests.get", status=status, times=99))
    (found,) = looked_at(deployer, wanted())
    assert found.verdict == verdict, found


def test_of_an_image_that_a_repository_of_ours_fetches_preflight_says_nothing() -> None:
    assert looked_at(Deployer("ollama"), wanted("gemma-3-270m", image="ghcr.io/my-org/gemma:v1")) == []


def test_from_baked_to_prebuilt_is_one_change_that_is_proven_first() -> None:
    deployer = Deployer("ollama")
    deployer.up(
        wanted().model_copy(
            update={"cloudrun": spec.CloudRun(), "engine": spec.Engine(kind="ollama", context=1024)}
        )
    )
    _, then = deployer.up(wanted())
    assert len(deployer.proven) == 2
    assert deployer.service["template"]["containers"][0]["image"].startswith(THEIRS)
    assert not then.pending


def test_an_image_of_ones_own_is_taken_instead_of_the_catalogs() -> None:
    deployer = Deployer("ollama")
    own = f"ghcr.io/my-org/gemma@sha256:{'a' * 64}"
    deployer.up(wanted("gemma-3-270m", image=own))
    image = deployer.service["template"]["containers"][0]["image"]
    assert image.startswith("europe-west4-docker.pkg.dev/rehearsal/home-ghcr-io/my-org/gemma@sha256:")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: wanted("gemma-4-e4b"), "no image with gemma4:e4b in it is known"),
        (lambda: wanted(image_from="build"), "image_from build: it is taken as it is"),
        (lambda: wanted(more={"weights": "hf:my-org/mine:x.gguf"}), "with weights of your own"),
        (lambda: wanted(more={"engine": {"kind": "vllm"}}), "cannot be honoured by vllm"),
    ],
)
def test_what_no_image_of_others_can_do_is_refused_before_anything_is_made(made: Any, says: str) -> None:
    deployer = Deployer("ollama")
    with pytest.raises(SpecError, match=says):
        deployer.up(made())
    assert deployer.service is None
    assert not deployer.objects


def test_each_image_of_the_catalog_is_of_a_model_that_the_catalog_knows_by_that_name() -> None:
    names = {"gemma-3-1b", "gemma-3-4b", "gemma-3-12b", "gemma-3-27b"}
    tags = {model.weights["ollama"] for name in names if (model := find(name)) is not None}
    assert tags == set(prebuilt_images("ollama"))
    for tag, image in prebuilt_images("ollama").items():
        assert prebuilt_base(wanted(), "ollama", tag) == image.reference
        assert "digest" in image.unconfirmed
        assert image.sources
    assert prebuilt_images("vllm") == {}


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"trigger", "github"}))
def test_each_export_takes_the_image_as_it_is_and_builds_none(kind: str) -> None:
    """But for the kinds that let a pipeline run `up`."""
    deployer = Deployer("ollama")
    chosen = asyncio.run(choose(wanted(), Path("/x/homeport.toml"), find_home(), Silent()))
    things = deployer.target(google_for(deployer.cloud), chosen, wanted()).resources()
    text = "\n".join(export(kind, things).values())
    assert THEIRS in text
    assert "serve.sh" in text
    assert '"build", "-t"' not in text
    assert "docker build" not in text
