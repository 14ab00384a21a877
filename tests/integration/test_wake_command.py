"""`homeport wake`, typed by a user."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import jsonschema
import pytest

from homeport.proxy import listen
from homeport.relay.served import served
from places import ROOT
from private_service import Service, id_token
from user import User


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcloud that prints a token, whatever it is asked, and can do nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gcloud").write_text(f"#!/bin/sh\necho {id_token(1)}\n")
    (folder / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


@pytest.mark.usefixtures("logged_in")
def test_who_may_only_call_the_service_wakes_it_by_its_address(user: User) -> None:
    service = Service()
    service.starting.append(503)

    async def scene() -> str:
        async with served(service, listen(0)) as url:
            return (await asyncio.to_thread(user.run, "wake", "--url", url, "--json")).out

    printed = json.loads(asyncio.run(scene()))
    made = json.loads((ROOT / "docs" / "schemas" / "wake.json").read_text())
    jsonschema.Draft202012Validator(made).validate(printed)
    assert printed["usd_per_hour"] is None, "nobody has said what it costs"
    assert service.seen, "a token was asked for, of nobody else than the service"


@pytest.mark.usefixtures("logged_in")
def test_ctrl_c_ends_what_is_kept_awake_and_tells_what_it_came_to(user: User) -> None:
    service = Service()

    def kept_awake(url: str) -> tuple[int, str, str]:
        process = user.begin("wake", "--url", url, "--for", "2h")
        assert process.stderr is not None
        said = ""
        while "asking once a minute for 120 min" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=300)
        return process.returncode, out, rest

    async def scene() -> tuple[int, str, str]:
        async with served(service, listen(0)) as url:
            return await asyncio.to_thread(kept_awake, url)

    code, out, rest = asyncio.run(scene())
    assert code == 0, rest
    assert "is awake: its token came after" in out + rest
    assert "Traceback" not in rest


def test_what_stays_until_down_is_not_kept_awake(user: User) -> None:
    assert "scales to zero" in user.run("wake", "--for", "2h", code=64).err
    assert "is no duration" in user.run("wake", "--for", "soon", code=64).err
