"""
The images that serve: the builds that make them of an engine's recipe.

Their tag is the hash of all that goes in, so that what is there already is not built again.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from homeport.engines.image import Recipe
from homeport.google import Google
from homeport.json_types import JsonObject
from homeport.resources.google.build_place import BuildPlace
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.mirrored_image import MirroredImage
from homeport.spec import CloudRun
from homeport.targets.cloudrun.names import Names
from homeport.targets.cloudrun.registries import cached, parse
from homeport.weights.transfer import PYTHON, Job

PACKAGE = "serving"
_DOCKER = "gcr.io/cloud-builders/docker"
WORKSPACE = "/workspace"
_SECONDS = 7200
_DISK_GB = 200
_LARGE = "E2_HIGHCPU_32"
_SMALL = "E2_HIGHCPU_8"
_FITS_SMALL = 4 * 2**30
"""Bytes of weights that the small one, with 8 GB of memory, can load; the large one has 32 GB, and new projects' quota may refuse it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageBuild:
    """What an image is built of."""

    package: str
    """Its name in the endpoint's repository."""
    steps: tuple[JsonObject, ...]
    """They fill the folder that docker builds."""
    loads: int | None = 0
    """Bytes of weights that the build loads into its memory; None where it loads some, and nobody knows how many."""


def image(
    google: Google, names: Names, settings: CloudRun, recipe: Recipe, after: tuple[str, ...] = ()
) -> ContainerImage:
    """Return the image of `recipe` in the endpoint's repository, built where and on what `settings` say."""
    python = cached(names, PYTHON)
    steps = [written({"Dockerfile": recipe.dockerfile, **recipe.files}, python)]
    if recipe.gguf is not None:
        job = Job(origin=recipe.gguf.origin, goal=WORKSPACE, files=(recipe.gguf.file,), renamed="model.gguf")
        steps.append(job.step(python=python))
    build = ImageBuild(package=PACKAGE, steps=tuple(steps), loads=recipe.loads)
    return built(google, names, settings, build, after)


def built(
    google: Google, names: Names, settings: CloudRun, of: ImageBuild, after: tuple[str, ...] = ()
) -> ContainerImage:
    """Return the image that docker builds of the folder that its steps have filled; its tag is their hash."""
    machine = settings.build_machine
    chosen = machine_for(of.loads) if machine == "auto" else "" if machine == "default" else machine
    place = BuildPlace(
        fixed_region=settings.build_region is not None, fixed_machine=machine != "auto" or chosen == _LARGE
    )
    container_image = ContainerImage(
        google=google,
        repository=names.name,
        region=names.region,
        built_in=settings.build_region or "",
        place=place,
        package=of.package,
        tag=_hash([*of.steps]),
        build={},
        after=after,
    )
    reference = f"{container_image.reference}:{container_image.tag}"
    build = {
        "steps": [*of.steps, {"name": _DOCKER, "id": "build", "args": ["build", "-t", reference, "."]}],
        "timeout": f"{_SECONDS}s",
        "options": {
            "logging": "CLOUD_LOGGING_ONLY",
            **({"machineType": chosen} if chosen else {}),
            "diskSizeGb": str(_DISK_GB),
        },
        "serviceAccount": f"projects/{google.project}/serviceAccounts/{names.email(names.builder)}",
    }
    return replace(container_image, build=build)


def mirrored(google: Google, names: Names, base: str, after: tuple[str, ...] = ()) -> MirroredImage:
    """Return the image `base` as its makers publish it, by its digest: through the endpoint's repository, or from Google's."""
    image = parse(base)
    path = image.path
    host, through = image.host, ""
    if not image.is_googles:
        host, through = f"{names.region}-docker.pkg.dev", names.registry(image.host)
        path = f"{names.project}/{through}/{image.path}"
    return MirroredImage(
        google=google,
        package=PACKAGE,
        source=base,
        host=host,
        path=path,
        tag=image.pinned,
        through=through,
        after=after,
    )


def machine_for(loads: int | None) -> str:
    """
    Return the build's machine that can load so many bytes of weights; None where that is not known.

    A build that loads none does little, and runs on Cloud Build's default machine, which every project may use: ''.
    """
    if loads == 0:
        return ""
    return _SMALL if loads is not None and loads <= _FITS_SMALL else _LARGE


def written(texts: Mapping[str, str], python: str) -> JsonObject:
    """Return the step that writes texts by their paths, in the image `python`: a build of ours has no source to fetch."""
    encoded = {path: base64.b64encode(text.encode()).decode() for path, text in sorted(texts.items())}
    script = (
        "#!/usr/bin/env python3\n"
        "import base64\n"
        "import pathlib\n\n"
        f"FILES = {json.dumps(encoded, indent=1)}\n"
        "for name, text in FILES.items():\n"
        f'    path = pathlib.Path("{WORKSPACE}", name)\n'
        "    path.parent.mkdir(parents=True, exist_ok=True)\n"
        "    path.write_bytes(base64.b64decode(text))\n"
    )
    return {"name": python, "id": "write", "script": script}


def _hash(steps: list[JsonObject]) -> str:
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:24]
