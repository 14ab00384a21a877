"""
The images that serve: the builds that make them of an engine's recipe.

Their tag is the hash of all that goes in, so that what is there already is not built again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

from homeport.engines.image import Recipe
from homeport.google import Google
from homeport.json_types import JsonObject
from homeport.resources.google.build_place import BuildPlace
from homeport.resources.google.image import ContainerImage
from homeport.spec import CloudRun
from homeport.targets.cloudrun.names import Names
from homeport.weights.transfer import PYTHON, Job

PACKAGE = "serving"
_DOCKER = "gcr.io/cloud-builders/docker"
_WORKSPACE = "/workspace"
_SECONDS = 7200
_DISK_GB = 200
_LARGE = "E2_HIGHCPU_32"
_SMALL = "E2_HIGHCPU_8"
_FITS_SMALL = 4 * 2**30
"""Bytes of weights that the small one, with 8 GB of memory, can load; the large one has 32 GB, and new projects' quota may refuse it."""


def image(
    google: Google, names: Names, settings: CloudRun, recipe: Recipe, after: tuple[str, ...] = ()
) -> ContainerImage:
    """Return the image of `recipe` in the endpoint's repository, built where and on what `settings` say."""
    machine = settings.build_machine
    chosen = machine_for(recipe.loads) if machine == "auto" else "" if machine == "default" else machine
    place = BuildPlace(
        fixed_region=settings.build_region is not None, fixed_machine=machine != "auto" or chosen == _LARGE
    )
    steps = [_written(recipe)]
    if recipe.gguf is not None:
        job = Job(origin=recipe.gguf.origin, goal=_WORKSPACE, files=(recipe.gguf.file,), renamed="model.gguf")
        steps.append(job.step())
    made = ContainerImage(
        google=google,
        repository=names.name,
        region=names.region,
        built_in=settings.build_region or "",
        place=place,
        package=PACKAGE,
        tag=_hash(steps),
        build={},
        after=after,
    )
    reference = f"{made.reference}:{made.tag}"
    steps.append({"name": _DOCKER, "id": "build", "args": ["build", "-t", reference, "."]})
    build = {
        "steps": steps,
        "timeout": f"{_SECONDS}s",
        "options": {
            "logging": "CLOUD_LOGGING_ONLY",
            **({"machineType": chosen} if chosen else {}),
            "diskSizeGb": str(_DISK_GB),
        },
        "serviceAccount": f"projects/{google.project}/serviceAccounts/{names.email(names.builder)}",
    }
    return replace(made, build=build)


def machine_for(loads: int | None) -> str:
    """
    Return the build's machine that can load so many bytes of weights; None where that is not known.

    A build that loads none does little, and runs on Cloud Build's default machine, which every project may use: ''.
    """
    if loads == 0:
        return ""
    return _SMALL if loads is not None and loads <= _FITS_SMALL else _LARGE


def _written(recipe: Recipe) -> JsonObject:
    """Return the step that writes the Dockerfile and what lies beside it: a build of ours has no source to fetch."""
    texts = {"Dockerfile": recipe.dockerfile, **recipe.files}
    encoded = {path: base64.b64encode(text.encode()).decode() for path, text in sorted(texts.items())}
    script = (
        "#!/usr/bin/env python3\n"
        "import base64\n"
        "import pathlib\n\n"
        f"FILES = {json.dumps(encoded, indent=1)}\n"
        "for name, text in FILES.items():\n"
        f'    path = pathlib.Path("{_WORKSPACE}", name)\n'
        "    path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_bytes(base64.b64decode(text))\n"
    )
    return {"name": PYTHON, "id": "write", "script": script}


def _hash(steps: list[JsonObject]) -> str:
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:24]
