"""The rehearsal without homeport: as a program of its own, for anybody."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

BLOCKED = """
import sys
class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "homeport":
            raise ImportError("there is no homeport")
sys.meta_path.insert(0, Gone())
sys.argv = ["gcp_rehearsal", *sys.argv[1:]]
import runpy
runpy.run_module("gcp_rehearsal", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("caller", "kind"),
    [("me@example.com", "authorized_user"), ("ci@mine.iam.gserviceaccount.com", "service_account")],
)
def test_it_starts_without_homeport_and_hands_out_a_login(caller: str, kind: str) -> None:
    command = [sys.executable, "-c", BLOCKED, "--port", "0", "--project", "mine-1", "--as", caller]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told: dict[str, str] = {}
        while not (line := process.stdout.readline()).startswith("#"):
            assert line, "it ended"
            name, _, value = line.removeprefix("export ").strip().partition("=")
            told[name] = shlex.split(value)[0]
        url = next(word for word in line.split() if word.startswith("http")).rstrip(";")
        try:
            login = json.loads(Path(told["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
            assert (login["type"], login["token_uri"]) == (kind, f"{url}/token")
            access = Path(told["CLOUDSDK_AUTH_ACCESS_TOKEN_FILE"]).read_text()
            asked = httpx2.get(
                f"{url}/tokeninfo", params={"access_token": access},
                headers={"host": "oauth2.googleapis.com"}, trust_env=False,
            )  # fmt: skip
            assert asked.json()["email"] == caller
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert not Path(told["GOOGLE_APPLICATION_CREDENTIALS"]).exists()
    assert os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") is None


def test_a_login_that_was_handed_out_goes_also_with_one_that_is_ended_while_it_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gcp_rehearsal", "--port", "0"]
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    env = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("export ")
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0
    assert list(scratch.iterdir()) == []
