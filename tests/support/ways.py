"""Both ways to Cloud Run as the graphs that `up` makes of a file, over weights of a few bytes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from gcp_rehearsal import context
from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.apis.storage.objects import put_object
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.resources.google.release import Prove
from homeport.secret import Secret
from homeport.targets.cloudrun.adapters import PinnedModel
from homeport.targets.cloudrun.agent.companion import with_agent
from homeport.targets.cloudrun.api_gateway.proof import with_api_gateway
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.observe.target import with_observe
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.weights.manifest import Pin, PinnedFile, digest
from homeport.weights.transfer import MANIFEST
from places import TAUGHT, TAUGHT_FOLDER

Way = Literal["ollama", "vllm"]
"""Baked into the image from a GGUF of this machine, or in a bucket, where a build carries them from a hub."""
NAME, REGION, PROJECT = "home", "europe-west4", "rehearsal"
SPEC_FILE = Path("/x/homeport.toml")
TOKEN = "hf_only_for_those_who_may"
_MODELS = {"ollama": TAUGHT, "vllm": TAUGHT_FOLDER}
_HUB = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"{}"}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file, and what is decided of it before anything is asked of Google."""

    spec: spec.Spec
    chosen: ResolvedModel
    token: str = TOKEN
    canary: tuple[int, ...] = ()

    def bare(self, google: Google, prove: Prove) -> CloudRunTarget:
        """What should exist without what some tables of a file put before and beside it."""
        return CloudRunTarget(
            google=google,
            spec=self.spec,
            spec_file=SPEC_FILE,
            chosen=self.chosen,
            prove=prove,
            token=HubToken(value=Secret(self.token), source="env:T")
            if self.spec.cloudrun and self.spec.cloudrun.hub_token
            else None,
            canary=self.canary,
        )

    def target(self, google: Google, prove: Prove) -> CloudRunTarget:
        """What should exist."""
        whole = with_agent(with_observe(self.bare(google, prove)))
        if self.spec.edge is None or not self.spec.edge.is_api_gateway:
            return whole
        keyed = with_api_gateway(whole)
        assert keyed.api_gateway is not None
        return replace(keyed, api_gateway=replace(keyed.api_gateway, ask=_answers))


async def _answers(_: str) -> str:
    """A gateway that answers at once: nothing is sent in a cloud of the test's own process."""
    return ""


def wanted(way: Way, folder: Path, **sections: Any) -> Wanted:  # Any: tables of homeport.toml
    """An endpoint by that way; what it uploads from this machine lies in `folder`."""
    table = {
        "name": NAME,
        "model": f"file:{_MODELS[way]}",
        "engine": {"kind": way, "context": 1024},
        "cloudrun": {"hub_token": "env:HF_TOKEN"} if way == "vllm" else {},
        "access": {"callers": ["user:friend@example.com"]},
        **sections,
    }
    wish, chosen = _chosen(json.dumps(table))
    return Wanted(
        spec=wish, chosen=replace(chosen, pinned=_here(folder) if way == "ollama" else _at_hub("1" * 40))
    )


@cache
def _chosen(table: str) -> tuple[spec.Spec, ResolvedModel]:
    wish = spec.parse(json.loads(table))
    return wish, asyncio.run(choose(wish, SPEC_FILE, find_home(), Silent()))


def later(before: Wanted) -> Wanted:
    """A change that makes a new revision, released in steps: more at once where it is baked, else other weights."""
    if before.spec.engine.kind == "vllm":
        return replace(other_weights(before), canary=(50, 100))
    change: dict[str, Any] = {"engine": before.spec.engine.model_copy(update={"parallel": 2})}
    if before.spec.edge is not None:
        change["edge"] = before.spec.edge.model_copy(update={"requests_per_minute": 60})
    return replace(before, spec=before.spec.model_copy(update=change), canary=(50, 100))


def other_weights(before: Wanted) -> Wanted:
    """Another commit of the hub's."""
    return replace(before, chosen=replace(before.chosen, pinned=_at_hub("2" * 40)))


def _here(folder: Path) -> PinnedModel:
    data = b"GGUF, or so"
    (folder / "model.gguf").write_bytes(data)
    file = PinnedFile(path="model.gguf", size=len(data), sha256=hashlib.sha256(data).hexdigest())
    pin = Pin(source=f"file:{folder / 'model.gguf'}", revision=str(file.sha256), files=(file,))
    return PinnedModel(pin=pin, folder=folder, prefix=f"models/own/small/{digest((file,))}")


def _at_hub(commit: str) -> PinnedModel:
    # As a hub tells it: a sha256 for what is in LFS only.
    sha256 = {"model.safetensors": hashlib.sha256(_HUB["model.safetensors"]).hexdigest()}
    files = tuple(
        PinnedFile(path=path, size=len(data), sha256=sha256.get(path)) for path, data in _HUB.items()
    )
    pin = Pin(source="hf:homeport/small", revision=commit, files=files)
    return PinnedModel(pin=pin, folder=None, prefix=f"models/homeport/small/{commit}")


@dataclass(slots=True, kw_only=True)
class Carrying(Acted):
    """Steps that are acted out, but the one that carries weights: what it is told to bring is in the bucket then."""

    hub: Mapping[str, bytes] = field(default_factory=lambda: _HUB)

    def run(self, cloud: context.Cloud, step: Step) -> Ran | RunningStep:
        """What comes of a step."""
        job = json.loads(step.env.get("HOMEPORT_JOB", "{}"))
        if not str(job.get("to", "")).startswith("gs://"):
            return Acted.run(self, cloud, step)
        if step.env.get("HF_TOKEN") != TOKEN:
            return Ran(code=13, lines=["homeport: the hub does not give it without its token"])
        bucket, _, prefix = job["to"].removeprefix("gs://").partition("/")
        bindings = cloud.access.policy("storage", f"b/{bucket}").get("bindings", ())
        if not any(f"serviceAccount:{step.account}" in binding["members"] for binding in bindings):
            return Ran(code=1, lines=[f"homeport: {step.account} lacks the permission to write to {bucket}"])
        files = []
        for file in job["files"]:
            data = self.hub[file["path"]]
            kept = put_object(cloud, bucket, f"{prefix}/{file['path']}", data)
            sha256 = hashlib.sha256(data).hexdigest()
            files.append(
                {"path": file["path"], "size": len(data), "sha256": sha256, "crc32c": kept.body["crc32c"]}
            )
        manifest = {
            "source": job["source"],
            "revision": job["revision"],
            "digest": digest(
                tuple(PinnedFile(path=f["path"], size=f["size"], sha256=f["sha256"]) for f in files)
            ),
            "files": files,
        }
        put_object(cloud, bucket, f"{prefix}/{MANIFEST}", json.dumps(manifest).encode())
        return Ran(seconds=60, lines=["all of it is there"])
