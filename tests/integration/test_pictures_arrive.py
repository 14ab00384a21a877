"""Pictures in a chat, on real llama.cpp and real vLLM with tiny encoders made from a seed: they arrive, and what is none is refused."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
import zlib
from pathlib import Path

import httpx2
import pytest

from homeport.media_samples import png
from made_projector import ear, projector
from places import TAUGHT_FOLDER, TESTS, TOOLS_MODEL, VLLM_PYTHON
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


def large() -> str:
    """A picture of 12 million points of one colour, some kilobytes when packed."""
    wide, high = 4000, 3000
    rows = zlib.compress((b"\0" + bytes((255, 0, 0)) * wide) * high, 1)
    parts = (b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    whole = b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
    return "data:image/png;base64," + base64.b64encode(whole).decode()


def images(user: User, code: int | None) -> tuple[str, str]:
    return verified(user, "images", code)


def verified(user: User, check: str, code: int | None) -> tuple[str, str]:
    (found,) = user.run("verify", "--only", check, "--json", code=code).json["results"]
    return found["outcome"], found["detail"]


def status_of(user: User, url: str) -> int:
    base = user.run("env", "--json").json["OPENAI_BASE_URL"]
    content = [{"type": "text", "text": "Hello."}, {"type": "image_url", "image_url": {"url": url}}]
    request = {"model": "x", "messages": [{"role": "user", "content": content}], "max_tokens": 2}
    return httpx2.post(
        f"{base}/chat/completions", json=request, trust_env=False, verify=False, timeout=120
    ).status_code


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
    # A large one is made smaller, and ends nothing.
    assert status_of(user, large()) == status_of(user, png((0, 255, 0))) == 200
    # A file of this machine is none that a client may name.
    assert status_of(user, "file:///etc/passwd") == 400
    # What is gone in the meantime keeps nobody from taking the endpoint down.
    (beside / "mmproj-tiny-f16.gguf").unlink()
    assert "has no file with mmproj in the name" in user.run("up", "--yes", code=10).err
    user.run("down", "--yes", "--purge")


def test_a_sound_arrives_where_an_encoder_of_sound_is_loaded_and_is_told_where_there_is_none(
    user: User, beside: Path
) -> None:
    write(user)
    user.run("up", "--yes", "--no-verify")
    assert verified(user, "sounds", None) == (
        "noted",
        "it hears nothing, and a sound gets 500, not 4xx (known of llama.cpp)",
    )
    ear(beside / "mmproj-ear-f16.gguf")
    write(user, 'projector = "auto"\n')
    user.run("up", "--yes", "--no-verify")
    outcome, detail = verified(user, "sounds", 0)
    assert outcome == "passed", detail
    assert detail.endswith("what is none gets 400")
    assert int(detail.split()[5]) >= 25, detail  # One for each 40 ms, and what stands around them.
    # What hears need not see: that is no failure of it.
    assert images(user, None)[0] == "noted"
    user.run("down", "--yes", "--purge")


def test_auto_without_an_encoder_beside_the_model_is_refused_in_words(user: User, beside: Path) -> None:
    write(user, 'projector = "auto"\n')
    refused = user.run("plan", code=10).err
    assert f"{beside} has no file with mmproj in the name" in refused
    projector(beside / "mmproj-a.gguf")
    projector(beside / "mmproj-b.gguf")
    assert "has 2 files with mmproj in the name" in user.run("plan", code=10).err


def said(user: User, *parts: dict[str, object]) -> tuple[int, int, list[float]]:
    """The status of an answer, the tokens of its prompt, and how likely each of its tokens was."""
    base = user.run("env", "--json").json["OPENAI_BASE_URL"]
    request = {
        "model": "sighted", "max_tokens": 8, "temperature": 0, "logprobs": True,
        "messages": [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}],
    }  # fmt: skip
    came = httpx2.post(f"{base}/chat/completions", json=request, trust_env=False, verify=False, timeout=300)
    if came.status_code != 200:
        return came.status_code, 0, []
    choice = came.json()["choices"][0]
    tokens = [round(one["logprob"], 2) for one in choice["logprobs"]["content"]]
    return 200, came.json()["usage"]["prompt_tokens"], tokens


@pytest.mark.vllm
@pytest.mark.usefixtures("vllm_on_path")
def test_vllm_is_shown_pictures_and_what_it_says_depends_on_them(user: User) -> None:
    """The encoder's weights are drawn by chance: that another picture gets another answer is all that they can show."""
    program = TESTS / "support" / "made_sighted.py"
    made = [str(VLLM_PYTHON), str(program), str(TAUGHT_FOLDER), str(user.folder / "sighted")]
    ran = subprocess.run(made, capture_output=True, text=True, check=False, timeout=300)
    assert ran.returncode == 0, ran.stderr
    user.write(
        'name = "home"\nmodel = "file:./sighted"\n[engine]\nkind = "vllm"\ncontext = 512\nparallel = 2\n'
        '[local]\nport = 0\napi_key = "none"\n'
    )
    user.run("up", "--yes", "--no-verify", timeout=900)
    outcome, detail = images(user, 0)
    assert (outcome, detail) == ("passed", "a picture is 7 tokens; what is none gets 400")

    def shown(colour: tuple[int, int, int]) -> dict[str, object]:
        return {"type": "image_url", "image_url": {"url": png(colour)}}

    red, blue = shown((255, 0, 0)), shown((0, 0, 255))
    bare, first, again, other, four = (
        said(user, *parts) for parts in ((), (red,), (red,), (blue,), (red,) * 4)
    )
    assert first == again
    assert first[1] == other[1] == bare[1] + 7
    assert four[1] == bare[1] + 4 * 7
    assert first[2] != other[2]
    assert said(user, *(red,) * 5)[0] == 400
    sound: dict[str, object] = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    assert said(user, sound)[0] == 400
