"""Builds that really run in the rehearsal: scripts of Python, and images of files."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from building import ACCOUNT, REGION, VERSION, Place, place
from gcloud import needs_gcloud, served
from gcp_rehearsal.runtime.build.dockerfile import BuildRefused, copied, parse
from homeport.cli.rehearse_programs import programs
from homeport.errors import OperationFailed
from homeport.google import Google
from homeport.google.credentials import from_access_token
from homeport.resources.google.build import Build
from processes_of import lives

PYTHON, DOCKER = "python:3.12-slim", "gcr.io/cloud-builders/docker"
REFERENCE = f"{REGION}-docker.pkg.dev/rehearsal/home/app:1"
BUILDS = f"v1/projects/rehearsal/locations/{REGION}/builds"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("homeport.resources.google.build.FIRST_LOOK_S", 0.05)
    with place(tmp_path) as here:
        yield here


def python(*lines: str) -> str:
    return "\n".join(("#!/usr/bin/env python3", *lines))


def ran(here: Place, *steps: dict[str, Any], mark: str = "one", **body: Any) -> Any:  # Any: JSON
    async def work() -> Any:  # Any: JSON
        async with here.google() as google:
            whole = {
                "steps": list(steps),
                "options": {"logging": "CLOUD_LOGGING_ONLY"},
                "serviceAccount": f"projects/rehearsal/serviceAccounts/{ACCOUNT}",
                **body,
            }
            return await Build(google=google, region=REGION, mark=mark, what="the build", body=whole).run({})

    return here.act(work())


def test_a_script_runs_with_what_cloud_build_gives_it_and_nothing_else(here: Place) -> None:
    script = python(
        "import json, os, sys",
        "print(json.dumps({'env': dict(os.environ), 'cwd': os.getcwd(), 'isolated': sys.flags.isolated}))",
    )
    step = {"name": PYTHON, "script": script, "env": ["A=b=$$c"], "secretEnv": ["HF_TOKEN"]}
    secrets = {"secretManager": [{"versionName": VERSION, "env": "HF_TOKEN"}]}
    build = ran(here, step, availableSecrets=secrets)
    assert build["status"] == "SUCCESS"
    told = json.loads(next(line for line in here.lines() if line.startswith('{"env"')))
    assert told["env"]["A"] == "b=$c"
    assert told["env"]["HF_TOKEN"].startswith("hf_")
    assert told["env"]["CLOUDSDK_AUTH_ACCESS_TOKEN"] == here.cloud.token(ACCOUNT)
    assert told["env"]["STORAGE_EMULATOR_HOST"] == here.url
    assert told["env"]["HF_ENDPOINT"] == here.hub.address
    assert "PYTHONPATH" not in told["env"]
    assert told["isolated"] == 1
    assert told["cwd"].endswith("/workspace")


def test_steps_share_a_workspace_that_goes_with_the_build(here: Place, tmp_path: Path) -> None:
    write = {"name": PYTHON, "script": python("open('/workspace/a', 'w').write('left')")}
    code = (
        "import os, sys; sys.exit(open('/workspace/a').read() != 'left' or not os.getcwd().endswith('/sub'))"
    )
    read = {
        "name": PYTHON,
        "entrypoint": "python3",
        "args": ["-c", code.replace("/workspace/", "../")],
        "dir": "sub",
    }
    assert ran(here, write, read)["status"] == "SUCCESS"
    assert list((tmp_path / "builds").iterdir()) == []


def test_a_script_that_fails_fails_the_build_with_its_last_lines(here: Place) -> None:
    with pytest.raises(OperationFailed, match=r"(?s)the build failed: .*status: 7.*\n  it went wrong"):
        ran(here, {"name": PYTHON, "script": python("print('it went wrong')", "raise SystemExit(7)")})


def test_a_step_has_this_machines_time_and_no_more(here: Place) -> None:
    script = python("import time", "time.sleep(600)")
    with pytest.raises(OperationFailed, match="timed out"):
        ran(here, {"name": PYTHON, "script": script}, timeout="1s")


def test_the_cloud_answers_while_a_step_runs_and_a_cancelled_one_is_killed(
    here: Place, tmp_path: Path
) -> None:
    """The step says that it lives by a file; it is gone when its workspace is."""
    script = python("import time", "open('/workspace/alive', 'w').close()", "time.sleep(600)")

    def cancel() -> None:
        while not list((tmp_path / "builds").glob("*/workspace/alive")):
            threading.Event().wait(0.02)

        async def work() -> None:
            async with here.google() as google:
                await google.post("cloudbuild", f"{BUILDS}/{here.builds()[0]['id']}:cancel", {})

        here.act(work())

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(OperationFailed, match="CANCELLED"):
        ran(here, {"name": PYTHON, "script": script})
    thread.join()
    assert list((tmp_path / "builds").iterdir()) == []


def test_what_is_no_python_is_not_rehearsed_and_says_so(here: Place) -> None:
    with pytest.raises(OperationFailed, match="is no Python, and is not rehearsed"):
        ran(here, {"name": PYTHON, "script": "#!/bin/sh\necho hello"})


def test_an_image_that_no_step_has_built_is_not_pushed(here: Place) -> None:
    step = {"name": PYTHON, "script": python("pass")}
    with pytest.raises(OperationFailed, match="An image does not exist locally"):
        ran(here, step, images=[REFERENCE])
    assert not (here.cloud.folder / "images").exists()


def test_a_build_may_push_by_itself(here: Place) -> None:
    write = python("open('/workspace/Dockerfile', 'w').write('FROM scratch\\nCMD [\"x\"]\\n')")
    ran(
        here,
        {"name": PYTHON, "script": write},
        {"name": DOCKER, "args": ["build", "-t", REFERENCE, "."]},
        {"name": DOCKER, "args": ["push", REFERENCE]},
    )
    (table,) = (here.cloud.folder / "images").glob("*/image.json")
    assert json.loads(table.read_text())["cmd"] == ["x"]


WRITE = python("open('/workspace/Dockerfile', 'w').write('FROM scratch\\nCMD [\"x\"]\\n')")


def shell(text: str) -> dict[str, Any]:
    return {"name": DOCKER, "entrypoint": "bash", "args": ["-ec", text]}


def test_a_script_of_a_shell_may_build_and_push_or_leave_it_out(here: Place) -> None:
    """What it asks of docker is done when it has ended; other commands run as they stand."""
    text = f"if [ -e there ]; then exit 0; fi\ntouch there\ndocker build -t {REFERENCE} .\ndocker push {REFERENCE}\n"
    ran(here, {"name": PYTHON, "script": WRITE}, shell(text), shell(text))
    (table,) = (here.cloud.folder / "images").glob("*/image.json")
    assert json.loads(table.read_text())["cmd"] == ["x"]
    assert sum("Successfully tagged" in line for line in here.lines()) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("docker run x", "not `docker run`"),
        (f"docker push {REFERENCE}", "does not exist locally"),
        ("docker build -t a:1 .; exit 3", "status: 3"),
    ],
)
def test_a_script_of_a_shell_fails_as_its_commands_do(here: Place, text: str, why: str) -> None:
    with pytest.raises(OperationFailed, match=why):
        ran(here, {"name": PYTHON, "script": WRITE}, shell(text))
    assert not (here.cloud.folder / "images").exists()


@needs_gcloud
def test_a_script_of_gclouds_image_runs_this_machines_gcloud_as_the_builds_account(here: Place) -> None:
    step = {
        "name": "gcr.io/google.com/cloudsdktool/google-cloud-cli:slim",
        "script": "#!/usr/bin/env bash\ngcloud storage buckets list --format='value(name)' 2>&1 | tee /workspace/said || true\n",
    }
    ran(here, step)
    assert any(ACCOUNT in line and "storage.buckets.list" in line for line in here.lines()), here.lines()


def test_the_version_of_a_secret_may_be_a_substitution(here: Place) -> None:
    step = {"name": PYTHON, "script": python("import os", "print(len(os.environ['T']))"), "secretEnv": ["T"]}
    secret = {"versionName": VERSION.replace("/1", "/${_NUMBER}"), "env": "T"}
    ran(here, step, availableSecrets={"secretManager": [secret]}, substitutions={"_NUMBER": "1"})
    with pytest.raises(OperationFailed):
        ran(
            here,
            step,
            availableSecrets={"secretManager": [secret]},
            substitutions={"_NUMBER": "2"},
            mark="two",
        )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no instructions"),
        ("RUN x", "no build stage"),
        ("FROM a\nFROM b", "one stage"),
        ("FROM a AS b", "one stage"),
        ("FROM a\nADD http://x /", "knows no ADD"),
        ("FROM a\nENV A", "NAME=VALUE"),
        ('FROM a\nENV A="', "ENV A"),
        ("FROM a\nCOPY --from=b /x /y", "does not know COPY"),
        ("FROM a\nCOPY x", "at least two"),
        ("FROM a\nCMD [1,", "no list"),
    ],
)
def test_a_dockerfile_beyond_what_is_rehearsed_is_refused(text: str, why: str) -> None:
    with pytest.raises(BuildRefused, match=why):
        parse(text)


def test_what_is_copied_stays_inside(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "secret").write_text("x")
    for line in ("COPY ../secret /x", "COPY nothing /x"):
        with pytest.raises(BuildRefused, match="not found"):
            copied(parse(f"FROM a\n{line}"), tmp_path / "context", tmp_path / "root")
    (tmp_path / "context/a").write_text("x")
    with pytest.raises(BuildRefused, match="leaves the image"):
        copied(parse("FROM a\nCOPY a /../../x"), tmp_path / "context", tmp_path / "root")


def test_a_dockerfile_is_read_as_docker_reads_it() -> None:
    image = parse(
        'FROM europe-docker.pkg.dev/p/r/vllm/vllm-openai:v1@sha256:00\n# a comment\nWORKDIR /srv\nCOPY a.py \\\n  b.py ./\n'
        'ENV A=1 B="two words"\nUSER nobody\nEXPOSE 8080\nRUN anything && else\nENTRYPOINT ["python3", "a.py"]\n'
    )  # fmt: skip
    assert image.entrypoint == ["python3", "a.py"]
    assert image.cmd == []
    assert image.env == {"A": "1", "B": "two words"}
    assert image.copies == [("a.py", "/srv/./"), ("b.py", "/srv/./")]
    assert parse("FROM mirror/vllm/vllm-openai:v1", programs()).entrypoint == ["vllm", "serve"]
    assert parse("FROM mirror/vllm/vllm-openai:v1").entrypoint == []
    assert parse("FROM a\nCMD run me").cmd == ["/bin/sh", "-c", "run me"]


BUILDER = "builder@rehearsal.iam.gserviceaccount.com"


async def prepared(url: str, token: str) -> Google:
    """The owner's door to a rehearsal that is served, with an account that builds can run as."""
    google = Google(from_access_token(token, "you"), project="rehearsal", base_url=url).patient(10)
    services = {"serviceIds": ["cloudbuild.googleapis.com", "iam.googleapis.com"]}
    operation = await google.post("serviceusage", "v1/projects/rehearsal/services:batchEnable", services)
    await google.finish("serviceusage", operation)
    body = {"accountId": "builder", "serviceAccount": {}}
    await google.post("iam", "v1/projects/rehearsal/serviceAccounts", body)
    return google


def body_of(*lines: str) -> dict[str, Any]:
    return {
        "steps": [{"name": PYTHON, "script": python(*lines)}],
        "options": {"logging": "NONE"},
        "serviceAccount": f"projects/rehearsal/serviceAccounts/{BUILDER}",
    }


def test_the_rehearsal_that_is_served_runs_builds_too(tmp_path: Path) -> None:
    async def work(url: str, token: str) -> None:
        async with await prepared(url, token) as google:
            body = body_of("raise SystemExit(5)")
            await Build(google=google, region=REGION, mark="one", what="the build", body=body).run({})

    with served(tmp_path) as rehearsal, pytest.raises(OperationFailed, match="status: 5"):
        asyncio.run(work(rehearsal.url, rehearsal.token()))


def test_no_step_outlives_the_rehearsal(tmp_path: Path) -> None:
    alive = tmp_path / "alive"

    async def work(url: str, token: str) -> None:
        async with await prepared(url, token) as google:
            lines = (
                "import os, time",
                f"open({str(alive)!r}, 'w').write(str(os.getpid()) + '.')",
                "time.sleep(600)",
            )
            await google.post("cloudbuild", BUILDS, body_of(*lines))
            while not alive.exists() or not alive.read_text().endswith("."):
                await google.pages("cloudbuild", BUILDS, "builds").__anext__()

    with served(tmp_path) as rehearsal:
        asyncio.run(work(rehearsal.url, rehearsal.token()))
        pid = int(alive.read_text()[:-1])
        assert lives(pid)
    assert not lives(pid)
