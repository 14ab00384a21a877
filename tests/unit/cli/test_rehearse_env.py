"""`homeport rehearse env` names the project that is rehearsed on the port, without being told."""

from __future__ import annotations

import json
import os
from dataclasses import asdict

import psutil
import pytest

from homeport.cli import rehearse_background
from homeport.cli.rehearse_background import Background
from typist import Typist

_PORTS = {18811: "proj-one", 18831: "proj-two"}


def test_each_of_two_rehearsals_has_its_own_port_and_project(
    typist: Typist, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearse_background, "secret_of", lambda folder, port: f"secret of {port}")
    created = psutil.Process().create_time()
    typist.home.mkdir(parents=True, exist_ok=True)
    for port, project in _PORTS.items():
        known = Background(pid=os.getpid(), created=created, port=port, project=project)
        (typist.home / f"rehearsal-{port}.json").write_text(json.dumps(asdict(known)))
    for port, project in _PORTS.items():
        printed = typist.run("rehearse", "--port", str(port), "env").out
        assert f"export GOOGLE_CLOUD_PROJECT={project}\n" in printed
        assert f":{port}" in printed
    assert (
        "GOOGLE_CLOUD_PROJECT=mine-1\n"
        in typist.run("rehearse", "env", "--port", "18811", "--project", "mine-1").out
    )
    assert "GOOGLE_CLOUD_PROJECT=rehearsal\n" in typist.run("rehearse", "env", "--port", "18999").out
