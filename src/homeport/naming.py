"""What an endpoint is called: as its file says; else, on this machine, like the folder of its file."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from homeport.errors import SpecError
from homeport.spec import Spec, load

UNNAMED = "home"
"""What an endpoint is called whose folder has no name that could be one."""
_NAME_MOST = 37


def load_named(path: Path) -> Spec:
    """The spec in the file `path`, for Cloud Run: a name stands for paid things there. Raises `SpecError` without one."""
    spec = load(path)
    if spec.name is None:
        raise SpecError(
            f"{path} gives the endpoint no name, and on Cloud Run a name stands for things that cost: "
            "it is not guessed from the folder there",
            hint=f'add this line at the top of it: name = "{name_from_folder(path)}"',
        )
    return spec


def name_from_folder(file: Path) -> str:
    """
    The name of the folder that `file` is in, made valid: My Models → my-models, 2026 → home-2026.

    `home` where nothing of it can be in a name.
    """
    folder = unicodedata.normalize("NFKD", file.absolute().parent.name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    if not plain:
        return UNNAMED
    return (plain if plain[0].isalpha() else f"{UNNAMED}-{plain}")[:_NAME_MOST].rstrip("-")
