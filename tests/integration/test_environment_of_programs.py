"""What programs see of the environment that homeport was started in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from homeport.child_environment import inherited
from homeport.engines import registry
from homeport.google.gcloud import find
from homeport.weights.sources import pip
from places import TAUGHT
from planted_variables import PLANTED
from user import User


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("planted")
def test_a_real_engine_has_none_of_the_variables_that_are_not_on_its_list(user: User) -> None:
    """Also not the one that holds its own key, though a pattern would take it."""
    user.write(
        f'model = "file:{TAUGHT}"\n[engine]\ncontext = 512\n[local]\nport = 0\napi_key = "env:OMP_PLANTED"\n'
    )
    user.run("up", "--yes", "--no-verify")
    leader = psutil.Process(user.run("status", "--json").json[0]["pid"])
    for process in (leader, *leader.children(recursive=True)):
        environment = process.environ()
        assert PLANTED.keys().isdisjoint(environment)
        assert "planted" not in " ".join(environment.values())
        assert environment["PATH"] == os.environ["PATH"]
        assert environment["PYTHONPATH"] == os.environ["PYTHONPATH"], (
            "which keeps engines of tests off the network"
        )
        allowed = {*inherited(registry.module("llamacpp").INHERITS), "GGML_NO_BACKTRACE", "GOMP_SPINCOUNT"}
        assert {name for name in environment if name not in allowed} <= {
            "HOMEPORT_ENDPOINT_FOLDER",
            "PYTHONUNBUFFERED",
        }


@pytest.mark.usefixtures("planted")
def test_pip_has_the_settings_of_the_user_and_none_of_their_other_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setenv("PIP_INDEX_TOKEN", "of-pip")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with pytest.raises(Exception, match="pip"):
        pip.resolve("anything")
    told = seen.read_text()
    assert "PIP_INDEX_TOKEN=of-pip" in told
    assert "HTTPS_PROXY=http://127.0.0.1:9" in told
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "CLOUDSDK_AUTH_ACCESS_TOKEN"):
        assert name not in told


@pytest.mark.usefixtures("planted")
def test_gcloud_has_what_is_its_own_and_none_of_the_other_secrets(tmp_path: Path) -> None:
    command = tmp_path / "gcloud"
    command.write_text(f"#!/bin/sh\nenv > {tmp_path / 'seen'}\necho someone@example.com\n")
    command.chmod(0o755)
    found = find({**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert found is not None
    assert found.who() == "someone@example.com"
    told = (tmp_path / "seen").read_text()
    assert "CLOUDSDK_AUTH_ACCESS_TOKEN=ya29.planted" in told
    for name in ("OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        assert name not in told
