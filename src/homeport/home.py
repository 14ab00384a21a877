"""
Homeport's own folder: weights, and for each endpoint its record, log, lock and key.

Whatever homeport writes in it is its user's alone, whatever the umask: folders have the mode 0700, files 0600.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from errno import EACCES, EBUSY, EDQUOT, EEXIST, ENOENT, ENOSPC, EPERM, EROFS
from pathlib import Path

from homeport.backoff import UNTIL_STOPPED, Backoff
from homeport.errors import SpecError, StateError
from homeport.own_path import ensure_file, expanded, leads_to_a_stream, mode_at, of_no_disk
from homeport.progress import Progress

LOCK = "lock"
"""The file in an endpoint's folder that is held by whoever changes it."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where homeport keeps things: `$HOMEPORT_HOME`, or the user's data folder."""

    root: Path

    @property
    def weights(self) -> Path:
        """Return the folder of the weights, shared by all endpoints."""
        return self.root / "weights"

    def endpoint(self, name: str) -> Path:
        """Return the folder of the endpoint `name`."""
        return self.root / "endpoints" / name

    def benches(self, name: str) -> Path:
        """Return the folder of the benches of the endpoint `name`."""
        return self.endpoint(name) / "benches"

    def endpoints(self) -> list[str]:
        """Return the names of the endpoints that have a folder here."""
        try:
            return sorted(path.name for path in (self.root / "endpoints").iterdir() if path.is_dir())
        except FileNotFoundError:
            return []

    def prepare(self, name: str) -> Path:
        """Return the folder of the endpoint `name`, made where it is not there. Raises `StateError` where it cannot be."""
        folder = self.endpoint(name)
        with writing(folder):
            private_folder(folder)
            self._close()
            for path in folder.iterdir():
                _close(path)
            os.utime(folder)
        if not os.access(folder, os.W_OK):
            raise StateError(f"homeport cannot write to {folder}", hint=_HINT)
        return folder

    def _close(self) -> None:
        """
        Close to others what an earlier version, or somebody else, left open.

        A root that holds other things, too, is the user's, and stays as it is: what is homeport's in it is closed.
        """
        _close(self.root / "endpoints")
        _close(self.weights)
        if all(path.name in _OURS for path in self.root.iterdir()):
            _close(self.root)

    @asynccontextmanager
    async def lock(self, name: str, progress: Progress) -> AsyncIterator[None]:
        """Hold the endpoint `name`, so that one process at a time changes it. Waits while another does."""
        path = self.prepare(name) / LOCK
        announced = False
        wait = Backoff(what=f"another homeport that works on {name}", within=UNTIL_STOPPED, first=0.1)
        while True:
            with held_if_free(path) as held:
                if held:
                    yield
                    return
            if not announced:
                progress.note(f"another homeport is working on {name}; waiting for it")
                announced = True
            await wait.pause()


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """
    Hold the lock file `path` and yield True, or False at once where somebody else holds it. Raises as `writing` does.

    The kernel lets go of the lock when its holder dies, however it dies.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, mode=_FILE, thread_local=False)
    with suppress(Timeout), writing(path):
        lock.acquire(timeout=0)
    try:
        yield lock.is_locked
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Tell whether somebody holds the lock file `path`, without making it. Raises as `writing` does where that cannot be told."""
    import fcntl  # Late: this module is imported on Windows, too, to say that homeport does not run there.

    with writing(path):
        try:
            looked_at = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two who look do not take each other for a holder.
            fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(looked_at)
        return False


def private_folder(folder: Path) -> None:
    """
    Make `folder`, and those above it that are missing, for its user alone. One that is there is closed to others.

    Raises `OSError`.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=_FOLDER, exist_ok=True)
        path.chmod(_FOLDER)  # A umask takes from what mkdir is given; it cannot take from this.
    _close(folder)


def private_opener(path: str, flags: int) -> int:
    """
    Open a file for its user alone, whatever the umask and whatever it was before: an `opener` for `open`.

    What is no file, such as /dev/null, is everybody's, and stays as it is.
    """
    file = os.open(path, flags, _FILE)
    with suppress(PermissionError):  # Somebody else's; then it holds nothing that homeport made.
        if stat.S_ISREG(os.fstat(file).st_mode):
            os.fchmod(file, _FILE)
    return file


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path`, for its user alone, in one step: a reader sees the old text or this one."""
    draft = _draft_beside(path)
    with writing(path):
        try:
            with open(draft, "x", encoding="utf-8", opener=private_opener) as file:
                file.write(text)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """
    Write `text` to a file of the user's in one step, so that it is never half written; mode and owner of one that is there stay, and a
    link stays one.

    What this process or the shell has opened, such as /dev/stdout, is written as it comes, and so is a file that has another name, too,
    whose owner no other can be given, or whose folder takes no other beside it. Raises as `writing` does, and `StateError` for a pipe
    or what else is no file.
    """
    with writing(path):
        mode = mode_at(path)
        if mode:
            ensure_file(path, StateError)
            path.open("a").close()
        if not mode or (stat.S_ISREG(mode) and path.stat().st_nlink == 1 and not leads_to_a_stream(path)):
            try:
                _replace(path.resolve(), text, there=bool(mode))
            except OSError as error:
                if not mode or error.errno not in _NOTHING_BESIDE:
                    raise
            else:
                return
        path.write_text(text, encoding="utf-8")


def _replace(target: Path, text: str, *, there: bool) -> None:
    draft = _draft_beside(target)
    draft.touch(_FILE if there else 0o666, exist_ok=False)
    try:
        if there:
            _keep_owner(target, draft)
            shutil.copymode(target, draft)
        draft.write_text(text, encoding="utf-8")
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _keep_owner(old: Path, draft: Path) -> None:
    was, new = old.stat(), draft.stat()
    if (was.st_uid, was.st_gid) == (new.st_uid, new.st_gid):
        return
    try:
        os.chown(draft, was.st_uid, was.st_gid)
    except OSError as error:  # Not permitted, or an owner that this container has no number for.
        raise PermissionError(EPERM, "its owner cannot be kept") from error


def _draft_beside(path: Path) -> Path:
    """Return a name beside `path` that nobody can foresee; a draft is made there only where nothing lies, not even a link."""
    return path.with_name(f".homeport-{os.urandom(8).hex()}")


def ensure_file_writable(path: Path) -> None:
    """
    Raise as `writing` does where no file can be written at `path`, before the work whose result it is to hold. It leaves nothing.

    A link stays one, and what it leads to is looked at. Raises `StateError` for a pipe or what else is no file: a look would end its
    reader, and without one wait for ever.
    """
    with writing(path):
        if mode_at(path):
            ensure_file(path, StateError)
            path.open("a").close()
            return
        target = path.resolve()
        target.open("x").close()
        target.unlink()


def ensure_folder_writable(path: Path) -> None:
    """Raise as `writing` does where nothing can be written into the folder `path`, or it cannot be made. It leaves nothing."""
    import tempfile

    with writing(path):
        there = path.absolute()
        while not mode_at(there):
            if there.is_symlink():
                raise StateError(
                    f"homeport cannot write {path}: the link {there} leads nowhere",
                    hint="make the folder that it leads to, or name another path",
                )
            there = there.parent
        with tempfile.TemporaryDirectory(prefix=".homeport-", dir=there):
            pass


def _close(path: Path) -> None:
    """Take from others what they may do with a file or folder, if it is there and the user's own."""
    with suppress(FileNotFoundError, PermissionError):
        mode = path.stat().st_mode & 0o7777
        if mode & _OTHERS:
            path.chmod(mode & ~_OTHERS)


_NOTHING_BESIDE = frozenset((EACCES, EPERM, EROFS, EBUSY))
"""What the system says where nothing can be put beside a file, or into its place: its folder is closed, or it is mounted by itself."""
_FOLDER, _FILE, _OTHERS = 0o700, 0o600, 0o077
_OURS = {
    "endpoints",
    "weights",
    "rehearsals",
    "proxies",
    "templates",
    "transcripts",
    "usage",
    "cold-starts.json",
    "rehearsal.json",
    "rehearsal.log",
}
"""What homeport puts into its root."""
_HINT = "set HOMEPORT_HOME to a folder that you may write to"


class writing:  # noqa: N801 - read as a verb where it is used: `with writing(path):`
    """Turns the system's refusal to write `path` into a `StateError` or `DiskFull` that says what to do."""

    def __init__(self, path: Path, *, do: str = "") -> None:
        self._path, self._do = path, do

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        from homeport.errors import DiskFull

        if not isinstance(error, OSError) or type(error).__name__ == "Timeout":
            return
        if isinstance(error, BrokenPipeError):  # The reader has had enough, which is no failure.
            return
        if error.errno in {ENOSPC, EDQUOT}:
            raise DiskFull(
                f"the disk is full: {self._path} could not be written", hint="free some space"
            ) from error
        raise StateError(
            f"homeport cannot write {self._path}: {error.strerror or error}",
            hint=self._do or _remedy(self._path, error),
        ) from error


def _remedy(path: Path, error: OSError) -> str:
    """Return what to do where `path` cannot be written: what leads elsewhere depends on whose folder it lies in."""
    with suppress(SpecError):
        if path.absolute().is_relative_to(_root(os.environ)):
            return _HINT
    if any(part.startswith("models--") for part in path.parts):
        return "set HF_HOME to a folder that you may write to"
    if error.errno == EEXIST:
        return "something that is no folder lies there: name another path"
    if error.errno == ENOENT:
        return "make the folder that it is to lie in, or name another path"
    return of_no_disk(error) or "name a path that you may write to"


def find_home(env: Mapping[str, str] | None = None) -> Home:
    """
    Find homeport's folder: `$HOMEPORT_HOME`, else `homeport` in the user's data folder; it need not be there yet.

    Raises `SpecError` for a home that is not here, `StateError` where something else lies there, or the disk refuses to tell.
    """
    root = _root(os.environ if env is None else env)
    try:
        with os.scandir(root):
            return Home(root)
    except FileNotFoundError:
        return Home(root)
    except OSError as error:
        raise StateError(
            f"homeport's folder {root} cannot be read: {error.strerror or error}", hint=_HINT
        ) from error


def _root(env: Mapping[str, str]) -> Path:
    chosen = env.get("HOMEPORT_HOME")
    if chosen:
        return expanded(chosen, Path()).absolute()
    from platformdirs import user_data_path

    return user_data_path("homeport", appauthor=False)
