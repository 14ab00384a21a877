"""A LoRA adapter that was taught, on real llama.cpp: what it says is its own, and one that changes nothing is found."""

from __future__ import annotations

from pathlib import Path

import gguf
import httpx2
import numpy as np
import pytest

from greeting import GREETING
from places import ADAPTER_GGUF, TOOLS_MODEL
from user import User


def write(user: User, adapter: Path | None) -> None:
    lora = f'[[engine.lora]]\nname = "taught"\nsource = "file:{adapter}"\n' if adapter else ""
    user.write(
        f'name = "home"\nmodel = "file:{TOOLS_MODEL}"\n[engine]\ncontext = 1024\n{lora}'
        '[local]\nport = 0\napi_key = "none"\n'
    )


def said(user: User, model: str | None = None) -> str:
    endpoint = user.run("env", "--json").json
    answer = httpx2.post(
        f"{endpoint['OPENAI_BASE_URL']}/chat/completions",
        json={**GREETING, "model": model or endpoint["OPENAI_MODEL"]},
        trust_env=False,
        timeout=120,
    )
    return str(answer.raise_for_status().json()["choices"][0]["message"]["content"])


def untrained(path: Path, each: float = 0.0) -> Path:
    """The same adapter with a lora_b of zeros, as one is before its first step; or of another number."""
    reader = gguf.GGUFReader(ADAPTER_GGUF)
    writer = gguf.GGUFWriter(path, "gemma4")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 16.0)
    for tensor in reader.tensors:
        shape = [int(length) for length in reversed(tensor.shape)]
        fill = each if tensor.name.endswith("lora_b") else 0.1
        writer.add_tensor(tensor.name, np.full(shape, fill, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.long
def test_an_adapter_says_what_it_was_taught_and_one_of_zeros_is_found(user: User, tmp_path: Path) -> None:
    write(user, None)
    user.run("up", "--yes", "--no-verify")
    assert said(user) == "Hello! How can I help?"
    (skipped,) = user.run("verify", "--only", "adapters", "--json", code=3).json["results"]
    assert (skipped["outcome"], skipped["detail"]) == ("skipped", "no LoRA adapter is served")

    write(user, ADAPTER_GGUF)
    user.run("up", "--yes", "--no-verify")
    assert said(user) == said(user, "taught") == "I am a small test model."
    (found,) = user.run("verify", "--only", "adapters", "--json").json["results"]
    assert found["outcome"] == "passed", found
    assert found["evidence"]["adapters"]["taught"]["likelihood"] > 0.1

    write(user, untrained(tmp_path / "zeros.gguf"))
    for words in (("plan",), ("up", "--yes", "--no-verify")):
        assert "zeros.gguf changes nothing: its weights are zeros" in user.run(*words, code=10).err
    assert said(user) == "I am a small test model."

    write(user, untrained(tmp_path / "next-to-zeros.gguf", 1e-30))
    user.run("up", "--yes", "--no-verify")
    assert said(user) == "Hello! How can I help?"
    (dead,) = user.run("verify", "--only", "adapters", "--json", code=3).json["results"]
    assert dead["detail"].startswith("taught changes nothing")
    user.run("down", "--yes")
