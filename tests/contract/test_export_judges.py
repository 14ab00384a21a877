"""The exported files before judges that others wrote: of shells, of GitHub's workflows, of Dockerfiles, of secrets."""

from __future__ import annotations

import ast
import asyncio
import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployers import Deployer
from deployment import google_for
from edges import behind_its_edge
from homeport import spec
from homeport.export import KINDS, export
from homeport.home import find_home
from homeport.progress import Silent
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.secret import Secret
from homeport.targets.cloudrun.guard.guarded import with_gateway
from homeport.targets.cloudrun.hub_token import HubToken
from homeport.targets.cloudrun.model_selection import choose
from homeport.targets.cloudrun.observe.target import with_observe
from places import ROOT

JUDGES = ROOT / ".cache" / "export-judges" / "bin"
pytestmark = [
    pytest.mark.judges,
    pytest.mark.skipif(not (JUDGES / "zizmor").exists(), reason="`make test-judges` makes what it needs"),
]
TOKEN = "hf_" + "aZ9" * 11 + "Q"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "ollama": {"engine": "ollama"},
    "vllm": {"engine": "vllm"},
    "isolated": {"engine": "vllm", "access": {"isolated": True}},
    "observed": {"engine": "vllm", "observe": {"alerts": ["mailto:ops@example.com"], "budget": 50}},
    "guarded": {"engine": "vllm", "access": {"isolated": True}, "guard": {}},
    "edge": {"engine": "vllm", "edge": {"domain": "llm.example.com", "requests_per_minute": 60}},
    "edge_regional": {
        "engine": "vllm",
        "edge": {"domain": "llm.example.com", "requests_per_minute": 60, "kind": "regional"},
    },
}


def files(engine: str, **sections: Any) -> Iterator[tuple[str, str]]:  # Any: tables of homeport.toml
    """All exports of a deployment, with a token, and weights from a hub where they are in a bucket."""
    deployer = Deployer(engine)
    access = {"callers": ["user:friend@example.com"], **sections.get("access", {})}
    wanted = spec.parse({**deployer.wanted().model_dump(), "cloudrun": {}, **sections, "access": access})
    chosen = asyncio.run(choose(wanted, Path("/x/homeport.toml"), find_home(), Silent()))
    target = deployer.target(google_for(deployer.cloud), chosen, wanted)
    with_token = replace(target, token=HubToken(value=Secret(TOKEN), source="env:HF_TOKEN"))
    things = with_gateway(with_observe(behind_its_edge(with_token))).resources()
    if engine == "vllm":
        things = [
            replace(one, folder=None, pin=replace(one.pin, source="hf:own/model"))
            if isinstance(one, StoredWeights)
            else one
            for one in things
        ]
    for kind in set(KINDS) - ({"knative"} if wanted.edge else set()):
        for name, text in export(kind, things).items():
            if not name.endswith(
                ".whl.b64"
            ):  # Homeport itself: in so many letters there is one like any secret.
                yield f"{kind}/{name}", text


@pytest.fixture(scope="module", params=VARIANTS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them; what is within a file for another program, such as a step's script, in its own."""
    here = tmp_path_factory.mktemp(request.param)
    for name, text in files(**VARIANTS[request.param]):
        path = here / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.suffix in {".yaml", ".yml"}:
            for place, (inner, content) in enumerate(_within(yaml.safe_load(text))):
                (path.parent / f"{path.name}-{place}-{inner}").write_text(content)
    return here


def _within(value: Any) -> Iterator[tuple[str, str]]:  # Any: YAML
    """Scripts of shells, and files that a step writes."""
    if isinstance(value, list):
        for one in value:
            yield from _within(one)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "script" and "python" in inner.partition("\n")[0]:
            for name, text in _written(inner):
                yield name.replace("/", "-"), text
        elif key in {"script", "run"}:
            yield "script.sh", inner if inner.startswith("#!") else f"#!/usr/bin/env bash\n{inner}"
        elif key == "args" and inner[:1] == ["-ec"]:
            yield "args.sh", f"#!/usr/bin/env bash\n{inner[1]}"
        yield from _within(inner)


def _written(script: str) -> Iterator[tuple[str, str]]:
    found = re.search(r"^FILES = (\{.*?^\})", script, re.MULTILINE | re.DOTALL)
    for name, text in ast.literal_eval(found[1]).items() if found else ():
        yield name, base64.b64decode(text).decode()


def judged(judge: str, *arguments: str | Path, at: Path) -> str:
    """What a judge says that finds nothing wrong."""
    command = [str(JUDGES / judge), *map(str, arguments)]
    ran = subprocess.run(command, cwd=at, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_shellcheck_has_nothing_to_say_of_any_script(folder: Path) -> None:
    scripts = sorted(folder.rglob("*.sh"))
    assert len(scripts) > 8
    judged("shellcheck", *scripts, at=folder)


def test_zizmor_at_its_most_pedantic_has_nothing_to_say_of_the_workflow(folder: Path) -> None:
    judged("zizmor", "--offline", "--persona=pedantic", "--no-progress", "github", at=folder)


def test_hadolint_has_nothing_to_say_of_what_is_built(folder: Path) -> None:
    found = list(folder.rglob("*-Dockerfile"))
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    assert bool(found) is any(
        "docker build" in text or "gcr.io/cloud-builders/docker" in text for text in texts
    )
    if found:
        judged("hadolint", *found, at=folder)


def test_detect_secrets_finds_none_and_would_have_found_the_token(folder: Path) -> None:
    # Digests and files within builds are as random as a secret is, to what only measures how random a text is.
    arguments = ("scan", "--all-files", "--disable-plugin", "HexHighEntropyString", "--disable-plugin", "Base64HighEntropyString", ".")  # fmt: skip
    results = json.loads(judged("detect-secrets", *arguments, at=folder))["results"]
    # What a secret is called is none; within a script no line of it is told.
    name = hashlib.sha1(b"home-observe", usedforsecurity=False).hexdigest()
    others = [one for all_ in results.values() for one in all_ if one["hashed_secret"] != name]
    assert not [
        one for one in others if "secretName: home-observe" not in (folder / one["filename"]).read_text()
    ]
    assert {one["type"] for one in others} <= {"Secret Keyword"}
    assert not any(TOKEN in path.read_text() for path in folder.rglob("*") if path.is_file())
    careless = folder / "careless"
    careless.mkdir()
    (careless / "deploy.sh").write_text(f'hub_secret="{TOKEN}"\n')
    found = json.loads(judged("detect-secrets", *arguments, at=careless))["results"]
    assert found.keys() == {"deploy.sh"}, "else it could not find any"
