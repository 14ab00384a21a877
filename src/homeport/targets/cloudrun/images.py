"""
The images that serve: what goes into them, and the build that makes them.

Their tag is the hash of all that goes in, so that what is there already is not built again.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from homeport.errors import SpecError
from homeport.google import Google
from homeport.resources.google.image import ContainerImage
from homeport.weights.manifest import PinnedFile
from homeport.weights.transfer import PYTHON, Job

PACKAGE = "serving"
MODEL_FILE = "/models/model.gguf"
"""Where a GGUF of one's own lies in an image."""
_DOCKER = "gcr.io/cloud-builders/docker"
_WORKSPACE = "/workspace"
_SECONDS = 7200
_DISK_GB = 200
_LARGE = "E2_HIGHCPU_32"
_SMALL = "E2_HIGHCPU_8"
_FITS_SMALL = 4 * 2**30
"""Bytes of weights that the small one, with 8 GB of memory, can load; the large one has 32 GB, and new projects' quota may refuse it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gguf:
    """A GGUF in a bucket that the build fetches and holds against its checksum."""

    origin: str
    """`gs://BUCKET/PREFIX`."""
    file: PinnedFile
    """Relative to the origin."""

    @property
    def digest(self) -> str:
        """Which weights these are, for a label: their sha256, or what a bucket tells in its place."""
        return f"sha256:{self.file.sha256}" if self.file.sha256 else str(self.file.checksum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What goes into an image."""

    dockerfile: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Texts by path, beside the Dockerfile."""
    base: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gguf: Gguf | None = None
    """What the build fetches to `model.gguf`, beside the Dockerfile."""
    machine: str = _SMALL
    """Cloud Build's name of the machine that builds it."""


def image(
    google: Google, *, name: str, region: str, recipe: Recipe, account: str, after: tuple[str, ...] = ()
) -> ContainerImage:
    """The image of `recipe` in the repository `name`, built as `account` (an e-mail)."""
    steps = [_written(recipe)]
    if recipe.gguf is not None:
        job = Job(origin=recipe.gguf.origin, goal=_WORKSPACE, files=(recipe.gguf.file,), renamed="model.gguf")
        steps.append(job.step())
    made = ContainerImage(
        google=google,
        repository=name,
        region=region,
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
            "machineType": recipe.machine,
            "diskSizeGb": str(_DISK_GB),
        },
        "serviceAccount": f"projects/{google.project}/serviceAccounts/{account}",
    }
    return replace(made, build=build)


def ollama_recipe(
    *, base: str, model_name: str, weights: str | Gguf, serving: Mapping[str, str] = {}
) -> Recipe:
    """
    Ollama with one model in it, called `model_name`: a tag of Ollama's library, or a GGUF of one's own.

    The build asks the server until it answers, brings the model, has it shown and loads it once. `serving` are texts
    by their path in the image.
    """
    own = isinstance(weights, Gguf)
    known_as = weights.digest if isinstance(weights, Gguf) else f"ollama:{weights}"
    labels = {"homeport.engine": "ollama", "homeport.model": model_name, "homeport.weights": known_as}
    labels |= {"homeport.gguf": MODEL_FILE} if own else {}
    lines = [
        f"FROM {base}",
        *_lines("LABEL", labels),
        # The model lies where no volume and no home directory hides it, and nothing of it is removed at a start.
        *_lines("ENV", {"OLLAMA_MODELS": "/models/ollama", "OLLAMA_NOPRUNE": "1"}),
        "COPY bake.sh Modelfile /models/",
        *([f"COPY model.gguf {MODEL_FILE}"] if own else []),
        "RUN sh /models/bake.sh",
        # What is for serving comes after the model is made, so that another script does not make it again.
        *(f"COPY {json.dumps([here, there])}" for here, there in _beside(serving).items()),
    ]
    source = MODEL_FILE if own else str(weights)
    return Recipe(
        dockerfile="".join(f"{line}\n" for line in lines),
        files={
            "bake.sh": _bake(model_name, "" if own else str(weights)),
            "Modelfile": f"FROM {source}\n",
            **{here: serving[there] for here, there in _beside(serving).items()},
        },
        base=base,
        labels=labels,
        gguf=weights if isinstance(weights, Gguf) else None,
        machine=_LARGE,
    )


def baking_machine(size: int) -> str:
    """The build's machine that can load weights of `size` bytes; 0 where that is not known."""
    return _SMALL if 0 < size <= _FITS_SMALL else _LARGE


def vllm_recipe(*, base: str, files: Mapping[str, str] = {}) -> Recipe:
    """VLLM with some files of ours, texts by their path in the image; no weights."""
    labels = {"homeport.engine": "vllm"}
    beside = _beside(files)
    lines = [
        f"FROM {base}",
        *_lines("LABEL", labels),
        *(f"COPY {json.dumps([here, there])}" for here, there in beside.items()),
    ]
    return Recipe(
        dockerfile="".join(f"{line}\n" for line in lines),
        files={here: files[there] for here, there in beside.items()},
        base=base,
        labels=labels,
    )


def _beside(files: Mapping[str, str]) -> dict[str, str]:
    """Where files lie beside the Dockerfile, and where in the image."""
    return {f"files/{number}-{PurePosixPath(path).name}": path for number, path in enumerate(files)}


def _written(recipe: Recipe) -> dict[str, Any]:  # Any: JSON
    """The step that writes the Dockerfile and what lies beside it: a build of ours has no source to fetch."""
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


def _hash(steps: list[dict[str, Any]]) -> str:  # Any: JSON
    return hashlib.sha256(json.dumps(steps, sort_keys=True).encode()).hexdigest()[:24]


def _lines(word: str, values: Mapping[str, str]) -> list[str]:
    """One line for each; what a Dockerfile would read into a value is escaped."""
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise SpecError(f"{name} has more than one line", hint="give a value of one line")
    return [f"{word} {name}={_quoted(value)}" for name, value in values.items()]


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$")
    return f'"{escaped}"'


def _bake(model_name: str, tag: str) -> str:
    """The script that makes the model while the image is built. Every command's failure is the build's."""
    name, pull = shlex.quote(model_name), f"ollama pull {shlex.quote(tag)}\n" if tag else ""
    return f"""#!/bin/sh
set -eu
log=$(mktemp)
ollama serve >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || :; tail -n 40 "$log"' EXIT
asked=0
until ollama list >/dev/null 2>&1; do
  kill -0 "$server"
  asked=$((asked + 1))
  [ "$asked" -lt 600 ]
  sleep 0.2
done
{pull}ollama create {name} -f /models/Modelfile
ollama show {name}
# An empty prompt loads the model, and says nothing.
ollama run {name} '' </dev/null
ollama stop {name}
kill "$server"
wait "$server" || true
trap - EXIT
rm -f "$log"
"""
