"""What an endpoint is called: as its file says; else, on this machine, like the folder of its file."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from homeport.errors import NotRunning, SpecError
from homeport.path_rules import shown
from homeport.spec import NAME_PATTERN, Spec

UNNAMED = "home"
"""What an endpoint is called whose folder has no name that could be one."""
_NAME_MOST = 37


def ensure_named(spec: Spec, file: Path) -> None:
    """Raise `SpecError` where the file gives no name: one that stands for paid things is not guessed from a folder."""
    if spec.name is None:
        raise SpecError(
            f"{file} gives the endpoint no name, and on Cloud Run a name stands for things that cost: "
            "it is not guessed from the folder there",
            hint=f'add this line at the top of it: name = "{name_from_folder(file)}"',
        )


def is_of(file: Path, name: str) -> bool:
    """Return True if `name` is what the endpoint of `file` is called. A file that is not there, or is wrong, names none."""
    from homeport.spec.load import load

    try:
        spec = load(file)
    except SpecError:
        return False
    return (spec.name or name_from_folder(file)) == name


def ensure_possible(name: str) -> None:
    """Raise `NotRunning` where no endpoint can be called `name`, which came from outside and may be a path."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise NotRunning(
            f"no endpoint can be called {shown(name)}: a name has at most {_NAME_MOST} of a-z, 0-9 and -, a letter first",
            hint="`homeport status` names those that run here",
        )


def ensure_model(model: object) -> None:
    """Raise `SpecError` where what a swap was given can name no model: the file, which has another, is not to blame."""
    if not isinstance(model, str) or not model.strip():
        raise SpecError(
            f"{model!r} names no model",
            hint="a name of `homeport models`, or a source such as hf:ORG/NAME, was expected",
        )


def name_from_folder(file: Path) -> str:
    """
    Return the name of the folder that `file` is in, made valid: My Models → my-models, 2026 → home-2026.

    `home` where nothing of it can be in a name.
    """
    folder = unicodedata.normalize("NFKD", file.absolute().parent.name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")
    if not plain:
        return UNNAMED
    return (plain if plain[0].isalpha() else f"{UNNAMED}-{plain}")[:_NAME_MOST].rstrip("-")
