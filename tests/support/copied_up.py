"""What a first `up` comes to in a rehearsed cloud, kept as bytes: a copy of it takes a twentieth of the time of another `up`."""

from __future__ import annotations

import hashlib
import io
import itertools
import pickle
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

from gcp_rehearsal.cloud import Cloud

_OF_EACH = frozenset(("_checks", "clock", "folder"))
"""What every cloud keeps as its own: what it knows of documents, its time, where its bytes are."""
_DRAWN = frozenset(("_random", "key", "secret"))
"""What differs between clouds that are the same."""
_HASH = type(hashlib.md5(usedforsecurity=False))


class NotCopied(Exception):
    """It holds something of which there are no copies, such as what is still to happen in the cloud."""


class _Apart(pickle.Pickler):
    """Leaves out the cloud itself and where its bytes are: each copy has its own."""

    def __init__(
        self, into: io.BytesIO, cloud: Cloud, hashes: list[Any]
    ) -> None:  # Any: Python's hashes have no name
        super().__init__(into, protocol=5)
        self._cloud, self._hashes = cloud, hashes

    def persistent_id(self, value: Any) -> tuple[str, Any] | None:
        if value is self._cloud:
            return "cloud", None
        if isinstance(value, Path) and value.is_relative_to(self._cloud.folder):
            return "path", str(value.relative_to(self._cloud.folder))
        if isinstance(value, itertools.count):  # of what is to happen in which order, and nothing is
            return "count", None
        if isinstance(value, _HASH):
            self._hashes.append(value.copy())
            return "hash", len(self._hashes) - 1
        return None


class _Joined(pickle.Unpickler):
    def __init__(self, kept: bytes, cloud: Cloud, hashes: list[Any]) -> None:
        super().__init__(io.BytesIO(kept))
        self._cloud, self._hashes = cloud, hashes

    def persistent_load(self, told: Any) -> Any:
        kind, of = told
        if kind == "cloud":
            return self._cloud
        if kind == "path":
            return self._cloud.folder / of
        return itertools.count() if kind == "count" else self._hashes[of].copy()


class CopiedUp:
    """A deployer as it is, with its cloud. Nothing of it is shared by those that are `given` it."""

    def __init__(self, deployer: Any) -> None:  # Any: a Deployer, which makes these
        cloud: Cloud = deployer.cloud
        if cloud.clock._due:
            raise NotCopied("something is still to happen")
        self._hashes: list[Any] = []
        self._kept = _bytes(_state(deployer, without=_OF_EACH), cloud, self._hashes)
        self._ahead = cloud.clock.now() - time.time()
        self._folder = Path(tempfile.mkdtemp(prefix="homeport-copied-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        shutil.copytree(cloud.folder, self._folder, dirs_exist_ok=True)

    def given(self, deployer: Any) -> None:
        """Let `deployer` be as the first one was, in a cloud of its own that is as that one's was."""
        cloud: Cloud = deployer.cloud
        shutil.copytree(self._folder, cloud.folder, dirs_exist_ok=True)
        of_deployer, of_cloud = _Joined(self._kept, cloud, self._hashes).load()
        vars(cloud).update(of_cloud)
        vars(deployer).update(of_deployer)
        cloud.clock.jump(max(0.0, time.time() + self._ahead - cloud.clock.now()))


def before(deployer: Any) -> bytes:
    """What a deployer is before its `up`: two for which it is the same come to the same. Raises `NotCopied`."""
    if deployer.cloud.clock._due:
        raise NotCopied("something is still to happen")
    return _bytes(_state(deployer, without=_OF_EACH | _DRAWN), deployer.cloud, [])


def _state(deployer: Any, *, without: frozenset[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its fields and its cloud's. A folder is the test's own: a file that names it is another file."""
    own = {name: value for name, value in vars(deployer).items() if not isinstance(value, Path)}
    return own, {name: value for name, value in vars(deployer.cloud).items() if name not in without}


def _bytes(state: Any, cloud: Cloud, hashes: list[Any]) -> bytes:
    into = io.BytesIO()
    try:
        _Apart(into, cloud, hashes).dump(state)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise NotCopied(str(error)) from error
    return into.getvalue()
