"""A path as its owner wrote it: what it leads to, whether something is there, and what to do where the disk refuses."""

from __future__ import annotations

import errno
import re
import stat
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

_STREAM = re.compile(r"/dev/(null|tty|std(in|out|err)|fd/\d+)|/proc/(self|\d+)/fd/\d+")
"""What is there for a process that has opened it, such as what a shell puts in the place of `<(…)`."""
_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


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


def ensure_file(path: Path, kind: type[HomeportError] = SpecError) -> None:
    """
    Raise `kind` for what is no file, whose reader or writer might wait for ever; `OSError` where nobody can look.

    What this process, or the shell that began it, has opened counts as one.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode) or leads_to_a_stream(path):
        return
    what = next((name for is_kind, name in _KINDS if is_kind(mode)), "no file")
    raise kind(
        f"{path} is {what}, and a file was expected", hint=f"{what} lies there: name the file that you mean"
    )


def leads_to_a_stream(path: Path) -> bool:
    """Return True for the name of a stream and for a link to one; not by what the link is in the end, a pipe without a name."""
    while True:
        path = path.parent.resolve() / path.name
        if _STREAM.fullmatch(str(path)):
            return True
        if not path.is_symlink():
            return False
        path = path.parent / path.readlink()


@contextmanager
def reading(path: Path, *, if_missing: str) -> Iterator[None]:
    """Raise `SpecError`, with what to do, where a file that somebody named cannot be read."""
    with looking_at(path):
        try:
            ensure_file(path)
            yield
        except FileNotFoundError:
            raise SpecError(f"there is no {path}", hint=if_missing) from None


def content_of(path: Path, *, if_missing: str) -> bytes:
    """Return what is in a file that somebody named. Raises as `reading` does."""
    with reading(path, if_missing=if_missing):
        return path.read_bytes()


def text_of(path: Path, *, if_missing: str, hint: str) -> str:
    """Return the text of a file that somebody named. Raises as `reading` does, and with `hint` where it is no text."""
    try:
        return content_of(path, if_missing=if_missing).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(f"{path} is no text in UTF-8", hint=hint) from error


def is_there(path: Path) -> bool:
    """Return True where something is at `path`. Raises `SpecError` where nobody can tell."""
    with looking_at(path):
        try:
            return mode_at(path) != 0
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return False  # No disk here has a file of such a name.


def mode_at(path: Path) -> int:
    """
    Return the mode of what lies at `path`, for `stat.S_ISDIR` and its like; 0 where nothing does.

    Raises `OSError` where nobody can tell. `Path.exists` and its like say no then: for a circle of links, and from Python 3.14 on for a
    folder that its owner keeps closed, too.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0
