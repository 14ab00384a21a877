"""What `prepare.sh` makes of a service that is not ready, and of a path that the caller gives."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from homeport.export.gcloud_edge import functions
from homeport.export.shell import script

GCLOUD = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in
  *" describe nobody "*) echo "ERROR: NOT_FOUND: Resource 'nobody' does not exist" >&2; exit 1 ;;
  *" describe "*)
    echo "status.conditions[0].message: it did not listen on its port"
    echo "status.conditions[0].status: $READY"
    echo "status.conditions[0].type: Ready" ;;
esac
"""


def run(folder: Path, *lines: str, ready: str = "True", key: str = "") -> tuple[str, str]:
    """What a script of these lines says, called from another folder than its own; and what gcloud was asked."""
    there, bin_, asked = folder / "there", folder / "bin", folder / "asked"
    for one in (there, bin_, there / "us-central1"):
        one.mkdir()
    (bin_ / "gcloud").write_text(GCLOUD)
    (bin_ / "gcloud").chmod(0o755)
    (folder / "own.key").write_text("as PEM")
    asked.touch()
    (there / "prepare.sh").write_text(script("rehearsal", "", list(lines)))
    own = {"PATH": f"{bin_}:{os.environ['PATH']}", "ASKED": str(asked), "READY": ready, "TLS_KEY_FILE": key}
    ended = subprocess.run(
        ["bash", "there/prepare.sh"], cwd=folder, env={**os.environ, **own}, capture_output=True, text=True,
        check=False, timeout=600,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return ended.stderr, asked.read_text()


def test_the_path_of_a_key_is_meant_from_the_callers_folder_in_each_region(tmp_path: Path) -> None:
    region = ["cd us-central1", "certificate in-a-region", "cd .."]
    lines = ["cd us-central1", "cd ..", *functions(), "certificate own", *region]
    _, asked = run(tmp_path, *lines, key="own.key")
    assert asked.count(f"--private-key={tmp_path / 'own.key'}\n") == 2


@pytest.mark.parametrize(
    ("service", "ready", "says"),
    [
        ("home", "True", "led"),
        ("home", "False", "! service home in us-central1 is not ready: it did not listen on its port\nheld"),
        (
            "home",
            "Unknown",
            "! service home in us-central1 is not ready: it did not listen on its port\nheld",
        ),
        ("nobody", "True", "! service nobody in us-central1 is not there yet\nheld"),
    ],
)
def test_nobody_is_led_to_a_service_that_is_not_ready_and_why_is_said(
    tmp_path: Path, service: str, ready: str, says: str
) -> None:
    said, _ = run(tmp_path, f"if serves {service} us-central1; then say led; else say held; fi", ready=ready)
    assert said.strip() == says
