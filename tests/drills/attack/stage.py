"""The servers that are attacked, each started as a user would, each when it is first wanted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2

from places import TAUGHT, TESTS

HERE = Path(__file__).parent
MODEL = "gemma-4-taught"
WORDS = "words-of-the-model"
"""What the rehearsed service answers, and nobody may read who was not let in."""
_STARTS_WITHIN_S = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that answers, and what its owner knows of it."""

    name: str
    port: int
    key: str = ""
    """What lets its owner in; '' where nothing is asked for."""
    told: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    """Whatever else it said when it started."""


class Stage:
    """A home of its own, a folder that must not change, and servers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "home"
        self.work = root / "work"
        self.temporary = root / "tmp"
        self._stack = ExitStack()
        for folder in (self.home, self.work, self.temporary):
            folder.mkdir(parents=True)
        shutil.copyfile(TAUGHT, self.work / TAUGHT.name)

    def close(self) -> None:
        """End all servers."""
        self._stack.close()

    @cached_property
    def env(self) -> dict[str, str]:
        """The environment of everything that is started."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
        return {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "HOMEPORT_HOME": str(self.home / "homeport"),
            "HF_HOME": str(self.home / "hf"),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "PYTHONPATH": os.pathsep.join(
                map(str, (TESTS / "support" / "guard", TESTS / "support", HERE.parent))
            ),
            "NO_COLOR": "1",
            "COLUMNS": "80",
            "NO_GCE_CHECK": "true",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }

    def homeport(
        self, *arguments: str, folder: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """What a command of homeport's came to."""
        return subprocess.run(
            [sys.executable, "-m", "homeport", *arguments],
            cwd=folder or self.work,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=600,
            check=False,
        )

    @cached_property
    def engine(self) -> Server:
        """llama.cpp as `homeport up` starts it from a file that says nothing of keys."""
        return self._up("llama.cpp", "attacked", self.work, {})

    @cached_property
    def guarded(self) -> Server:
        """The gateway of `[guard]` before another engine, of a home of its own."""
        folder = self.root / "guarded"
        folder.mkdir()
        shutil.copyfile(TAUGHT, folder / TAUGHT.name)
        return self._up("gateway", "screened", folder, {"HOMEPORT_HOME": str(folder / "home")}, "[guard]\n")

    def _up(self, server: str, name: str, folder: Path, env: dict[str, str], more: str = "") -> Server:
        file = f'name = "{name}"\nmodel = "file:{TAUGHT.name}"\n[engine]\ncontext = 1024\n[local]\nport = 0\n{more}'
        (folder / "homeport.toml").write_text(file)
        came = self.homeport("up", "--yes", "--no-verify", folder=folder, **env)
        if came.returncode:
            raise RuntimeError(f"homeport up: exit {came.returncode}\n{came.stdout}\n{came.stderr}")
        self._stack.callback(self.homeport, "down", name, "--yes", folder=folder, **env)
        variables = json.loads(self.homeport("env", "--json", folder=folder, **env).stdout)
        status = json.loads(self.homeport("status", "--json", folder=folder, **env).stdout)
        key = variables["OPENAI_API_KEY"]
        return Server(
            name=server,
            port=int(variables["OPENAI_BASE_URL"].rpartition(":")[2].partition("/")[0]),
            key="" if key == "unused" else key,
            told={"status": status[0] if isinstance(status, list) else status},
        )

    @cached_property
    def rehearsal(self) -> Server:
        """The rehearsal with a private service in it; see rehearsal_server.py."""
        return self._script("rehearsal", "rehearsal_server.py")

    @cached_property
    def inside(self) -> Server:
        """The rehearsal's second port."""
        return Server(name="rehearsal --inside", port=self.rehearsal.told["inside"], key=self.rehearsal.key)

    @cached_property
    def vllm(self) -> Server:
        """What homeport puts before vLLM; see vllm_server.py."""
        return self._script("vLLM's wrapper", "vllm_server.py")

    @cached_property
    def proxy(self) -> Server:
        """`homeport proxy` before the rehearsed service, as the rehearsal's owner."""
        told = self.rehearsal.told
        arguments = ["proxy", "--port", "0", "--json", "--url", told["service"], "--model", MODEL]
        process = self._begun([sys.executable, "-m", "homeport", *arguments], told["environment"])
        assert process.stdout is not None
        printed = ""
        while not printed.endswith("}\n"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the proxy did not start: {printed}")
            printed += line
        variables = json.loads(printed)
        key = variables["OPENAI_API_KEY"]
        port = int(variables["OPENAI_BASE_URL"].rpartition(":")[2].partition("/")[0])
        return Server(name="proxy", port=port, key="" if key == "unused" else key)

    @cached_property
    def mcp(self) -> Server:
        """`homeport mcp --http` with the tools that change something, before the engine."""
        assert self.engine.port
        process = self._begun(
            [
                sys.executable,
                "-m",
                "homeport",
                "mcp",
                "--http",
                "--port",
                "0",
                "--allow-changes",
                "--folder",
                str(self.work),
            ],
            {},
        )
        assert process.stdout is not None
        printed = ""
        while not printed.endswith("}\n}\n"):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"homeport mcp did not start: {printed}")
            printed += line
        told = json.loads(printed)["mcpServers"]["homeport"]
        key = told["headers"]["Authorization"].removeprefix("Bearer ")
        return Server(name="mcp", port=int(told["url"].rpartition(":")[2].partition("/")[0]), key=key)

    def served(self) -> int:
        """Requests that have come as far as the rehearsed service."""
        return len(Path(self.rehearsal.told["log"]).read_text().splitlines())

    def _script(self, name: str, script: str) -> Server:
        process = self._begun([sys.executable, str(HERE / script)], {})
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{script} did not start")
        told = json.loads(line)
        return Server(name=name, port=told["port"], key=told["key"], told=told)

    def _begun(self, command: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
        folder = self.root / f"of-{Path(command[-1]).stem[:20]}"
        folder.mkdir(exist_ok=True)
        with (folder / "stderr.log").open("w") as log:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**self.env, **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self._stack.callback(_end, process)
        return process


_FOREIGN = ("HOMEPORT_", "HF_", "OPENAI_", "HUGGING", "PIP_", "GOOGLE_", "CLOUDSDK_")


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def staged(root: Path) -> Iterator[Stage]:
    """A stage in the empty folder `root`; its servers end with it."""
    stage = Stage(root)
    try:
        yield stage
    finally:
        stage.close()


def asked(
    server: Server, path: str, *, patience_s: float = 60.0, headers: dict[str, str] | None = None
) -> httpx2.Response:
    """The answer to the server's owner."""
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    with httpx2.Client(trust_env=False, verify=False, timeout=patience_s) as client:
        return client.get(f"http://127.0.0.1:{server.port}{path}", headers={**key, **(headers or {})})


def completes(server: Server, *, patience_s: float = 240.0) -> str:
    """Why the holder of the key gets no word of the model within `patience_s`; '' where they do."""
    ends, why = time.monotonic() + patience_s, ""
    body = {"model": MODEL, "prompt": "What is the weather", "max_tokens": 2}
    key = {"Authorization": f"Bearer {server.key}"} if server.key else {}
    with httpx2.Client(trust_env=False, verify=False, timeout=patience_s) as client:
        while time.monotonic() < ends:
            try:
                came = client.post(f"http://127.0.0.1:{server.port}/v1/completions", json=body, headers=key)
            except httpx2.HTTPError as error:
                why = f"{type(error).__name__} {error}"
            else:
                if came.status_code == 200 and came.json()["choices"]:
                    return ""
                why = f"{came.status_code} {came.text[:100]}"
            time.sleep(0.2)
    return f"the holder of the key is not served within {patience_s:g} s: {why}"
