"""Parts of homeport that are installed only where they are asked for: what is said where one is missing."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from homeport.errors import ExtraMissing


def missing(what: str, extra: str) -> ExtraMissing:
    """Return the error for something that needs `extra`, an extra of homeport's, where it is not installed."""
    return ExtraMissing(f"{what}, which is not installed here", hint=install(extra))


def install(extra: str) -> str:
    """
    Return the command that adds an extra to this installation, and to no other.

    homeport is there, so whatever installs takes that one, and looks in no index for something of its name.
    """
    package = f"'homeport[{extra}]'"
    if find_spec("pip") is None:
        return f"uv pip install --python {sys.executable} {package}"
    pip = shutil.which("pip", path=os.environ.get("PATH"))
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return f"pip install {package}"
    return f"{sys.executable} -m pip install {package}"
