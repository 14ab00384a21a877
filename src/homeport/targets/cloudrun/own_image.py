"""An image of homeport itself, built of the homeport that runs: the wheel in the bucket, and Python with it installed."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache

from homeport.catalog.images import engine_image
from homeport.google import IamResource
from homeport.reconcile import Resource
from homeport.resources.google.iam_binding import Grant
from homeport.resources.google.image import ContainerImage
from homeport.resources.google.object import Object
from homeport.targets.cloudrun.front import PORT
from homeport.targets.cloudrun.images import WORKSPACE, ImageBuild, built, written
from homeport.targets.cloudrun.registries import cached
from homeport.targets.cloudrun.target import CloudRunTarget
from homeport.weights.manifest import PinnedFile
from homeport.weights.transfer import PYTHON, Job
from homeport.wheel import OwnWheel, constraints, own_wheel

_FOLDER = "homeport"
"""Of the bucket: where wheels of homeport's lie."""
_UNPACK = """#!/usr/bin/env python3
import base64
import pathlib

text = pathlib.Path("{folder}", "wheel.b64")
pathlib.Path("{folder}", "{wheel}").write_bytes(base64.b64decode(text.read_bytes()))
text.unlink()
"""
_DOCKERFILE = """FROM {base}
COPY constraints.txt {wheel} /install/
RUN pip install --no-cache-dir --constraint /install/constraints.txt "/install/{wheel}[{extras}]" && rm -r /install
RUN useradd --create-home --uid 10001 {user}
USER 10001
ENTRYPOINT ["python3", "-m", "{module}"]
CMD ["--host", "0.0.0.0", "--port", "{port}"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnImage:
    """What an image of homeport's is for."""

    package: str
    """Its name in the endpoint's repository, and that of the user that it runs as."""
    module: str
    """What is started, with `--host` and `--port`."""
    extras: tuple[str, ...]
    """Of homeport's, that are installed in it."""

    @property
    def base(self) -> str:
        """Return the image that it begins with."""
        return engine_image("python").pinned

    @property
    def wheel(self) -> OwnWheel:
        """Return what is installed in it."""
        return own_wheel()

    def resources(self, target: CloudRunTarget) -> tuple[Resource, ...]:
        """Return the image as the last, after what it is built of. It is known as `image/PACKAGE`."""
        wheel = self.wheel
        stored = Object(
            google=target.google,
            bucket=target.names.bucket,
            name=f"{_FOLDER}/{wheel.name}.b64",
            content=_encoded(wheel.content),
        )
        reading = _reading(target)
        return (stored, *reading, self._image(target, stored, reading))

    def _image(self, target: CloudRunTarget, stored: Object, reading: tuple[Resource, ...]) -> ContainerImage:
        names, foundations, wheel = target.names, target.foundations, self.wheel
        file = PinnedFile(
            path=f"{wheel.name}.b64",
            size=len(stored.content),
            sha256=_sha256(stored.content),
        )
        job = Job(
            origin=f"gs://{stored.bucket}/{_FOLDER}", goal=WORKSPACE, files=(file,), renamed="wheel.b64"
        )
        python = cached(names, PYTHON)
        texts = {
            "constraints.txt": constraints(self.extras),
            "Dockerfile": _DOCKERFILE.format(
                base=cached(names, self.base), wheel=wheel.name, extras=",".join(self.extras), user=self.package,
                module=self.module, port=PORT,
            ),
        }  # fmt: skip
        unpack = {
            "name": python,
            "id": "unpack",
            "script": _UNPACK.format(folder=WORKSPACE, wheel=wheel.name),
        }
        after = (
            foundations.apis.id,
            f"service-account/{names.builder}",
            *foundations.grants_of(names.builder),
            *(resource.id for resource in reading),
            stored.id,
        )
        steps = (written(texts, python), job.step(python=python), unpack)
        build = ImageBuild(package=self.package, steps=steps)
        return built(target.google, names, target.settings, build, after)


@lru_cache(
    maxsize=1
)  # Each plan has it, for each image of homeport's own: a megabyte, and the same in the whole process.
def _encoded(wheel: bytes) -> bytes:
    return base64.b64encode(wheel)


@lru_cache(maxsize=1)
def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _reading(target: CloudRunTarget) -> tuple[Resource, ...]:
    """Return what lets the build read the bucket, where it may not anyway."""
    names = target.names
    if target.baked:
        return ()
    return (
        Grant(
            google=target.google,
            role="roles/storage.objectViewer",
            member=f"serviceAccount:{names.email(names.builder)}",
            on=IamResource(api="storage", path=f"storage/v1/b/{names.bucket}"),
            known_as=f"bucket/{names.bucket}",
            needs=(f"bucket/{names.bucket}", f"service-account/{names.builder}"),
        ),
    )
