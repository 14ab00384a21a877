"""Where Envoy is on this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def envoy_program() -> str:
    """Return Envoy's program, on the PATH or from PyPI beside this Python; '' where there is none."""
    folders = [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)]
    return shutil.which("envoy", path=os.pathsep.join(folders)) or ""
