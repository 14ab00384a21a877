"""Parts of homeport that are installed only where they are asked for: what is said where one is missing."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from homeport.errors import ExtraMissing

_OWN = frozenset({"homeport", "gcp_rehearsal", "__main__"})


def missing(what: str, extra: str) -> ExtraMissing:
    """
    Return the error for something that needs `extra`, an extra of homeport's, where it is not installed.

    Where an import has just failed since what is installed is broken, it is that error: to install it once more does nothing.
    """
    raised = sys.exc_info()[1]
    broken = None if raised is None or isinstance(raised, ModuleNotFoundError) else unimportable(raised)
    return broken or ExtraMissing(f"{what}, which is not installed here", hint=install(extra))


def unimportable(error: BaseException) -> ExtraMissing | None:
    """
    Return the error for a package of others that is installed here, or should be, and cannot be imported; None for any other error.

    A broken one raises whatever it likes: what tells it is that the error comes from where it is imported.
    """
    if isinstance(error, ModuleNotFoundError) and error.name and not _is_own(error.name):
        top = error.name.partition(".")[0]
        if find_spec(top) is None:
            return ExtraMissing(
                f"this needs the package {top}, which is not installed here",
                hint=f"{_installs()} PACKAGE, or the extra of homeport that brings it: docs/installing.md",
            )
    name = _imported(error.__traceback__)
    if isinstance(error, ImportError) and not name and error.name and not _is_own(error.name):
        name = error.name
    if not name:
        return None
    package = _package(name.partition(".")[0])
    return ExtraMissing(
        f"the package {package} is installed here, and cannot be imported: {type(error).__name__}: {error}",
        hint=f"{_installs()} --force-reinstall --no-deps {package}",
    )


def install(extra: str) -> str:
    """
    Return the command that adds an extra to this installation, and to no other.

    homeport is there, so whatever installs takes that one, and looks in no index for something of its name.
    """
    return f"{_installs()} 'homeport[{extra}]'"


def _installs() -> str:
    if find_spec("pip") is None:
        return f"uv pip install --python {sys.executable}"
    pip = shutil.which("pip", path=os.environ.get("PATH"))
    if pip is not None and Path(pip).parent == Path(sys.executable).parent:
        return "pip install"
    return f"{sys.executable} -m pip install"


def _imported(trace: TracebackType | None) -> str:
    """Return the module of others, none of Python's, that was being imported last when an error was raised; '' where none was."""
    name = ""
    while trace is not None:
        code, module = trace.tb_frame.f_code, str(trace.tb_frame.f_globals.get("__name__", ""))
        if code.co_name == "<module>" and not _is_own(module):
            name = module
        trace = trace.tb_next
    return name


def _is_own(module: str) -> bool:
    """Return whether a module is homeport's or Python's."""
    top = module.partition(".")[0]
    return top in _OWN or top in sys.stdlib_module_names


def _package(module: str) -> str:
    """Return what a module is installed as; its own name where nobody knows."""
    from importlib.metadata import packages_distributions

    return next(iter(packages_distributions().get(module, ())), module)
