"""homeport itself as a wheel, made of the installation that runs, and the versions of what it needs."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

_NAME = "homeport"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^\]]*)\])?([^;]*)(?:;(.*))?")
_EXTRA = re.compile(r"extra\s*==\s*[\"']([^\"']+)[\"']")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWheel:
    """A wheel of homeport, without the rehearsal."""

    name: str
    """Its file name. Its version has the hash of its contents behind it, so that no index has another one of that name."""
    content: bytes

    @property
    def sha256(self) -> str:
        """Return the checksum of the file."""
        return hashlib.sha256(self.content).hexdigest()


@cache
def own_wheel() -> OwnWheel:
    """Return the wheel of the homeport that runs, also where it runs from a folder of sources."""
    root = Path(__file__).parent
    files = {
        f"{_NAME}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    installed = distribution(_NAME)
    digest = hashlib.sha256()
    for name, content in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
    number = f"{installed.version.partition('+')[0]}+{digest.hexdigest()[:12]}"
    info = f"{_NAME}-{number}.dist-info"
    metadata = re.sub(
        r"(?m)^Version: .*$", f"Version: {number}", installed.read_text("METADATA") or "", count=1
    )
    files |= {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: homeport\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": (installed.read_text("entry_points.txt") or "").encode(),
    }
    record = "".join(f"{name},sha256={_short(content)},{len(content)}\n" for name, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    return OwnWheel(name=f"{_NAME}-{number}-py3-none-any.whl", content=_zipped(files))


def constraints(extras: Iterable[str]) -> str:
    """Return `NAME==VERSION` a line of all that homeport needs with these extras, as it is installed here."""
    return _constraints(frozenset(extras))


@cache
def _constraints(extras: frozenset[str]) -> str:
    versions: dict[str, str] = {}
    queue = [(_NAME, extras)]
    visited: set[tuple[str, frozenset[str]]] = set()
    while queue:
        name, own_extras = queue.pop()
        if (name, own_extras) in visited:
            continue
        visited.add((name, own_extras))
        try:
            installed = distribution(name)
        except PackageNotFoundError:  # Of another system, or another Python.
            continue
        if name != _NAME:
            versions[name] = installed.version
        queue += _required(installed, own_extras)
    return "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))


def _required(installed: Distribution, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for line in installed.requires or ():
        parts = _REQUIREMENT.match(line)
        if parts is None:
            continue
        of = _EXTRA.search(parts[4] or "")
        if of is None or of[1] in extras:
            name = re.sub(r"[-_.]+", "-", parts[1]).lower()
            yield name, frozenset(extra.strip() for extra in (parts[2] or "").split(",") if extra.strip())


def _short(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))  # The same files are the same wheel.
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()
