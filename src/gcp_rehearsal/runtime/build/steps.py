"""The steps of builds, really done where they are Python's, docker's or gcloud's."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from gcp_rehearsal.apis.cloudbuild.step import Ran, RunningStep, Step
from gcp_rehearsal.apis.cloudbuild.steps import Acted
from gcp_rehearsal.apis.storage.objects import find
from gcp_rehearsal.errors import ApiError
from gcp_rehearsal.runtime.build import shell_step as shell
from gcp_rehearsal.runtime.build.dockerfile import BuildRefused
from gcp_rehearsal.runtime.build.images import built, keep_image
from gcp_rehearsal.runtime.build.process_step import Process
from gcp_rehearsal.runtime.build.source import unpack
from gcp_rehearsal.runtime.programs import Programs

if TYPE_CHECKING:
    from gcp_rehearsal.context import Cloud

_PYTHON = re.compile(r"(?:^|/)python(?::|@|$)")
_DOCKER = re.compile(r"(?:^|/)docker(?::|@|$)")
_GCLOUD = re.compile(r"(?:^|/)(?:gcloud|cloud-sdk|google-cloud-cli)(?::|@|$)")


@dataclass(slots=True, kw_only=True)
class Worked:
    """
    Steps that run here: scripts of Python images, `docker build` and `docker push`, also in a shell's script, and
    those of gcloud's image where this machine has a gcloud. All others are acted out.

    For a rehearsal on a socket: on a clock that jumps, nothing real would have time to happen.
    """

    url: str
    """The rehearsal's own address, at which a step reaches Cloud Storage."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that every step gets before its own, such as the address of a mirror that this machine has."""
    programs: Programs = field(default_factory=dict)
    """What images start that a Dockerfile may be based on."""
    acted: Acted = field(default_factory=Acted)
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="gcp-rehearsal-builds-")))
    """Where builds have their workspaces."""
    _images: dict[tuple[str, str], Path] = field(default_factory=dict)
    """By build and reference, images that were built and are not pushed yet."""
    _running: list[Process] = field(default_factory=list)

    def run(self, cloud: Cloud, step: Step) -> Ran | RunningStep:
        """Return what comes of a step, or the process that does it."""
        try:
            self._fetch(cloud, step)
        except BuildRefused as refused:
            return Ran(code=1, lines=[str(refused)])
        if _PYTHON.search(step.image):
            return self._python(cloud, step)
        if _DOCKER.search(step.image) and shell.is_shell(step):
            return self._docker_shell(cloud, step)
        if _GCLOUD.search(step.image) and shutil.which("gcloud"):
            return self._begun(
                step,
                shell.words(step, self._root(step)),
                shell.gcloud(self.url, step, cloud.token(step.account)),
            )
        if _DOCKER.search(step.image) and step.args and step.args[0] == "build" and not step.entrypoint:
            return self._docker_build(step)
        return self.acted.run(cloud, step)

    def pushed(self, cloud: Cloud, build: str, reference: str, digest: str) -> None:
        """Keep what the image is made of. Raises `ApiError` where the build has not made it."""
        image = self._images.get((build, reference))
        if image is None:
            raise ApiError(
                400, f"An image does not exist locally with the tag: {reference.rpartition(':')[0]}"
            )
        keep_image(image, cloud.folder / "images" / digest.removeprefix("sha256:"))

    def ended(self, build: str) -> None:
        """Remove the build's workspace, and forget its images."""
        shutil.rmtree(self.folder / build, ignore_errors=True)
        for key in [key for key in self._images if key[0] == build]:
            del self._images[key]

    def close(self) -> None:
        """Stop what still runs, and remove all workspaces: nobody waits for them."""
        for process in self._running:
            process.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _root(self, step: Step) -> Path:
        """Return what is /workspace to the build."""
        root = self.folder / step.build / "workspace"
        root.mkdir(parents=True, exist_ok=True)
        return root

    def _fetch(self, cloud: Cloud, step: Step) -> None:
        """Unpack a build's source into its workspace, once. Raises `BuildRefused` for what is no archive."""
        if step.source is None or (self.folder / step.build / "workspace").exists():
            return
        stored = find(cloud, *step.source)
        if stored is not None:
            unpack(stored.hidden["content"].read(), self._root(step))

    def _workspace(self, step: Step) -> Path:
        folder = self._root(step) / step.folder
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _python(self, cloud: Cloud, step: Step) -> Ran | RunningStep:
        workspace = self._workspace(step)
        arguments = self._arguments(step, workspace)
        if arguments is None:
            words = f"{step.entrypoint or 'the script'} of {step.image} is no Python, and is not rehearsed"
            return Ran(code=1, lines=[words])
        env = {
            "PYTHONUNBUFFERED": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN": cloud.token(step.account),
            "STORAGE_EMULATOR_HOST": self.url,
        }
        return self._begun(step, [sys.executable, "-I", *arguments], env)

    def _begun(self, step: Step, command: Sequence[str], env: Mapping[str, str]) -> Process:
        """Start a process of the step, with the variables of the step and `env`, which may name another PATH."""
        root = str(self._root(step))
        variables = dict(self.env)
        variables |= {name: value.replace("/workspace", root) for name, value in step.env.items()}
        variables |= {"HOME": root, "PATH": "/usr/local/bin:/usr/bin:/bin", **env}
        self._running = [process for process in self._running if process.runs]
        log = self.folder / step.build / f"step-{step.number}.log"
        process = Process(command, self._workspace(step), variables, log)
        self._running.append(process)
        return process

    def _docker_shell(self, cloud: Cloud, step: Step) -> RunningStep:
        """Run a script that calls docker: what it asks of docker is done when it has ended."""
        calls, env = shell.docker(self.folder / step.build / f"docker-{step.number}")
        process = self._begun(step, shell.words(step, self._root(step)), env)

        def do(arguments: Sequence[str]) -> Ran:
            docker_step = replace(step, args=tuple(arguments), entrypoint="", script="")
            return (
                self._docker_build(docker_step)
                if arguments[0] == "build"
                else self._acted_out(cloud, docker_step)
            )

        return shell.DockerScript(process, calls, do)

    def _acted_out(self, cloud: Cloud, step: Step) -> Ran:
        ran = self.acted.run(cloud, step)
        assert isinstance(ran, Ran)
        return ran

    def _arguments(self, step: Step, workspace: Path) -> Sequence[str] | None:
        if not step.script:
            arguments = list(step.args)
            is_python = re.fullmatch(r"(?:.*/)?python3?", step.entrypoint or "")
            return arguments if is_python or not step.entrypoint else None
        if not re.match(r"#!.*python", step.script):
            return None
        script = self.folder / step.build / f"step-{step.number}.py"
        script.write_text(step.script.replace("/workspace", str(self._root(step))), encoding="utf-8")
        return [str(script)]

    def _docker_build(self, step: Step) -> Ran:
        goal = self.folder / step.build / f"image-{step.number}"
        try:
            references = built(step.args[1:], self._workspace(step), goal, self.programs)
        except BuildRefused as refused:
            return Ran(code=1, lines=[str(refused)])
        for reference in references:
            self._images[step.build, reference] = goal
        lines = ["Successfully built (what RUN would do is not done in a rehearsal)"]
        return Ran(seconds=40, lines=[*lines, *(f"Successfully tagged {tag}" for tag in references)])
