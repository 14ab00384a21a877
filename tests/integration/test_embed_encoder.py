"""A real model of embeddings (all-MiniLM-L6-v2), on real llama.cpp and on real vLLM: its vectors say what texts mean."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from encoders import encoder_gguf, with_layer
from places import ENCODER
from user import User


def write(user: User, model: Path, *, engine: str, context: int = 256) -> None:
    user.write(
        f'name = "home"\nmodel = "file:{model}"\ntask = "embed"\n'
        f'[engine]\nkind = "{engine}"\ncontext = {context}\nparallel = 2\n[local]\nport = 0\n'
    )


def outcomes(ran: Any) -> dict[str, tuple[str, str]]:
    return {one["name"]: (one["outcome"], one["detail"]) for one in ran.json["report"]["results"]}


def test_llamacpp_serves_one_and_what_is_alike_is_near(user: User) -> None:
    write(user, encoder_gguf(ENCODER, user.folder / "encoder.gguf"), engine="llamacpp")
    plan = user.run("plan").out
    assert "fits        yes" in plan
    assert "was made to write text" not in plan
    found = outcomes(user.run("up", "--yes", "--json"))
    assert found["vectors"] == ("passed", "6 of 384 numbers, length 1, in order")
    assert found["similarity"][0] == "passed"
    assert found["similarity"][1].startswith("6 of 6 texts")
    assert found["parallel"][0] == found["key"][0] == "passed"
    assert "failed" not in {outcome for outcome, _ in found.values()}
    assert "gives vectors, and no text" in user.run("chat", "Hello", code=None).err


@pytest.mark.parametrize("engine", ["llamacpp", "vllm"])
def test_for_text_one_is_refused_in_a_sentence(user: User, engine: str) -> None:
    model = ENCODER if engine == "vllm" else encoder_gguf(ENCODER, user.folder / "encoder.gguf")
    write(user, model, engine=engine)
    path = user.folder / "homeport.toml"
    path.write_text(path.read_text().replace('task = "embed"\n', ""))
    refused = user.run("fit", str(model), code=None)
    assert "embeddings: it gives vectors" in refused.out + refused.err
    if engine == "llamacpp":
        assert "is a model of embeddings: it gives vectors" in user.run("plan", code=10).err


def test_one_is_sized_and_priced(user: User) -> None:
    write(user, ENCODER, engine="auto")
    found = user.run("fit", "--json").json
    rows = {row["place"]: row for row in found["rows"]}
    l4 = rows["nvidia-l4 4 CPU 16 GiB"]
    assert l4["fits"] is True
    assert l4["fixed"][0]["bytes"] < 50 * 2**20
    assert "no cache" in l4["concurrency_uncounted"]
    assert (l4["concurrency"], l4["ladder"], l4["kv_cache"]) == (None, {"256": None}, None)
    assert found["cloudrun"]["vllm"]["most"]["parallel"] is None
    assert "1.05" in user.run("fit").out


@pytest.mark.vllm
@pytest.mark.usefixtures("vllm_on_path")
def test_vllm_serves_one_with_the_layer_behind_its_pooling(user: User) -> None:
    write(user, with_layer(ENCODER, user.folder / "encoder", width=128), engine="vllm")
    found = outcomes(user.run("up", "--yes", "--json", timeout=900))
    # Without the layer they have 384, and vLLM says nothing.
    assert found["vectors"] == ("passed", "6 of 128 numbers, length 1, in order")
    assert found["similarity"][0] == found["too-long"][0] == found["parallel"][0] == found["key"][0]
    assert found["similarity"][0] == "passed"
    assert "failed" not in {outcome for outcome, _ in found.values()}

    write(user, user.folder / "encoder", engine="vllm", context=512)
    assert "was made for 256 tokens" in user.run("plan", code=10).err
    shutil.rmtree(user.folder / "encoder" / "2_Dense")
    write(user, user.folder / "encoder", engine="vllm")
    assert "lacks 2_Dense/model.safetensors" in user.run("up", "--yes", code=None).err
