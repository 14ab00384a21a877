"""In an image Ollama is ready when a token came out: its script, with programs that stand in for `ollama`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from homeport.engines.ollama import engine as ollama
from homeport.free_ports import free_port
from patience import until

HOST = "127.0.0.1"
SCRIPT = Path(ollama.__file__).parent / "server" / "serve.sh"
PROGRAM = """#!{python}
import http.server, json, os, pathlib, sys, threading, time
assert sys.argv[1:] == ["serve"]
host, _, port = os.environ["OLLAMA_HOST"].rpartition(":")
folder = pathlib.Path(os.environ["FOLDER"])
if "DIES" in os.environ:
    sys.exit(3)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(200, b"Ollama is running")
    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with (folder / "asked").open("a") as asked:
            asked.write(self.path + " " + json.dumps(told) + chr(10))
        if len((folder / "asked").read_text().splitlines()) <= int(os.environ.get("BUSY", 0)):
            return self.answer(503, b"busy")
        while not (folder / "loaded").exists():
            time.sleep(0.01)
        self.answer(int(os.environ.get("STATUS", 200)), os.environ["SAYS"].encode())
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
"""


class Running:
    """The script, with what stands in for `ollama` on its path."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder = folder
        program = folder / "ollama"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        self.port, self.door = free_port(HOST), free_port(HOST)
        told = {
            "PATH": f"{folder}:{os.environ['PATH']}", "OLLAMA_HOST": f"{HOST}:{self.port}",
            "READY_PORT": str(self.door), "FOLDER": str(folder), "PYTHONPATH": os.environ["PYTHONPATH"],
            "SAYS": '{"usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}}',
        }  # fmt: skip
        self.process = subprocess.Popen(
            ["bash", str(SCRIPT), "gemma3:270m"], env=told | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    def loaded(self) -> None:
        (self.folder / "loaded").touch()

    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []

    def answers(self, port: int) -> bool:
        try:
            return httpx2.get(f"http://{HOST}:{port}/", trust_env=False, timeout=60).status_code == 200
        except httpx2.HTTPError:
            return False

    def ends(self) -> tuple[int, str]:
        """How it ended and what it said; nothing that it began is left."""
        said, _ = self.process.communicate(timeout=120)
        mine = [
            one for one in psutil.process_iter(["environ"])
            if (one.info["environ"] or {}).get("FOLDER") == str(self.folder)
        ]  # fmt: skip
        assert not psutil.wait_procs(mine, timeout=60)[1]
        return self.process.returncode, said

    def stop(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.communicate()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    all_of_them: list[Running] = []

    def begin(**env: str) -> Running:
        all_of_them.append(Running(tmp_path, **env))
        return all_of_them[-1]

    yield begin
    for one in all_of_them:
        one.stop()


def test_the_probes_port_opens_when_a_token_came_out_and_not_before(start: Callable[..., Running]) -> None:
    running = start()
    until(lambda: bool(running.asked()))
    assert running.answers(running.port), "Ollama itself answers long before"
    assert not running.answers(running.door)
    running.loaded()
    until(lambda: running.answers(running.door))
    (asked,) = running.asked()
    assert asked.startswith("/v1/completions ")
    assert '"model": "gemma3:270m"' in asked
    assert '"max_tokens": 1' in asked
    running.process.terminate()
    code, said = running.ends()
    assert (code, said) == (0, "a token came out of gemma3:270m\n")


def test_one_that_is_busy_is_asked_again(start: Callable[..., Running]) -> None:
    running = start(BUSY="3")
    running.loaded()
    until(lambda: running.answers(running.door))
    assert len(running.asked()) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"SAYS": '{"usage": {"completion_tokens": 0}}'},
        {"STATUS": "500", "SAYS": '{"error": "llama runner process has terminated: out of memory"}'},
        {"STATUS": "404", "SAYS": '{"error":\n "model not found"}'},
    ],
)
def test_a_model_that_says_nothing_ends_it_with_what_ollama_said(
    start: Callable[..., Running], wrong: dict[str, str]
) -> None:
    running = start(**wrong)
    running.loaded()
    code, said = running.ends()
    assert code == 1
    status, told = wrong.get("STATUS", "200"), wrong["SAYS"].replace("\n", " ")
    assert f"no token came out of gemma3:270m: HTTP {status} {told}\n" in said
    assert not running.answers(running.door)


def test_an_ollama_that_ends_takes_the_script_with_it(start: Callable[..., Running]) -> None:
    code, _ = start(DIES="1").ends()
    assert code != 0


def test_it_can_be_stopped_after_it_was_ready_and_ends_with_its_server(start: Callable[..., Running]) -> None:
    running = start()
    running.loaded()
    until(lambda: running.answers(running.door))
    server = next(
        one for one in psutil.Process(running.process.pid).children() if "ollama" in " ".join(one.cmdline())
    )
    server.kill()
    assert running.ends()[0] != 0
