"""Pictures in a chat, on real llama.cpp with a tiny encoder made from a seed: they arrive, and what is none is refused."""

from __future__ import annotations

import os
from pathlib import Path

import httpx2
import pytest

from made_projector import projector
from places import TOOLS_MODEL
from user import User


def write(user: User, more: str = "") -> None:
    user.write(
        f'name = "home"\nmodel = "file:./weights/{TOOLS_MODEL.name}"\n[engine]\ncontext = 1024\n{more}'
        '[local]\nport = 0\napi_key = "none"\n'
    )


@pytest.fixture
def beside(user: User) -> Path:
    """A folder with a model, and no encoder of images yet."""
    folder = user.folder / "weights"
    folder.mkdir()
    os.link(TOOLS_MODEL, folder / TOOLS_MODEL.name)
    return folder


def images(user: User, code: int | None) -> tuple[str, str]:
    (found,) = user.run("verify", "--only", "images", "--json", code=code).json["results"]
    return found["outcome"], found["detail"]


def status_of(user: User, url: str) -> int:
    base = user.run("env", "--json").json["OPENAI_BASE_URL"]
    content = [{"type": "text", "text": "Hello."}, {"type": "image_url", "image_url": {"url": url}}]
    request = {"model": "x", "messages": [{"role": "user", "content": content}], "max_tokens": 2}
    return httpx2.post(f"{base}/chat/completions", json=request, trust_env=False, timeout=120).status_code


@pytest.mark.long
def test_a_picture_arrives_where_there_is_an_encoder_and_is_told_where_there_is_none(
    user: User, beside: Path
) -> None:
    write(user)
    user.run("up", "--yes", "--no-verify")
    assert images(user, None) == (
        "noted",
        "it sees no pictures, and one gets 500, not 4xx (known of llama.cpp)",
    )

    projector(beside / "mmproj-tiny-f16.gguf")
    write(user, 'projector = "auto"\n')
    assert "weights/projector" in str(user.run("plan", "--json").json)
    user.run("up", "--yes", "--no-verify")
    outcome, detail = images(user, 0)
    assert outcome == "passed", detail
    assert detail.startswith("a picture is ")
    assert detail.endswith("what is none gets 400")
    assert int(detail.split()[3]) > 40
    assert status_of(user, "data:image/png;base64,AAAA") == 400
    # A file of this machine is none that a client may name.
    assert status_of(user, "file:///etc/passwd") == 400
    # What is gone in the meantime keeps nobody from taking the endpoint down.
    (beside / "mmproj-tiny-f16.gguf").unlink()
    assert "has no file with mmproj in the name" in user.run("up", "--yes", code=10).err
    user.run("down", "--yes", "--purge")


def test_auto_without_an_encoder_beside_the_model_is_refused_in_words(user: User, beside: Path) -> None:
    write(user, 'projector = "auto"\n')
    refused = user.run("plan", code=10).err
    assert f"{beside} has no file with mmproj in the name" in refused
    projector(beside / "mmproj-a.gguf")
    projector(beside / "mmproj-b.gguf")
    assert "has 2 files with mmproj in the name" in user.run("plan", code=10).err
