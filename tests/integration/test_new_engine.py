"""An engine is added by a folder, a name and catalog data, and nothing else: it fits, plans, serves and deploys."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from places import ROOT, TAUGHT
from user import User

PARROT = ROOT / "tests" / "support" / "engines" / "parrot"
NAMES = 'NAMES = ("llamacpp", "vllm", "ollama")'
SPEC = f"""
name = "bird"
model = "file:{TAUGHT}"
[engine]
kind = "parrot"
context = 512
parallel = 2
[local]
port = 0
[cloudrun]
project = "rehearsal"
image_from = "build"
"""


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of homeport's source to which the engine was added as docs/howto/add-an-engine.md says."""
    source = tmp_path / "src"
    for package in ("homeport", "gcp_rehearsal"):
        shutil.copytree(
            ROOT / "src" / package, source / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    homeport = source / "homeport"
    data = {"cold_start.toml", "images.toml"}
    shutil.copytree(
        PARROT, homeport / "engines" / "parrot", ignore=shutil.ignore_patterns(*data, "__pycache__")
    )
    names = homeport / "engines" / "names.py"
    assert NAMES in names.read_text()
    names.write_text(names.read_text().replace(NAMES, NAMES.replace('"ollama"', '"ollama", "parrot"')))
    for table in data:
        catalog = homeport / "catalog" / table
        text = catalog.read_text()
        if table == "cold_start.toml":
            mounted = r"(\[delivery\.gcsfuse-buffered\](?:\n.+)*?\nengines = \[)"
            text, count = re.subn(mounted, r'\1"parrot", ', text)
            assert count == 1
        catalog.write_text(text + (PARROT / table).read_text())
    guard = ROOT / "tests" / "support" / "guard"
    monkeypatch.setenv("PYTHONPATH", f"{source}:{guard}:{ROOT / 'tests' / 'support'}")
    return source


def test_the_engine_is_not_there_before_it_is_added(user: User) -> None:
    user.write(SPEC)
    refused = user.run("plan", code=10)
    assert "engine.kind" in refused.err
    assert "'llamacpp', 'vllm' or 'ollama'" in refused.err


@pytest.mark.usefixtures("added")
def test_it_fits_with_its_own_arithmetic(user: User) -> None:
    looked = user.run("fit", "gemma-3-270m", "--engine", "parrot", "--parallel", "3", "--json").json
    assert {row["engine"] for row in looked["rows"]} == {"parrot"}
    (cloud,) = looked["cloudrun"].values()
    assert cloud["chosen"]["host"] == [{"what": "the cage", "bytes": 2**30, "how": "as large as it looks"}]
    assert cloud["chosen"]["concurrency"] == 3, "the most that it serves at once"
    assert cloud["chosen"]["binds"] == "parrot's limit"
    assert list(cloud["cold_starts"]) == ["gcsfuse-buffered"]
    terms = [term["name"] for term in cloud["cold_starts"]["gcsfuse-buffered"]["terms"]]
    assert terms == ["instance", "image", "engine", "fetch", "first-token"]
    assert cloud["flags"] == {"--context": "4096", "--parallel": "3"}


@pytest.mark.usefixtures("added")
def test_more_at_once_than_it_serves_is_refused_by_fit_and_by_a_plan_and_nothing_is_said_to_fit(
    user: User,
) -> None:
    why = "engine.parallel 200 cannot be honoured by parrot: it serves 3 requests at once at most"
    looked = user.run("fit", "gemma-3-270m", "--engine", "parrot", "--parallel", "200", code=None)
    assert looked.err.count(why) == 2, "on this machine and on Cloud Run"
    assert looked.code == 10
    assert not looked.out
    user.write(SPEC.replace("parallel = 2", "parallel = 200"))
    assert why in user.run("plan", code=10).err


@pytest.mark.long
@pytest.mark.usefixtures("added")
def test_it_serves_on_this_machine_and_is_asked_for_its_identity_in_its_own_way(user: User) -> None:
    user.write(SPEC)
    planned = user.run("plan", "--json").json
    assert planned["facts"]["engine"]["text"] == "parrot 1.0"
    assert planned["facts"]["on_cloudrun"]["text"].startswith("parrot on nvidia-l4")
    up = user.run("up", "--yes", "--no-verify", "--json").json
    assert up["endpoint"]["model"] == TAUGHT.stem
    assert user.run("chat", "Polly wants a cracker").out.strip() == "cracker"
    (identity,) = user.run("verify", "--only", "identity", "--json").json["results"]
    assert identity["outcome"] == "passed"
    assert identity["evidence"]["loaded"] == str(TAUGHT)
    assert user.run("status", "--json").json[0]["engine"] == "parrot"
    user.run("down", "--yes")
    assert user.run("plan", "--json").json["changes_pending"]


@pytest.mark.long
@pytest.mark.usefixtures("added")
@pytest.mark.parametrize("opened", [False, True])
def test_its_own_paths_are_asked_without_a_key(user: User, opened: bool) -> None:
    user.write(SPEC.replace("parallel = 2", 'parallel = 2\nextra_args = ["--cage-open"]') if opened else SPEC)
    user.run("up", "--yes", "--no-verify")
    report = user.run("verify", "--only", "key", "--json", code=3 if opened else 0).json
    problems = report["results"][0]["evidence"]["problems"]
    assert {problem.split()[1] for problem in problems} == ({"/cage"} if opened else set())
    user.run("down", "--yes")


@pytest.mark.usefixtures("added")
def test_its_own_words_for_a_failed_start_on_cloud_run_are_told_by_their_cause(user: User) -> None:
    likely = "from homeport.targets.cloudrun.diagnosis import Evidence, likely; print(repr(likely(Evidence(engine='parrot', "
    likely += "conditions='', lines=['the perch is too short'], facts={}))))"
    ran = subprocess.run(
        [sys.executable, "-c", likely],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=user.folder,
    )
    assert ran.stdout.startswith("MemoryTooSmall('the GPU has too little memory"), ran.stderr


def test_it_is_described_to_cloud_run_with_its_image_its_weights_and_its_memory(
    user: User, added: Path
) -> None:
    user.write(SPEC)
    script = [
        sys.executable,
        str(ROOT / "tests" / "support" / "cloudrun_body.py"),
        str(user.folder / "homeport.toml"),
    ]
    ran = subprocess.run(script, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["engine"] == "parrot"
    template = told["service"]["template"]
    (container,) = template["containers"]
    assert container["command"] == ["python3"]
    assert container["args"][:3] == ["/homeport/parrot.py", "--weights", "/models"]
    assert container["volumeMounts"] == [{"name": "weights", "mountPath": "/models"}]
    assert "enable-buffered-read=true" in template["volumes"][0]["gcs"]["mountOptions"]
    assert template["annotations"]["homeport/engine"] == "parrot"
    files = _written(told["image"])
    assert files["Dockerfile"].startswith(
        'FROM europe-west4-docker.pkg.dev/rehearsal/bird-docker-io/library/python:3.13-slim\nLABEL homeport.engine="parrot"\n'
    )
    server = added / "homeport" / "engines" / "parrot" / "server" / "parrot.py"
    assert files["files/0-parrot.py"] == server.read_text()
    assert "machineType" not in told["image"]["options"], "nothing is loaded: Cloud Build's own machine does"


def _written(build: Any) -> dict[str, str]:  # Any: JSON
    """The texts that the first step of a build writes."""
    files = json.loads(build["steps"][0]["script"].partition("FILES = ")[2].partition("\n}\n")[0] + "\n}")
    return {path: base64.b64decode(text).decode() for path, text in files.items()}


@pytest.mark.usefixtures("added")
def test_what_it_does_not_have_is_refused_with_what_it_has(user: User) -> None:
    user.write(SPEC + 'delivery = "stream"\n')
    said = user.run("plan", "--json").json["facts"]["on_cloudrun"]["text"]
    assert said == "not known: cloudrun.delivery stream cannot be honoured by parrot"
