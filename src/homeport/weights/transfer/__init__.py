"""
The step of a build that carries weights: a script of the standard library alone, and the job that it is given.

The script runs where homeport is not installed. It is handed over as text, and nothing here imports it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from homeport.errors import WeightsError
from homeport.weights.manifest import PinnedFile

PYTHON = "python:3.12-slim"
"""The image that scripts of ours run in."""
MANIFEST = "homeport-manifest.json"
"""The object that lies beside the weights and is written last."""
_OF_BUCKETS = ("generation", "crc32c", "md5")
_LONGEST_JOB = 60_000
_FUTURE = "from __future__ import annotations\n"
_OURS = re.compile(r"^from homeport\.[\w.]+ import (?:\([^)]*\)|[\w, ]+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is carried from where to where."""

    origin: str
    """`hf:ORG/NAME@COMMIT` or `gs://BUCKET/PREFIX`."""
    goal: str
    """`gs://BUCKET/PREFIX`, or a folder of the build such as `/workspace`."""
    files: tuple[PinnedFile, ...]
    source: str = ""
    """As the user wrote it; for the manifest."""
    revision: str = ""
    renamed: str = ""
    """What the one file is called at the goal, where that is something else."""

    def step(self, *, token: bool = False, python: str = PYTHON) -> dict[str, Any]:  # Any: JSON
        """
        Return the step of Cloud Build that does it; with `token`, the hub's token comes in the secret
        variable HF_TOKEN. `python` is what the image with Python is called there.

        Raises `WeightsError` for more files than a variable of a build can name.
        """
        job = {
            "from": self.origin,
            "to": self.goal,
            "source": self.source,
            "revision": self.revision,
            "files": [
                {"path": file.path, "size": file.size, "sha256": file.sha256}
                | {key: value for key in _OF_BUCKETS if (value := getattr(file, key)) is not None}
                | ({"as": self.renamed} if self.renamed else {})
                for file in self.files
            ],
        }
        # What stands after a dollar would be a substitution; a script is not looked through for them.
        text = json.dumps(job, separators=(",", ":")).replace("$", "$$")
        if len(text) > _LONGEST_JOB:
            raise WeightsError(
                f"{self.source or self.origin} has {len(self.files)} files, more than a build can be told of",
                hint="name a source with fewer and larger files",
            )
        step = {"name": python, "id": "carry", "env": [f"HOMEPORT_JOB={text}"], "script": script()}
        return step | ({"secretEnv": ["HF_TOKEN"]} if token else {})


@cache
def script() -> str:
    """
    Return the script, of both halves and the rules for names in one text, with the line on top by which Cloud
    Build knows what runs it.
    """
    rules = (files("homeport") / "path_rules.py").read_text(encoding="utf-8").partition(_FUTURE)[2]
    wire, carry = ((files(__name__) / name).read_text(encoding="utf-8") for name in ("http.py", "job.py"))
    head, future, second = carry.partition(_FUTURE)
    first = wire.partition(_FUTURE)[2]
    return f"#!/usr/bin/env python3\n{head}{future}{rules}{first}{_OURS.sub('', second)}"
