"""Steps that are scripts of a shell: what they run, and what they ask of docker and gcloud."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcp_rehearsal.apis.cloudbuild.step import Ran, Step
from gcp_rehearsal.client_environment import environment
from gcp_rehearsal.runtime.build.process_step import Process

_SHELLS = ("sh", "bash")
_PATH = "/usr/local/bin:/usr/bin:/bin"
_DOCKER = """#!/bin/sh
case "$1" in
  build | push) printf '%s\\0' "$#" "$@" >>"$REHEARSAL_DOCKER" ;;
  *) echo "a rehearsal knows \\`docker build\\` and \\`docker push\\` in a script, not \\`docker $1\\`" >&2; exit 1 ;;
esac
"""
"""Stands in for docker: it keeps what it is asked for, words with a NUL behind each."""


def is_shell(step: Step) -> bool:
    """Return True if a step runs a script of a shell."""
    if step.script:
        first = step.script.partition("\n")[0]
        return not first.startswith("#!") or re.search(r"\b(?:ba)?sh\b", first) is not None
    return Path(step.entrypoint).name in _SHELLS


def words(step: Step, root: Path) -> list[str]:
    """Return the command of a step of a shell, or of gcloud, on this machine, where `root` is /workspace."""
    if step.script:
        shell = "bash" if "bash" in step.script.partition("\n")[0] else "sh"
        script = root.parent / f"step-{step.number}.sh"
        script.write_text(step.script.replace("/workspace", str(root)), encoding="utf-8")
        return [shell, str(script)]
    return [step.entrypoint or "gcloud", *(arg.replace("/workspace", str(root)) for arg in step.args)]


def gcloud(url: str, step: Step, token: str) -> dict[str, str]:
    """
    Return the variables by which this machine's gcloud finds the rehearsal at `url`; `token` is the build's
    account's.
    """
    program = shutil.which("gcloud") or ""
    return {
        **environment(url, step.project),
        "CLOUDSDK_AUTH_ACCESS_TOKEN": token,
        **{name: value for name, value in step.env.items() if name.startswith("CLOUDSDK_")},
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "PATH": os.pathsep.join((str(Path(program).parent), _PATH)),
    }


def docker(folder: Path) -> tuple[Path, Mapping[str, str]]:
    """Return where a script's calls of docker are kept, and the variables by which it calls what keeps them."""
    folder.mkdir(parents=True, exist_ok=True)
    program, calls = folder / "docker", folder / "told"
    program.write_text(_DOCKER, encoding="utf-8")
    program.chmod(0o755)
    return calls, {"PATH": f"{folder}:{_PATH}", "REHEARSAL_DOCKER": str(calls)}


@dataclass(slots=True)
class DockerScript:
    """A script that calls docker. What it asks for is done in order once it has ended, and fails it where it fails."""

    process: Process
    told: Path
    do: Callable[[Sequence[str]], Ran]

    @property
    def seconds(self) -> float:
        """Return how long it has run, in seconds of this machine."""
        return self.process.seconds

    def fresh(self) -> Sequence[str]:
        """Return the lines that it has written since this was last asked."""
        return self.process.fresh()

    def poll(self) -> Ran | None:
        """Return what came of it, and of what it asked of docker; None while it runs."""
        ran = self.process.poll()
        if ran is None or ran.code:
            return ran
        lines, code = list(ran.lines), 0
        for arguments in self._asked():
            done = self.do(arguments)
            lines += done.lines
            code = done.code
            if code:
                break
        return Ran(code=code, lines=lines, seconds=ran.seconds)

    def stop(self) -> None:
        """Kill it."""
        self.process.stop()

    def _asked(self) -> list[Sequence[str]]:
        if not self.told.exists():
            return []
        left = self.told.read_text(encoding="utf-8").split("\0")[:-1]
        calls: list[Sequence[str]] = []
        while left:
            count = int(left[0])
            calls.append(left[1 : count + 1])
            left = left[count + 1 :]
        return calls
