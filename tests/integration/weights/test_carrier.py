"""The carrier's script by itself: handed over as text, run by a plain Python."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path
from random import Random
from typing import Any

import pytest

from building import ACCOUNT, BUCKET, PIECE, Place, place
from homeport.errors import WeightsError
from homeport.weights.manifest import PinnedFile
from homeport.weights.transfer import Job, http, script
from hub import Answer

DATA = Random(3).randbytes(PIECE * 2 + 1)
SHA = hashlib.sha256(DATA).hexdigest()
FILE = PinnedFile(path="a/model.gguf", size=len(DATA), sha256=SHA)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all of them: no test leaves what another would find."""
    with place(tmp_path_factory.mktemp("place")) as here:
        yield here


def run(here: Place, folder: Path, job: Job, **env: str) -> subprocess.CompletedProcess[str]:
    """The script with a job, as a step of a build runs it."""
    told = {
        "HOMEPORT_JOB": job.step()["env"][0].removeprefix("HOMEPORT_JOB=").replace("$$", "$"),
        "CLOUDSDK_AUTH_ACCESS_TOKEN": here.cloud.token(ACCOUNT),
        "STORAGE_EMULATOR_HOST": here.url,
        "HOMEPORT_PAUSE_S": "0.01",
        "HOMEPORT_PIECE": str(PIECE),
        "HF_ENDPOINT": here.hub.address,
    }
    path = folder / "step.py"
    path.write_text(script())
    return subprocess.run(
        [sys.executable, "-I", str(path)], env={**told, **env}, capture_output=True, text=True, timeout=300, check=False
    )  # fmt: skip


def test_the_script_stands_alone() -> None:
    text = script()
    assert text.startswith("#!/usr/bin/env python3\n")
    assert "from homeport" not in text
    assert "import homeport" not in text
    compile(text, "carry", "exec")


def test_a_gguf_of_the_hub_comes_into_a_folder_under_another_name(here: Place, tmp_path: Path) -> None:
    commit = here.hub.push("org/name", {FILE.path: DATA})
    here.hub.faults(FILE.path).cuts = [PIECE]
    job = Job(origin=f"hf:org/name@{commit}", goal=str(tmp_path), files=(FILE,), renamed="model.gguf")
    ran = run(here, tmp_path, job)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "model.gguf").read_bytes() == DATA
    assert "all of it is there" in ran.stdout


def test_a_gguf_of_a_bucket_comes_into_a_folder(here: Place, tmp_path: Path) -> None:
    async def put() -> None:
        async with here.google() as google:
            await google.upload(BUCKET, "mine/a/model.gguf", DATA)

    here.act(put())
    job = Job(origin=f"gs://{BUCKET}/mine", goal=str(tmp_path), files=(FILE,), renamed="model.gguf")
    ran = run(here, tmp_path, job)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert (tmp_path / "model.gguf").read_bytes() == DATA


def test_one_bucket_is_copied_into_another_place_by_cloud_storage(here: Place, tmp_path: Path) -> None:
    async def put() -> int:
        async with here.google() as google:
            return int((await google.upload(BUCKET, "public/a/model.gguf", DATA))["generation"])

    file = PinnedFile(path=FILE.path, size=len(DATA), sha256=None, generation=here.act(put()))
    job = Job(origin=f"gs://{BUCKET}/public", goal=f"gs://{BUCKET}/models/x/1", files=(file,))
    ran = run(here, tmp_path, job)
    assert ran.returncode == 0, ran.stdout
    assert "copied by Cloud Storage" in ran.stdout
    assert here.object("models/x/1/a/model.gguf") == DATA


def test_a_gguf_of_a_bucket_without_a_sha256_is_held_against_its_md5(here: Place, tmp_path: Path) -> None:
    async def put() -> str:
        async with here.google() as google:
            return str((await google.upload(BUCKET, "mine/a/model.gguf", DATA))["md5Hash"])

    for md5, code in ((here.act(put()), 0), ("AAAAAAAAAAAAAAAAAAAAAA==", WeightsError.exit_code)):
        file = PinnedFile(path=FILE.path, size=len(DATA), sha256=None, md5=md5)
        job = Job(origin=f"gs://{BUCKET}/mine", goal=str(tmp_path), files=(file,), renamed="model.gguf")
        ran = run(here, tmp_path, job)
        assert ran.returncode == code, ran.stdout
    assert f"should have {md5}" in ran.stdout


def test_a_damaged_gguf_never_has_its_name(here: Place, tmp_path: Path) -> None:
    commit = here.hub.push("org/name", {FILE.path: DATA})
    here.hub.faults(FILE.path).damaged = 9
    job = Job(origin=f"hf:org/name@{commit}", goal=str(tmp_path), files=(FILE,), renamed="model.gguf")
    ran = run(here, tmp_path, job)
    assert ran.returncode == WeightsError.exit_code
    assert f"should have {SHA}" in ran.stdout
    assert not (tmp_path / "model.gguf").exists()
    here.hub.faults(FILE.path).damaged = 0


def test_a_file_that_is_shorter_than_pinned_is_damaged_not_waited_for(here: Place, tmp_path: Path) -> None:
    short = DATA[:-5]
    commit = here.hub.push("org/short", {FILE.path: short})
    ran = run(here, tmp_path, Job(origin=f"hf:org/short@{commit}", goal=str(tmp_path), files=(FILE,)))
    assert ran.returncode == WeightsError.exit_code
    assert f"{len(short)} bytes, should have {SHA} and {len(DATA)} bytes, twice" in ran.stdout


def test_a_file_that_is_not_there_is_named(here: Place, tmp_path: Path) -> None:
    commit = here.hub.push("org/name", {"other.gguf": DATA})
    ran = run(here, tmp_path, Job(origin=f"hf:org/name@{commit}", goal=str(tmp_path), files=(FILE,)))
    assert ran.returncode == WeightsError.exit_code
    assert f"homeport: the hub has no {FILE.path} in org/name at {commit} (HTTP 404)" in ran.stdout


def test_a_disk_that_is_full_ends_it_at_once_and_in_words(here: Place, tmp_path: Path) -> None:
    waiting = replace(FILE, path="b/model.gguf")
    commit = here.hub.push("org/two", {FILE.path: DATA, waiting.path: DATA})
    for file in (FILE, waiting):
        (tmp_path / file.path).parent.mkdir()
    (tmp_path / f"{FILE.path}.part").symlink_to("/dev/full")
    os.mkfifo(tmp_path / f"{waiting.path}.part")  # Nobody reads it: this file never ends by itself.
    ran = run(here, tmp_path, Job(origin=f"hf:org/two@{commit}", goal=str(tmp_path), files=(FILE, waiting)))
    assert ran.returncode == 1
    assert "homeport: the files could not be brought: OSError: [Errno 28] No space left" in ran.stdout
    assert "Traceback" not in ran.stdout + ran.stderr


def test_a_hub_out_of_reach_is_told_and_waited_for_no_longer_than_said(here: Place, tmp_path: Path) -> None:
    job = Job(origin=f"hf:org/name@{'0' * 40}", goal=str(tmp_path), files=(FILE,), renamed="model.gguf")
    began = time.monotonic()
    ran = run(here, tmp_path, job, HF_ENDPOINT="http://127.0.0.1:9")
    assert ran.returncode == 19
    assert "could not be reached for a/model.gguf" in ran.stdout
    assert time.monotonic() - began < 100, "with its usual pauses it takes two minutes"


def test_without_a_token_of_its_own_it_asks_the_metadata_server(here: Place, tmp_path: Path) -> None:
    asked: list[dict[str, str]] = []

    def metadata(answer: Answer) -> None:
        asked.append(dict(answer.headers))
        answer.json({"access_token": here.cloud.token(ACCOUNT), "expires_in": 3600})

    host = here.hub.listen(metadata).removeprefix("http://")
    commit = here.hub.push("org/name", {FILE.path: DATA})
    job = Job(origin=f"hf:org/name@{commit}", goal=f"gs://{BUCKET}/models/x/1", files=(FILE,))
    ran = run(here, tmp_path, job, CLOUDSDK_AUTH_ACCESS_TOKEN="", GCE_METADATA_HOST=host)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert here.object("models/x/1/a/model.gguf") == DATA
    assert [headers["Metadata-Flavor"] for headers in asked] == ["Google"]


def test_it_holds_a_few_pieces_and_never_a_whole_file(here: Place, tmp_path: Path) -> None:
    """A file of 64 MB in pieces of 256 KiB, by a process that may have 48 MB more than Python itself takes."""
    big = Random(4).randbytes(1 << 20) * 64
    file = PinnedFile(path="big.gguf", size=len(big), sha256=hashlib.sha256(big).hexdigest())
    commit = here.hub.push("org/big", {file.path: big})
    job = Job(origin=f"hf:org/big@{commit}", goal=f"gs://{BUCKET}/models/big/1", files=(file,))
    path = tmp_path / "step.py"
    tell = "\nsay('peak ' + open('/proc/self/status').read().partition('VmHWM:')[2].split()[0])\n"
    path.write_text(
        script().replace('if __name__ == "__main__":\n    sys.exit(main(os.environ))', "main(os.environ)")
        + tell
    )
    env = {
        "HOMEPORT_JOB": job.step()["env"][0].removeprefix("HOMEPORT_JOB="), "HF_ENDPOINT": here.hub.address,
        "CLOUDSDK_AUTH_ACCESS_TOKEN": here.cloud.token(ACCOUNT), "STORAGE_EMULATOR_HOST": here.url,
        "HOMEPORT_PIECE": str(PIECE * 8),
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, "-I", str(path)], env=env, capture_output=True, text=True, timeout=300, check=True
    )
    assert int(ran.stdout.rpartition("peak ")[2]) < 64 * 1024, "kB: less than the file alone"
    assert here.object("models/big/1/big.gguf") == big


def test_dollars_in_a_job_are_no_substitutions() -> None:
    files = (PinnedFile(path="$HOME/${X}.gguf", size=1, sha256=None),)
    step = Job(origin="gs://b/p", goal="/workspace", files=files).step()
    assert "$$HOME/$${X}.gguf" in step["env"][0]
    assert "$" not in step["script"]


def test_more_files_than_a_build_can_be_told_of_are_refused() -> None:
    files = tuple(PinnedFile(path=f"{number:060}.bin", size=1, sha256="0" * 64) for number in range(600))
    with pytest.raises(WeightsError, match="600 files"):
        Job(origin="gs://b/p", goal="/workspace", files=files).step()


def test_a_job_is_one_table_of_json() -> None:
    step: dict[str, Any] = Job(origin="gs://b/p", goal="gs://b/q", files=(FILE,), source="gs://b/p").step(
        token=True
    )
    assert step["secretEnv"] == ["HF_TOKEN"]
    told = json.loads(step["env"][0].partition("=")[2])
    assert told["files"] == [{"path": FILE.path, "size": FILE.size, "sha256": FILE.sha256}]


@pytest.mark.parametrize("refusals", [0, 3])
def test_a_grant_that_is_not_seen_yet_is_waited_for(refusals: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _refusing(monkeypatch, refusals)
    storage = http.Storage({"CLOUDSDK_AUTH_ACCESS_TOKEN": "t", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    found: object = storage.ask("GET", "http://127.0.0.1:1/x", None, {})
    assert found == "there"
    assert len(asked) == refusals + 1


def test_a_grant_that_is_never_seen_is_a_refusal_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "GRANTED_WITHIN_S", 0.05)
    _refusing(monkeypatch, 10_000)
    storage = http.Storage({"CLOUDSDK_AUTH_ACCESS_TOKEN": "t", "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1"})
    with pytest.raises(urllib.error.HTTPError):
        storage.ask("GET", "http://127.0.0.1:1/x", None, {})


def _refusing(monkeypatch: pytest.MonkeyPatch, times: int) -> list[str]:
    asked: list[str] = []

    def ask(method: str, url: str, *_: object) -> str:
        asked.append(url)
        if len(asked) <= times:
            raise urllib.error.HTTPError(url, 403, "no", Message(), None)
        return "there"

    monkeypatch.setattr(http, "ask", ask)
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.001)
    return asked
