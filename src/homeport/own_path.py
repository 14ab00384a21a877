"""A path as its owner wrote it: what it leads to, whether something is there, and what to do where the disk refuses."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.errors import HomeportError, SpecError

_NO_PATH = {
    errno.ENAMETOOLONG: "no disk has such a name: name the file that you mean",
    errno.ELOOP: "its links lead in a circle: name what they were to lead to",
    errno.EISDIR: "a folder lies there: name the file that you mean",
    errno.ENOTDIR: "a file lies where a folder was expected: name another path",
}


def expanded(text: str, base: Path) -> Path:
    """Return the path that `text` names, from `base` where it is relative, with `~` replaced. Raises `SpecError`."""
    try:
        return base / Path(text).expanduser()
    except RuntimeError as error:
        raise SpecError(
            f"{text!r} begins with the home of somebody whom this machine does not know",
            hint="write the path out, or begin it with ~/ for your own home",
        ) from error


@contextmanager
def looking_at(path: Path, kind: type[HomeportError] = SpecError) -> Iterator[None]:
    """Raise `kind`, with what to do, where the disk refuses to tell of `path` or to read it."""
    try:
        yield
    except OSError as error:
        raise kind(
            f"{error.filename or path} cannot be looked at: {error.strerror or error}",
            hint=of_no_disk(error)
            or "name a path that you may read, or let its owner open the folders on the way (chmod a+x)",
        ) from error


def of_no_disk(error: OSError) -> str:
    """Return what to do about a path that no owner could open, as it is none; '' where the disk refused for another reason."""
    return _NO_PATH.get(error.errno or 0, "")


def is_there(path: Path) -> bool:
    """Return True where something is at `path`. Raises `SpecError` where nobody can tell."""
    with looking_at(path):
        try:
            return path.exists()
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return False  # No disk here has a file of such a name.
