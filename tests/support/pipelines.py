"""A file's deployment whose weights come from a hub or a bucket, for the exports that other people's pipelines run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from edges import behind_its_edge
from homeport import spec
from homeport.google import Google
from homeport.home import find_home
from homeport.progress import Silent
from homeport.resources.google.traffic import Body, Receipt
from homeport.secret import Secret
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.model_selection import ResolvedModel, choose
from homeport.targets.cloudrun.observe.target import with_observe
from homeport.targets.cloudrun.target import CloudRunTarget
from places import TAUGHT, TAUGHT_FOLDER

WAYS = {"ollama": TAUGHT, "vllm": TAUGHT_FOLDER}
FILE = Path("/x/homeport.toml")
REPO, COMMIT = "org/taught", "0123456789abcdef0123456789abcdef01234567"


def wanted(
    engine: str, *, parallel: int = 4, isolated: bool = False, tables: Mapping[str, Any] | None = None
) -> spec.Spec:  # Any: values of homeport.toml
    """The file."""
    return spec.parse(
        {
            "name": "home",
            "model": f"file:{WAYS[engine]}",
            "engine": {"kind": engine, "context": 1024, "parallel": parallel},
            "cloudrun": {},
            "access": {"callers": ["user:friend@example.com"], "isolated": isolated},
            **(tables or {}),
        }
    )


def chosen(engine: str, *, parallel: int = 4, commit: str = COMMIT, at_hub: bool = True) -> ResolvedModel:
    """What is served: the taught model, as if it came from a hub's repository."""
    found = asyncio.run(choose(wanted(engine, parallel=parallel), FILE, find_home(), Silent()))
    assert found.pinned is not None
    if not at_hub:
        return found
    pin = replace(found.pinned.pin, source=f"hf:{REPO}", revision=commit)
    return replace(
        found, pinned=replace(found.pinned, folder=None, pin=pin, prefix=f"models/{REPO}/{commit}")
    )


def target(
    google: Google,
    what: ResolvedModel,
    *,
    parallel: int = 4,
    token: str = "",
    isolated: bool = False,
    tables: Mapping[str, Any] | None = None,
) -> CloudRunTarget:  # Any: values of homeport.toml
    """The deployment. What is released is taken to be proven."""

    async def prove(service: Body, revision: str, url: str) -> Receipt:
        return Receipt(at="2026-11-25T00:00:01", passed=True, counts={"passed": 20})

    file = wanted(what.engine, parallel=parallel, isolated=isolated, tables=tables)
    made = CloudRunTarget(
        google=google, spec=file, spec_file=FILE, chosen=what, prove=prove,
        token=HubToken(value=Secret(token), source="env:HF_TOKEN") if token else None,
    )  # fmt: skip
    return with_gateway(with_observe(behind_its_edge(made)))
