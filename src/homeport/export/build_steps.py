"""The steps of one build of `up` within a pipeline of several, each in a folder of its own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence

from homeport.export.builds import ExportedBuild, exists_command
from homeport.json_types import Json, JsonObject
from homeport.resources.google.gcs_weights import StoredWeights
from homeport.resources.google.image import ContainerImage
from homeport.targets.cloudrun.images import WORKSPACE

CLI = "gcr.io/google.com/cloudsdktool/google-cloud-cli:slim"
"""The image whose steps call gcloud."""
ENV = ["CLOUDSDK_CORE_PROJECT=$PROJECT_ID", "CLOUDSDK_CORE_DISABLE_PROMPTS=1"]
_FOLDER = f'"{WORKSPACE}"'
"""How a step names the folder that it fills, in Python and in JSON."""


def steps_of(build: ExportedBuild, before: Sequence[str], begin: Sequence[str]) -> list[JsonObject]:
    """
    Return the steps of one build, each after the one before; the first `before` what it needs, or where all may `begin`.

    All builds of a pipeline share one workspace and run at once, so each image has a folder of its own in it. Raises `TypeError` for
    steps that name no folder which could be another.
    """
    steps: list[JsonObject] = []
    if isinstance(build.thing, ContainerImage):
        steps.append(_look(build.name, build.thing, begin))
        before = [*before, f"{build.name}-look"]
    for number, step in enumerate(_in_own_folder(build)):
        name = f"{build.name}-{step.get('id', number)}"
        placed = {**step, "id": name, "waitFor": [*(before or begin)], "timeout": build.body["timeout"]}
        is_docker = _is_docker_build(placed, build.thing)
        steps.append(_built(placed, build.name, build.thing) if is_docker else placed)
        before = [name]
    return steps


def _in_own_folder(build: ExportedBuild) -> list[JsonObject]:
    """Return the steps of a build with the image's own folder in place of the workspace: what one writes, no other overwrites."""
    steps: list[JsonObject] = list(build.body["steps"])
    if not isinstance(build.thing, ContainerImage):
        return steps
    own = json.dumps(f"{WORKSPACE}/{build.name}")
    moved = [_moved(step, own) for step in steps]
    if moved[:1] == steps[:1] and len(steps) > 1:
        raise TypeError(f"the first step of {build.name} does not say which folder it fills")
    return moved


def _moved(step: JsonObject, own: str) -> JsonObject:
    texts = {"script": step["script"].replace(_FOLDER, own)} if "script" in step else {}
    env = {"env": [one.replace(_FOLDER, own) for one in step["env"]]} if "env" in step else {}
    return {**step, **texts, **env}


def _look(name: str, image: ContainerImage, begin: Sequence[str]) -> JsonObject:
    script = (
        "#!/usr/bin/env bash\n"
        "# The tag is the hash of all that goes into the image: what is there need not be built again.\n"
        f"if {exists_command(image)} >/dev/null 2>&1; then touch {_mark(name)}; fi\n"
    )
    return {"name": CLI, "id": f"{name}-look", "waitFor": [*begin], "env": ENV, "script": script}


def _mark(name: str) -> str:
    return f"{WORKSPACE}/{name}-is-there"


def _is_docker_build(step: Mapping[str, Json], thing: ContainerImage | StoredWeights) -> bool:
    return (
        isinstance(thing, ContainerImage)
        and "entrypoint" not in step
        and list(step.get("args", ()))[:1] == ["build"]
    )


def _built(step: JsonObject, name: str, thing: ContainerImage | StoredWeights) -> JsonObject:
    """Return a step in a shell, so that it can be left out, and pushes at once: the deployment is of this build."""
    assert isinstance(thing, ContainerImage)
    script = (
        f"if [ -e {_mark(name)} ]; then exit 0; fi\n"
        f"{shlex.join(['docker', *step['args']])}\n"
        f"{shlex.join(['docker', 'push', f'{thing.reference}:{thing.tag}'])}\n"
    )
    return {**step, "dir": name, "entrypoint": "bash", "args": ["-ec", script]}
