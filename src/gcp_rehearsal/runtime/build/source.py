"""The source of a build: an archive that becomes its workspace."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

from gcp_rehearsal.runtime.build.dockerfile import BuildRefused


def unpack(data: bytes, goal: Path) -> None:
    """
    Unpack a `.tar.gz` or `.zip` into a folder; nothing of it may lie elsewhere.

    Raises `BuildRefused` for what is neither, or would leave the folder.
    """
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                archive.extractall(goal)  # noqa: S202 - zipfile itself drops what leads out of the folder
            return
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as tar:
            tar.extractall(goal, filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise BuildRefused(
            f"failed to fetch the source: it is no archive that can be unpacked: {error}"
        ) from error
