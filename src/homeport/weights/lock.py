"""One process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from homeport.home import private_folder, writing
from homeport.progress import Progress


@contextmanager
def held(path: Path, what: str, progress: Progress) -> Iterator[None]:
    """
    Hold the lock file `path` while `what` is fetched; waits while another process does, and says so.

    The kernel lets go of the lock when its holder dies, however it dies. Raises `StateError`, `DiskFull`.
    """
    from filelock import FileLock, Timeout

    with writing(path):
        private_folder(path.parent)
    lock = FileLock(path, mode=0o600, thread_local=False)
    announced = False
    while not lock.is_locked:
        try:
            with writing(path):
                lock.acquire(timeout=0.1)
        except Timeout:
            if not announced:
                progress.note(f"another process is fetching {what}, waiting for it")
                announced = True
            # A listener can end this thread only from within a call.
            progress.advanced(what, 0, 0)
    try:
        yield
    finally:
        lock.release()
