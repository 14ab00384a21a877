"""
A container's own view of the file system: its files and volumes at the very paths that it was told.

A mount namespace of Linux, made by the programs of util-linux: a new root that holds this machine's files and, in
front of them, those of the container. It ends with the last process in it, and leaves nothing mounted.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

_SBIN = "/usr/sbin:/sbin"
"""Not everybody has these on the PATH, where `chroot` lies."""
_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bind:
    """Something of this machine at a path of the container."""

    source: Path
    target: str
    read_only: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class MountNamespace:
    """What a container sees beside this machine's files."""

    root: Path
    """An empty folder, on which the view is mounted for those inside alone."""
    binds: tuple[Bind, ...]

    def entered(self, command: Sequence[str], workdir: str) -> list[str]:
        """Return the command that runs `command` inside; it becomes that command, with the same process id."""
        # Without the right to mount, root inside cannot make anything writable again.
        into = [_tool("setpriv"), "--bounding-set=-sys_admin", _tool("chroot"), str(self.root)]
        into += ["/bin/sh", "-c", 'cd "$0" && exec "$@"', workdir]
        script = "".join(f"{line}\n" for line in (*self._lines(), f'exec {shlex.join(into)} "$@"'))
        return [*_unshare(), "/bin/sh", "-euc", script, "sh", *command]

    def hides(self, paths: Iterable[Path]) -> bool:
        """Return True if anything of this machine at `paths` could not be seen inside."""
        return any(path.is_relative_to(bind.target) for path in paths for bind in self.binds)

    def _lines(self) -> Iterator[str]:
        mount = _tool("mount")
        yield f"{mount} -t tmpfs none {_quoted(self.root)}"
        # Otherwise the new root would hold itself where it lies below a folder that is taken along.
        yield f"{mount} --make-unbindable {_quoted(self.root)}"
        targets = {bind.target for bind in self.binds}
        folders = {"/", *(str(parent) for target in targets for parent in PurePosixPath(target).parents)}
        for folder in sorted(folders):
            yield f"mkdir -p {_quoted(self._at(folder))}"
            for entry in sorted(_entries(folder), key=lambda entry: entry.name):
                path = f"{folder.rstrip('/')}/{entry.name}"
                if path not in folders | targets:
                    yield from self._taken_along(entry, self._at(path))
        for bind in sorted(self.binds, key=lambda bind: bind.target):
            at = _quoted(self._at(bind.target))
            if bind.source.is_dir():
                yield f"mkdir -p {at}"
            else:
                yield f"mkdir -p {_quoted(self._at(bind.target).parent)}"
                yield f": >{at}"
            yield f"{mount} --bind {_quoted(bind.source)} {at}"
            if bind.read_only:
                yield f"{mount} -o remount,bind,ro,nosuid,nodev {at}"

    def _taken_along(self, entry: os.DirEntry[str], at: Path) -> Iterator[str]:
        if entry.is_symlink():
            yield f"ln -s {_quoted(Path(entry.path).readlink())} {_quoted(at)}"
            return
        yield f"mkdir {_quoted(at)}" if entry.is_dir() else f": >{_quoted(at)}"
        yield f"{_tool('mount')} --rbind {shlex.quote(entry.path)} {_quoted(at)}"

    def _at(self, path: str) -> Path:
        return self.root / path.lstrip("/")


@cache
def works() -> str:
    """Return why no view of its own can be made on this machine; '' where it can: tried once."""
    if not sys.platform.startswith("linux"):
        return "mount namespaces are Linux's"
    missing = [name for name in ("unshare", "mount", "setpriv", "chroot") if not _tool(name)]
    if missing:
        return f"there is no {' and no '.join(missing)} on this machine"
    with tempfile.TemporaryDirectory(prefix="gcp-rehearsal-") as folder:
        root, source = Path(folder, "root"), Path(folder, "source")
        root.mkdir()
        source.mkdir()
        bind = Bind(source=source, target="/gcp-rehearsal/one")
        room = MountNamespace(root=root, binds=(bind,))
        try:
            tried = subprocess.run(
                room.entered(["test", "!", "-w", bind.target], "/"),
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"a mount namespace could not be made: {error}"
    last_line = tried.stderr.strip().splitlines()[-1:] or ["what is mounted read-only can be written"]
    return f"a mount namespace could not be made: {last_line[0]}" if tried.returncode else ""


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    return [_tool("unshare"), *as_root, "--mount", "--propagation", "private", "--"]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # The machine has no such folder, or nobody may look into it.
        return []


@cache
def _tool(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_SBIN}") or ""


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
