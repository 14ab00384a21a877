"""The first two minutes with Cloud Run: `init` asks where, and `rehearse` acts out the project that the file names."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Iterator

import pytest

from homeport import spec
from homeport.free_ports import free_port
from places import TAUGHT
from schemas import ensure_valid
from user import HOMEPORT, User


@pytest.fixture
def port(user: User) -> Iterator[str]:
    yield str(free_port("127.0.0.1"))
    user.run("rehearse", "stop")


def typed(user: User, *arguments: str, says: str, **env: str) -> str:
    """What a person sees who types `says` at a terminal."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*HOMEPORT, *arguments],
        cwd=user.folder,
        env={**os.environ, **env},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.write(ours, says.encode())
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # The other end is closed: Linux says so by EIO.
                break
        assert process.wait() == 0, seen
    os.close(ours)
    return seen.decode()


def test_init_asks_for_project_and_region_and_enter_takes_what_is_shown(user: User) -> None:
    seen = typed(
        user, "init", "--on", "cloudrun", says="\neurope-west4\n", GOOGLE_CLOUD_PROJECT="from-the-env"
    )
    assert "project [from-the-env]: " in seen
    assert "region [europe-west4]: " in seen
    written = spec.load(user.folder / "homeport.toml")
    assert written.cloudrun is not None
    assert (written.cloudrun.project, written.cloudrun.region) == ("from-the-env", "europe-west4")
    assert written.model == "gemma-4-e2b"


def test_init_takes_both_without_a_question(user: User) -> None:
    seen = typed(user, "init", "--on", "cloudrun", "--project", "mine-1", "--region", "us-east4", says="")
    assert "project [" not in seen
    assert "next: homeport plan --on cloudrun" in seen


def test_the_project_of_gcloud_is_the_last_resort(user: User) -> None:
    gcloud = user.folder / "bin" / "gcloud"
    gcloud.parent.mkdir()
    gcloud.write_text('#!/bin/sh\n[ "$*" = "config get project" ] && echo of-gcloud\n')
    gcloud.chmod(0o755)
    path = f"{gcloud.parent}:{os.environ['PATH']}"
    assert "project [of-gcloud]: " in typed(user, "init", "--on", "cloudrun", says="\n\n", PATH=path)


def test_the_project_of_the_file_is_acted_out_and_no_other_in_its_place(user: User, port: str) -> None:
    user.run("init", "--on", "cloudrun", "--project", "my-project", "--model", f"file:{TAUGHT}")
    ran = user.run("rehearse", "--port", port, "plan", "--json")
    assert "this is a rehearsal" in ran.err
    ensure_valid("plan", ran.json)
    assert ran.json["facts"]["project"] == {
        "project": "my-project",
        "region": "europe-west4",
        "text": "my-project, europe-west4",
    }
    assert ran.json["problems"] == []
    assert {one["subject"]: one["verdict"] for one in ran.json["preflight"]["findings"]}["project"] == "ok"
    user.run("init", "--on", "cloudrun", "--project", "another-one", "--model", f"file:{TAUGHT}", "--force")
    told = user.run("rehearse", "--port", port, "plan", code=21).err
    assert "is the project my-project, and the file's is another-one" in told
    assert f"homeport rehearse --port {port} stop" in told


def test_a_rehearsal_that_runs_is_listed_from_any_folder_in_words_that_lead_to_it(
    user: User, port: str
) -> None:
    user.run("init", "--on", "cloudrun", "--project", "mine-1", "--model", f"file:{TAUGHT}")
    user.run("rehearse", "--port", port, "plan")
    (user.folder / "homeport.toml").unlink()
    told = user.run("rehearse", "--port", port, "list").err
    assert "no endpoint was found; `homeport rehearse up` makes one" in told
    assert "were not looked for, or not everywhere: --json names each" in told
    assert "homeport down" not in told
    assert "mine-1" in str(user.run("rehearse", "--port", port, "list", "--json").json["not_looked_for"])


def test_without_a_file_nothing_is_started(user: User) -> None:
    assert "homeport init" in user.run("rehearse", "up", code=10).err
    assert "no rehearsal runs in the background" in user.run("rehearse", "stop").out
