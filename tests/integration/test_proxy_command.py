"""`homeport proxy`, typed by a user who is logged in to gcloud."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx2
import openai
import pytest

from homeport.proxy import listen
from homeport.relay.served import served
from private_service import MODEL, YOU, Service, id_token
from schemas import ensure_valid
from user import User

_T = TypeVar("_T")


@pytest.fixture
def logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcloud that prints a token, whatever it is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gcloud").write_text(f"#!/bin/sh\necho {id_token(1)}\n")
    (folder / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def with_proxy(
    user: User, service: Service, act: Callable[[str, str], _T], *arguments: str
) -> tuple[_T, subprocess.CompletedProcess[str]]:
    """What `act` came to with the proxy's address and key, and how the command ended after Ctrl-C."""

    async def scene() -> tuple[_T, subprocess.CompletedProcess[str]]:
        async with served(service, listen(0)) as url:
            process = user.begin("proxy", "--port", "0", "--url", url, *arguments)
            assert process.stdout is not None
            assert process.stderr is not None
            try:
                line = await asyncio.to_thread(process.stdout.readline)
                address = line.strip().removeprefix("export OPENAI_BASE_URL=")
                second = await asyncio.to_thread(process.stdout.readline)
                key = second.strip().removeprefix("export OPENAI_API_KEY=")
                line += second
                came = await asyncio.to_thread(act, address, key)
            finally:
                process.send_signal(signal.SIGINT)
                out, err = line + process.stdout.read(), process.stderr.read()
                process.stdout.close()
                process.stderr.close()
                code = process.wait()
            return came, subprocess.CompletedProcess(process.args, code, out, err)

    return asyncio.run(scene())


@pytest.mark.usefixtures("logged_in")
def test_any_client_just_works_until_ctrl_c_which_ends_it_quietly(user: User) -> None:
    def act(address: str, key: str) -> tuple[list[str], str | None]:
        with openai.OpenAI(base_url=address, api_key=key, max_retries=0) as client:
            listed = [model.id for model in client.models.list()]
            assert service.asked == 0
            messages: list[openai.types.chat.ChatCompletionMessageParam] = [{"role": "user", "content": "hi"}]
            said = client.chat.completions.create(model=MODEL, messages=messages)
            return listed, said.choices[0].message.content

    service = Service()
    came, ended = with_proxy(user, service, act, "--model", MODEL)
    assert came == ([MODEL], "hi")
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert "error" not in ended.stderr
    assert YOU in ended.stderr
    assert id_token(1) not in ended.stdout + ended.stderr
    assert f"export OPENAI_MODEL={MODEL}\n" in ended.stdout
    assert "export OPENAI_API_KEY=hp-" in ended.stdout
    assert "hp-" not in ended.stderr
    assert not list((user.home / "proxies").iterdir()), "its key goes with it"
    for word in ("openai", "curl", "Open WebUI"):
        assert word in ended.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.usefixtures("logged_in")
def test_curl_lists_and_streams(user: User) -> None:
    def act(address: str, key: str) -> tuple[str, str]:
        curl = [
            "curl",
            "--silent",
            "--show-error",
            "--no-buffer",
            "--noproxy",
            "*",
            "-H",
            f"x-api-key: {key}",
        ]
        body = json.dumps({"messages": [{"role": "user", "content": "one two"}], "stream": True})
        asked = [[*curl, f"{address}/models"], [*curl, f"{address}/chat/completions", "--data", body]]
        listed, streamed = (
            subprocess.run(one, check=True, capture_output=True, text=True).stdout for one in asked
        )
        return listed, streamed

    (listed, streamed), _ = with_proxy(user, Service(), act, "--model", MODEL)
    assert json.loads(listed)["data"][0]["id"] == MODEL
    assert streamed.count("data: ") == 3
    assert streamed.endswith("data: [DONE]\n\n")


@pytest.mark.usefixtures("logged_in")
def test_a_port_that_is_taken_is_one_clear_error(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ran = user.run("proxy", "--port", str(port), "--url", "https://home.run.app", code=16)
    assert ran.err.startswith(f"error: port {port} cannot be had: ")
    assert "homeport proxy --port " in ran.err
    assert ran.err.count("\n") == 2


@pytest.mark.usefixtures("logged_in")
def test_the_variables_come_as_json_too(user: User) -> None:
    process = user.begin("proxy", "--port", "0", "--json", "--url", "https://home.run.app")
    assert process.stdout is not None
    try:
        printed = "".join(iter(process.stdout.readline, "}\n")) + "}"
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()
    ensure_valid("proxy", json.loads(printed))
    assert json.loads(printed)["OPENAI_API_KEY"].startswith("hp-")
    assert process.returncode == 0


def test_who_is_not_logged_in_is_told_so_before_anything_is_served(user: User) -> None:
    ran = user.run("proxy", "--port", "0", "--url", "https://home.run.app", code=30, PATH="/nowhere")
    assert "gcloud auth" in ran.err
    assert ran.out == ""


def test_without_a_service_it_says_what_is_missing(user: User) -> None:
    assert "homeport init" in user.run("proxy", "--port", "0", code=10).err
    user.write('name = "home"\n[cloudrun]\n')
    assert "gcloud auth" in user.run("proxy", "--port", "0", code=30, PATH="/nowhere").err


@pytest.mark.parametrize(
    "url", ["http://home.run.app", "ftp://home.run.app", "home.run.app", "https://home.run.app/other",
            "https://u:p@home.run.app", "https://[x", "https://home.run.app:port"]
)  # fmt: skip
def test_tokens_go_to_no_odd_address(user: User, url: str) -> None:
    assert "--url" in user.run("proxy", "--port", "0", "--url", url, code=64).err


def answered(address: str, key: str = "") -> int:
    """The status of a request with this key, if any."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx2.get(f"{address}/models", headers=headers, trust_env=False, verify=False).status_code


@pytest.mark.usefixtures("logged_in")
def test_each_start_has_a_key_of_its_own_and_nobody_else_is_let_in(user: User) -> None:
    def act(address: str, key: str) -> tuple[str, list[int]]:
        (record,) = (user.home / "proxies").iterdir()
        assert json.loads(record.read_text())["key"] == key
        assert stat.S_IMODE(record.stat().st_mode) == 0o600
        return key, [answered(address, shown) for shown in (key, "", "unused", key[:-1], f"{key}x", "hp-")]

    service = Service()
    first, _ = with_proxy(user, service, act, "--model", MODEL)
    second, _ = with_proxy(user, service, act, "--model", MODEL)
    assert first[1] == second[1] == [200, 401, 401, 401, 401, 401]
    assert first[0] != second[0]
    assert service.asked == 0


@pytest.mark.usefixtures("logged_in")
def test_without_a_key_what_that_means_is_said_at_the_start(user: User) -> None:
    came, ended = with_proxy(
        user, Service(), lambda address, key: (key, answered(address)), "--model", MODEL, "--no-key"
    )
    assert came == ("unused", 200)
    assert "warning: without a key, every program and every user of this machine" in ended.stderr
    assert f"as {YOU}, and you pay for it" in ended.stderr
    assert "at your cost" in " ".join(user.run("proxy", "--help").out.split())
