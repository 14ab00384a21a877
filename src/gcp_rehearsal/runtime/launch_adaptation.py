"""
What is changed of a container's command and environment so that this machine can run it: one table.

All else is as it would be in the cloud. What is not enforced at all, such as the limit of memory, is in
docs/rehearsal.md.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gcp_rehearsal.runtime.container_paths import Paths
from gcp_rehearsal.runtime.image import Image
from gcp_rehearsal.runtime.metadata_server import environment

HOST = "127.0.0.1"
_CACHE = str(2**30)
_DROPPED = {
    "--gpu-memory-utilization": "there is no GPU whose memory could be shared out",
    "--kv-cache-dtype": "the CPU's kernels keep the cache as the model computes",
}
"""Flags of vLLM that a CPU cannot take, and why."""
_VLLM_ENV = {
    "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
    "GOMP_SPINCOUNT": "1000",
    "VLLM_HOST_IP": HOST,
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
_NO_VLLM = (
    "the rehearsal found no vLLM on this machine: name the Python of an environment that has it in "
    "HOMEPORT_REHEARSAL_VLLM (`python3 scripts/vllm_env.py .venv-vllm` makes one for a CPU)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row: what was changed, its value in the cloud and here, and why."""

    what: str
    cloud: str
    here: str
    why: str


@dataclass(slots=True, kw_only=True)
class Container:
    """What is started: begun as the cloud would, and changed row by row."""

    command: list[str]
    env: dict[str, str]
    hidden: frozenset[str] = frozenset()
    """Variables that come from secrets: no row tells their values, and nothing in them is changed."""
    changes: list[Change] = field(default_factory=list)
    stand_in: str = ""
    """Where another program runs than the cloud would run: which."""
    note: str = ""
    """What its log shall say first, of what this machine lacks."""
    probed: str = ""
    """The path that the startup probe asks for, where it is not the revision's own."""

    def adapt(self, image: Image, paths: Paths, port: int, wanted: int, address: str = "") -> None:
        """
        Change what this machine needs changed; `wanted` is the port in the cloud, `port` the one here.

        `address` is the instance's own, see `own`; '' where it has none.
        """
        engine = Path(self.command[0]).name if self.command else ""
        self._move(paths)
        self._set("PORT", str(port), "several instances share this machine's ports", missing=True)
        if "OLLAMA_HOST" in self.env:
            self._set("OLLAMA_HOST", f"{HOST}:{port}", "several instances share this machine's ports")
        self._flag("--port", str(port), "several instances share this machine's ports", only=str(wanted))
        self._flag("--host", HOST, "nobody but this machine shall reach it", only="0.0.0.0")  # noqa: S104 - it is replaced
        if "PATH" in self.env:
            self._set("PATH", os.environ.get("PATH", os.defpath), "programs are this machine's own")
        if engine == "vllm" or "vllm.entrypoints.openai.api_server" in self.command:
            self._vllm()
            if address and any(text.startswith("gs://") for text in self.command):
                for name, value in environment(address).items():
                    self._set(name, value, "the streamer's way to the rehearsal, not to Google", missing=True)
        elif engine == "ollama" and self.command[1:2] == ["serve"]:
            self._ollama(image, paths, port)

    def _move(self, paths: Paths) -> None:
        for place, text in enumerate(self.command):
            here = paths.translated(text)
            if here != text:
                self._row("path", text, here, "where it lies on this machine")
                self.command[place] = here
        for name in [name for name in self.env if name != "PATH" and name not in self.hidden]:
            self._set(name, paths.translated(self.env[name]), "where it lies on this machine")

    def _vllm(self) -> None:
        python = vllm_python()
        if python:
            # Its own programs come first; the command itself stays as it is.
            self.env["PATH"] = f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            self._row("program", f"{self.command[0]} of the image", python, "this machine's vLLM")
        else:
            self.note = _NO_VLLM
        for flag, why in _DROPPED.items():
            self._drop(flag, why)
        self._drop("--kv-cache-memory-bytes", "")
        self._add(
            "--kv-cache-memory-bytes", _CACHE, "without a size, vLLM takes most of the machine's memory"
        )
        if "--enforce-eager" not in self.command:
            self.command.append("--enforce-eager")
            self._row("--enforce-eager", "", "added", "compiling takes a minute at every start on a CPU")
        for name, value in _VLLM_ENV.items():
            self._set(name, value, "for the CPU, and without the hub", missing=True)

    def _ollama(self, image: Image, paths: Paths, port: int) -> None:
        real = shutil.which("ollama")
        before = " ".join(self.command)
        if real:
            self.command[0] = real
            self._row("program", before, " ".join(self.command), "this machine's Ollama")
            self._set(
                "OLLAMA_HOST", f"{HOST}:{port}", "several instances share this machine's ports", missing=True
            )
            return
        command = _llamacpp(image, paths, port, self.env)
        if not command:
            return
        self.command = command
        self._stands_in(before)
        self.probed = "/health"
        self._row(
            "startup probe", "as it is", self.probed, "llama.cpp listens before it has loaded the model"
        )

    def moved(self, port: int, here: int) -> int:
        """The port `here`, which stands for another `port` of the cloud's than that of requests."""
        for name in [
            name for name, value in self.env.items() if value == str(port) and name not in self.hidden
        ]:
            self._set(name, str(here), "several instances share this machine's ports")
        return here

    def stand_in_for_ollama(self, image: Image, paths: Paths, port: int, folder: Path) -> None:
        """Where a script of the image starts `ollama` and this machine has none: a program of that name for it."""
        command = _llamacpp(image, paths, port, self.env)
        if shutil.which("ollama") or not command or "READY_PORT" not in self.env:
            return
        programs = folder / "programs"
        (programs / "nothing").mkdir(parents=True)
        door = [sys.executable, "-m", "http.server", "--bind", HOST, "--directory", str(programs / "nothing")]
        program = programs / "ollama"
        program.write_text(
            '#!/bin/sh\n[ "$1" = serve ] || exit 64\n'
            f'if [ "${{OLLAMA_HOST##*:}}" = "$READY_PORT" ]; then exec {shlex.join(door)} "$READY_PORT"; fi\n'
            f"exec {shlex.join(command)}\n",
            encoding="utf-8",
        )
        program.chmod(0o755)
        self.env["PATH"] = f"{programs}:{os.environ.get('PATH', os.defpath)}"
        self._stands_in("ollama")

    def _stands_in(self, before: str) -> None:
        self.stand_in = "llama.cpp with the same GGUF, since there is no `ollama` on this machine"
        self._row("program", before, "llama.cpp", self.stand_in)
        for name, value in {"GGML_NO_BACKTRACE": "1", "GOMP_SPINCOUNT": "1000"}.items():
            self._set(name, value, "for llama.cpp on a CPU", missing=True)

    def _row(self, what: str, cloud: str, here: str, why: str) -> None:
        self.changes.append(Change(what=what, cloud=cloud, here=here, why=why))

    def _set(self, name: str, value: str, why: str, *, missing: bool = False) -> None:
        before = self.env.get(name)
        if before != value and (missing or before is not None):
            self.env[name] = value
            self._row(name, before or "", value, why)

    def _add(self, flag: str, value: str, why: str) -> None:
        self.command += [flag, value]
        self._row(flag, "", value, why)

    def _flag(self, flag: str, value: str, why: str, *, only: str) -> None:
        for place, text in enumerate(self.command):
            if text == flag and self.command[place + 1 : place + 2] == [only]:
                self.command[place + 1] = value
            elif text == f"{flag}={only}":
                self.command[place] = f"{flag}={value}"
            else:
                continue
            self._row(flag, only, value, why)

    def _drop(self, flag: str, why: str) -> None:
        for place, text in enumerate(self.command):
            if text == flag or text.startswith(f"{flag}="):
                end = place + (2 if text == flag else 1)
                if why:
                    self._row(flag, " ".join(self.command[place:end]), "left out", why)
                del self.command[place:end]
                return


def _llamacpp(image: Image, paths: Paths, port: int, env: Mapping[str, str]) -> list[str]:
    """llama.cpp with the GGUF of an image of Ollama's; empty where it has none of one's own."""
    gguf = paths.here(image.labels.get("homeport.gguf", ""))
    if gguf is None:
        return []
    from homeport.engines import (
        llamacpp,  # Late, here and below: a rehearsal starts twice as fast without it.
    )

    server = Path(llamacpp.__file__).parent / "llamacpp_server" / "homeport_llamacpp.py"
    return [
        *(sys.executable, str(server), "--model", str(gguf)),
        *("--alias", image.labels.get("homeport.model", "model"), "--host", HOST, "--port", str(port)),
        *("--context", env.get("OLLAMA_CONTEXT_LENGTH", "4096")),
        *("--parallel", env.get("OLLAMA_NUM_PARALLEL", "1"), "--threads", str(os.cpu_count() or 1)),
    ]


def vllm_python() -> str:
    """The Python of an environment with vLLM; '' where this machine has none."""
    named = os.environ.get("HOMEPORT_REHEARSAL_VLLM", "")
    own = Path(".venv-vllm/bin/python").absolute()
    if named:
        return named
    if own.exists():
        return str(own)
    from homeport.engines import vllm

    found = vllm.find()
    return found.executable if found else ""
