"""Images of this machine: a table that says what a container runs, and the files that were copied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from gcp_rehearsal.runtime.build.dockerfile import BuildRefused, copied, parse
from gcp_rehearsal.runtime.programs import Programs


def built(arguments: Sequence[str], workspace: Path, goal: Path, programs: Programs) -> list[str]:
    """
    Do what `docker build` with these arguments does, as far as it is files; return the references that it is tagged with.

    Raises `EndpointError` in docker's words, or for what is not rehearsed.
    """
    words, named, tags = list(arguments), "Dockerfile", list[str]()
    context: str | None = None
    for before, word in pairwise(["", *words]):
        if before in {"-t", "--tag"}:
            tags.append(word)
        elif before in {"-f", "--file"}:
            named = word
        elif before == "--build-arg" or word.startswith("--build-arg="):
            raise BuildRefused("a rehearsal does not know --build-arg")
        elif not word.startswith("-"):
            context = word
        elif word.startswith(("--tag=", "--file=")):
            raise BuildRefused(f"a rehearsal knows `{word.partition('=')[0]} VALUE`, not {word}")
    if context is None:
        raise BuildRefused('"docker build" requires exactly 1 argument.')
    folder = workspace / context
    try:
        text = (folder / named).read_text(encoding="utf-8")
    except OSError as error:
        raise BuildRefused(f"failed to read dockerfile: open {named}: {error.strerror}") from error
    image = parse(text, programs)
    root = goal / "root"
    shutil.rmtree(goal, ignore_errors=True)
    root.mkdir(parents=True)
    copied(image, folder, root)
    table = {
        "base": image.base,
        "env": image.env,
        "entrypoint": image.entrypoint,
        "cmd": image.cmd,
        "workdir": image.workdir,
        "labels": image.labels,
    }
    (goal / "image.json").write_text(json.dumps(table, indent=1), encoding="utf-8")
    return tags


def keep_image(made: Path, goal: Path) -> None:
    """Keep an image under its digest; the same digest is the same image."""
    if goal.exists():
        return
    goal.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(made, goal)
