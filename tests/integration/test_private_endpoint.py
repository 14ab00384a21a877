"""An endpoint leaves nothing in its home that others can read."""

from __future__ import annotations

import os

from file_modes import modes
from places import TAUGHT
from user import User


def test_an_endpoint_leaves_nothing_that_others_can_read(user: User) -> None:
    user.write(f'model = "file:{TAUGHT}"\n[engine]\ncontext = 256\n[local]\nport = 0\n')
    before = os.umask(0o000)
    try:
        user.run("up", "--yes", "--no-verify")
        user.run("up", "--yes", "--no-verify")
    finally:
        os.umask(before)
    assert (user.home / "endpoints").is_dir()
    assert (user.home / "weights" / "manifests").is_dir()
    assert modes(user.home) == {}
