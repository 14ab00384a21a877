"""How a rehearsal runs on this machine what homeport's images start: vLLM, and Ollama or llama.cpp in its place."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcp_rehearsal.runtime.launch_adaptation import HOST, SHARED_PORTS, ContainerLaunch
from gcp_rehearsal.runtime.programs import LaunchSite, Program

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
_LEARNT = "what vLLM finds out about the classes of its models, it finds out once"
_IN_ONE = "its engine and its worker are one process, as on one GPU: another one would load all of vLLM again"
_NO_AOT = "what vLLM 0.32 compiles ahead of time it cannot load again on a CPU"
_LLAMACPP_ENV = {"GGML_NO_BACKTRACE": "1", "GOMP_SPINCOUNT": "1000"}


@dataclass(frozen=True, slots=True)
class VllmProgram:
    """This machine's vLLM, for the CPU."""

    entrypoint: Sequence[str] = ("vllm", "serve")
    cmd: Sequence[str] = ()

    def adapt(self, launch: ContainerLaunch, site: LaunchSite) -> None:
        """Take from a command of vLLM what a CPU cannot, and let its own environment come first."""
        command = launch.command
        # Before it may stand a script that restores its startup cache, or makes one.
        if not {"vllm", "vllm.entrypoints.openai.api_server"} & {command[0].rpartition("/")[2], *command}:
            return
        python = vllm_python()
        if python:
            # Its own programs come first; the command itself stays as it is.
            launch.env["PATH"] = f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
            launch.note_change("program", f"{command[0]} of the image", python, "this machine's vLLM")
        else:
            launch.note = _NO_VLLM
        for option, why in _DROPPED.items():
            launch.drop_option(option, why)
        launch.drop_option("--kv-cache-memory-bytes", "")
        launch.add_option(
            "--kv-cache-memory-bytes", _CACHE, "without a size, vLLM takes most of the machine's memory"
        )
        if "VLLM_CACHE_ROOT" in launch.env or "--no-enforce-eager" in command:
            # What it compiles is kept for the next start, or asked for: somebody wants to see it here.
            launch.set_variable("VLLM_USE_AOT_COMPILE", "0", _NO_AOT, missing=True)
        elif "--enforce-eager" not in command:
            command.append("--enforce-eager")
            launch.note_change(
                "--enforce-eager", "", "added", "compiling takes a minute at every start on a CPU"
            )
        if "--enforce-eager" in command and "VLLM_CACHE_ROOT" not in launch.env:
            _start_quicker(launch)
        for name, value in _VLLM_ENV.items():
            launch.set_variable(name, value, "for the CPU, and without the hub", missing=True)
        if any(text.startswith("gs://") for text in command):
            for name, value in site.storage.items():
                launch.set_variable(
                    name, value, "the streamer's way to the rehearsal, not to Google", missing=True
                )

    def files(self) -> Sequence[Path]:
        """Return the Python of its environment."""
        python = vllm_python()
        return (Path(python),) if python else ()


@dataclass(frozen=True, slots=True)
class OllamaProgram:
    """This machine's Ollama; where there is none, llama.cpp with the same GGUF."""

    entrypoint: Sequence[str] = ("/bin/ollama",)
    cmd: Sequence[str] = ("serve",)

    def adapt(self, launch: ContainerLaunch, site: LaunchSite) -> None:
        """Let it listen where requests come to, and put llama.cpp in its place where need be."""
        if "OLLAMA_HOST" in launch.env:
            launch.set_variable("OLLAMA_HOST", f"{HOST}:{site.port}", SHARED_PORTS)
        if Path(launch.command[0]).name == "ollama" and launch.command[1:2] == ["serve"]:
            self._serve(launch, site)
        elif "READY_PORT" in launch.env:
            self._stand_in_for_the_script(launch, site)

    def files(self) -> Sequence[Path]:
        """Return nothing: it is found on the PATH, or runs with this Python."""
        return ()

    @staticmethod
    def _serve(launch: ContainerLaunch, site: LaunchSite) -> None:
        real = shutil.which("ollama")
        before = " ".join(launch.command)
        if real:
            launch.command[0] = real
            launch.note_change("program", before, " ".join(launch.command), "this machine's Ollama")
            launch.set_variable("OLLAMA_HOST", f"{HOST}:{site.port}", SHARED_PORTS, missing=True)
            return
        command = _llamacpp(site, launch.env)
        if not command:
            return
        launch.command = command
        _note_stand_in(launch, before)
        launch.probed = "/health"
        launch.note_change(
            "startup probe", "as it is", launch.probed, "llama.cpp listens before it has loaded the model"
        )

    @staticmethod
    def _stand_in_for_the_script(launch: ContainerLaunch, site: LaunchSite) -> None:
        """Write a program `ollama` for the script of an image that starts one, where this machine has none."""
        command = _llamacpp(site, launch.env)
        if shutil.which("ollama") or not command:
            return
        programs = site.folder / "programs"
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
        launch.env["PATH"] = f"{programs}:{os.environ.get('PATH', os.defpath)}"
        _note_stand_in(launch, "ollama")


@dataclass(frozen=True, slots=True)
class AgentProgram:
    """homeport's own image: Python, with the homeport that is installed here in place of the image's."""

    entrypoint: Sequence[str] = ("python3",)
    cmd: Sequence[str] = ()

    def adapt(self, launch: ContainerLaunch, site: LaunchSite) -> None:
        """Run this Python, and lead it to the rehearsal where it would go to Google."""
        if Path(launch.command[0]).name in {"python", "python3"}:
            before, launch.command[0] = launch.command[0], sys.executable
            launch.note_change("program", before, sys.executable, "this machine's Python and homeport")
        if site.url:
            why = "the way to rehearsed services, not to Google's"
            launch.set_variable("HOMEPORT_GOOGLE_URL", site.url, why, missing=True)
            for name, value in site.storage.items():
                launch.set_variable(name, value, "the rehearsal's metadata server", missing=True)

    def files(self) -> Sequence[Path]:
        """Return the Python, and the source of homeport."""
        return (Path(sys.executable), Path(__file__).parent)


def programs() -> Mapping[str, Program]:
    """Return how this machine runs the images that homeport deploys, by their names."""
    return {"vllm/vllm-openai": VllmProgram(), "ollama/ollama": OllamaProgram(), "python": AgentProgram()}


def _vllm_cache() -> str:
    """Return the folder in which this machine's vLLM keeps such things for whoever starts it; '' for somebody without a home."""
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:  # A container begins in another folder than a rehearsal, so that a relative path would be another one there.
        return str(Path(os.environ.get("VLLM_CACHE_ROOT") or f"{caches}/vllm").expanduser().absolute())
    except RuntimeError:
        return ""


def _start_quicker(launch: ContainerLaunch) -> None:
    # Nothing that is compiled: what its models can do, which each start would load all of vLLM once more to see.
    if cache := _vllm_cache():
        launch.set_variable("VLLM_CACHE_ROOT", cache, _LEARNT, missing=True)
    launch.set_variable("VLLM_ENABLE_V1_MULTIPROCESSING", "0", _IN_ONE, missing=True)


def vllm_python() -> str:
    """Return the Python of an environment with vLLM; '' where this machine has none."""
    named = os.environ.get("HOMEPORT_REHEARSAL_VLLM", "")
    own = Path(".venv-vllm/bin/python").absolute()
    if named:
        return named
    if own.exists():
        return str(own)
    from homeport.engines.vllm import (
        engine as vllm,  # Late, here and below: a rehearsal starts twice as fast without it.
    )

    installed = vllm.find()
    return installed.executable if installed else ""


def _note_stand_in(launch: ContainerLaunch, before: str) -> None:
    launch.stand_in = "llama.cpp with the same GGUF, since there is no `ollama` on this machine"
    launch.note_change("program", before, "llama.cpp", launch.stand_in)
    for name, value in _LLAMACPP_ENV.items():
        launch.set_variable(name, value, "for llama.cpp on a CPU", missing=True)


def _llamacpp(site: LaunchSite, env: Mapping[str, str]) -> list[str]:
    """Return the command that runs llama.cpp with the GGUF of an Ollama image; empty where its labels name no such file."""
    labels = site.image.labels
    gguf = site.paths.here(labels.get("homeport.gguf", ""))
    if gguf is None:
        return []
    from homeport.engines.llamacpp import engine as llamacpp

    server = Path(str(llamacpp.__file__)).parent / "server" / "homeport_llamacpp.py"
    return [
        *(sys.executable, str(server), "--model", str(gguf)),
        *("--alias", labels.get("homeport.model", "model"), "--host", HOST, "--port", str(site.port)),
        *("--context", env.get("OLLAMA_CONTEXT_LENGTH", "4096")),
        *("--parallel", env.get("OLLAMA_NUM_PARALLEL", "1"), "--threads", str(os.cpu_count() or 1)),
    ]
