"""
`cloudrun.delivery = "prebuilt"` from the command line, on a rehearsed Cloud Run: up, verified, and gone.

What Google's image holds nobody here has seen. In its place lies an image as its Dockerfile says, with another model in it:
Ollama's own, whose store is /models. llama.cpp stands in for Ollama, as ever in a rehearsal.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gcp_rehearsal import credentials
from gcp_rehearsal.apis.artifactregistry import upstream
from gcp_rehearsal.client_environment import environment
from gcp_rehearsal.cloud import OWNER, Cloud
from places import TAUGHT
from rehearsed import rehearsing
from schemas import ensure_valid
from user import Ran, User

FILE = 'name = "demo"\nmodel = "gemma-3-1b"\n[engine]\ncontext = 1024\nparallel = 2\n[cloudrun]\ndelivery = "prebuilt"\n'
THEIRS = "us-docker.pkg.dev/cloudrun/container/gemma/gemma3-1b"


def theirs(cloud: Cloud) -> str:
    """Put an image where Google's would be; returns its digest, for the platform that Cloud Run runs."""
    digest = upstream._digest(upstream._platform(THEIRS, "latest", "amd64"))
    folder = cloud.folder / "images" / digest.removeprefix("sha256:")
    (folder / "root" / "models").mkdir(parents=True)
    shutil.copyfile(TAUGHT, folder / "root" / "models" / "model.gguf")
    labels = {"homeport.gguf": "/models/model.gguf", "homeport.model": "gemma3:1b"}
    said = {"base": "ollama/ollama:latest", "labels": labels, "env": {"OLLAMA_MODELS": "/models", "OLLAMA_ORIGINS": "*"}}  # fmt: skip
    (folder / "image.json").write_text(json.dumps(said))
    return digest


@pytest.mark.long
def test_an_image_of_others_is_up_and_verified_by_its_digest_and_nothing_is_built(
    user: User, tmp_path: Path
) -> None:
    user.write(FILE)
    with rehearsing() as running:
        digest = theirs(running.cloud)
        url = str(running.client.base_url).rstrip("/")
        env = environment(url, "rehearsal") | {"HOMEPORT_GOOGLE_URL": url}
        env |= credentials.log_in(tmp_path, url, running.cloud.secret, OWNER)

        def run(*arguments: str) -> Ran:
            return user.run(*arguments, "--on", "cloudrun", code=0, cwd=None, timeout=240, **env)

        planned = run("plan", "--json").json
        ensure_valid("plan", planned)
        assert planned["facts"]["weights"]["delivery"] == "prebuilt"
        assert planned["facts"]["stays"]["weights_gib"] == 0, "theirs is not kept in the project"
        came = run("up", "--yes", "--json").json
        assert came["report"]["passed"]
        found = {one["name"]: one for one in came["report"]["results"]}
        assert {found[name]["outcome"] for name in ("chat", "image", "size", "no-token")} == {"passed"}
        assert found["image"]["evidence"]["digest"] == digest
        assert found["weights"]["outcome"] == "skipped"
        assert [
            one for one in running.cloud.store.of("cloudbuild") if one.collection.endswith("builds")
        ] == []
        (instance,) = running.instances()
        assert "llama.cpp" in instance["standIn"]
        assert "Paris" in run("chat", "What is the capital of France?", "--temperature", "0").out
        assert run("plan", "--json").json["changes_pending"] is False
        assert "left: nothing" in run("down", "--yes", "--purge").err
