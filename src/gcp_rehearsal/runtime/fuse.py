"""
A bucket mounted through FUSE, read from the rehearsal's own storage API over loopback.

`rclone` does what Cloud Storage FUSE does in the cloud: it is another program, and its options are other ones. What
is alike is that the engine's reads are requests for ranges of objects, made when it reads, as the service's account.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_MOUNTS_WITHIN_S = 20.0
_ENDS_WITHIN_S = 5.0
_LOOKS_EVERY_S = 0.02
_OPTIONS = (
    "--read-only",
    "--dir-perms=0555",
    "--file-perms=0444",
    "--vfs-cache-mode=off",
    "--log-level=ERROR",
)
_REFRESHED = ("--dir-cache-time=60s", "--poll-interval=0")
"""Cloud Run's own mounts know a file's size and time for 60 s, too."""


class NotMounted(Exception):
    """A volume could not be mounted: its name, and why, in the words of the program that tried."""

    def __init__(self, volume: str, why: str) -> None:
        super().__init__(why)
        self.volume = volume


class Fuse:
    """One mount. It ends with `close`."""

    def __init__(self, what: str, at: Path, env: Mapping[str, str], program: str) -> None:
        self._what, self._at, self._rclone = what, at, program
        self._env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(at.parent),
            "RCLONE_CONFIG": os.devnull,
            **env,
        }
        self._log = at.with_name(f"{at.name}.log")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def group(self) -> int | None:
        """Return the process group that does it; None where none was started."""
        return self._process.pid if self._process is not None else None

    def mount(self, started: Callable[[int], None] = lambda _: None) -> None:
        """Mount it, and return when it is mounted; `started` is told the process group. Raises `NotMounted`."""
        self._at.mkdir(parents=True, exist_ok=True)
        command = [self._rclone, "mount", self._what, str(self._at), *_OPTIONS, *_REFRESHED]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started(self._process.pid)
        until = time.monotonic() + _MOUNTS_WITHIN_S
        while not os.path.ismount(self._at):
            if self._process.poll() is not None or time.monotonic() > until:
                self.close()
                lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise NotMounted(self._at.name, lines[-1] if lines else "nothing was mounted")
            time.sleep(_LOOKS_EVERY_S)

    def close(self) -> None:
        """Unmount it. Returns when it is gone."""
        if self._process is None:
            return
        # Lazily: a process that still reads from it, in a view of its own, must not keep it mounted here.
        with suppress(OSError):
            subprocess.run([_unmounter(), "-u", "-z", str(self._at)], capture_output=True, check=False)
        try:
            self._process.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@dataclass(frozen=True, slots=True)
class Fuses:
    """Mounts buckets of the rehearsal at `url` ('' for one that is not on a socket), by what lies on PATH or `beside`."""

    url: str
    beside: tuple[Path, ...] = ()

    def why_not(self) -> str:
        """Return why nothing can be mounted; '' where it can."""
        return works(self.beside) if self.url else "this rehearsal is not on a socket"

    def bucket(self, bucket: str, folder: str, at: Path, *, token: str) -> Fuse:
        """Return the folder `folder` of a bucket ('' for all of it) at `at`, as the holder of `token` reads it."""
        env = {
            "RCLONE_GCS_ENDPOINT": f"{self.url}/storage/v1/",
            "RCLONE_GCS_ACCESS_TOKEN": token,
            "RCLONE_GCS_BUCKET_POLICY_ONLY": "true",
        }
        return Fuse(f":gcs:{bucket}/{folder}".rstrip("/"), at, env, rclone(self.beside))


@cache
def works(beside: tuple[Path, ...] = ()) -> str:
    """Return why nothing can be mounted through FUSE on this machine; '' where it can: tried once."""
    if not sys.platform.startswith("linux"):
        return "FUSE is used on Linux only"
    missing = [name for name, path in (("rclone", rclone(beside)), ("fusermount3", _unmounter())) if not path]
    if missing:
        return f"there is no {' and no '.join(missing)} on this machine"
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        return "/dev/fuse is not there, or not for us"
    with tempfile.TemporaryDirectory(prefix="gcp-rehearsal-") as folder:
        tried = Fuse(":memory:", Path(folder, "mounted"), {}, rclone(beside))
        try:
            tried.mount()
        except (OSError, NotMounted) as error:
            return f"rclone could not mount: {error}"
        finally:
            tried.close()
    return ""


def rclone(beside: tuple[Path, ...] = ()) -> str:
    """
    Return the program that mounts: on the PATH, from PyPI beside this Python, or in a folder `beside`; ''
    where there is none.
    """
    folders = [os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent), *map(str, beside)]
    return shutil.which("rclone", path=os.pathsep.join(folders)) or ""


def _unmounter() -> str:
    return shutil.which("fusermount3") or ""
