"""Weights of one's own with Ollama on this machine, through what stands in for it: not checked against Ollama."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from made_ggufs import parts_of
from places import TAUGHT, TESTS
from user import User

FILE = 'name = "home"\nmodel = "file:{model}"\n[engine]\nkind = "ollama"\ncontext = 512\nparallel = 1\n[local]\nport = 0\n'


@pytest.fixture
def ollama(user: User, monkeypatch: pytest.MonkeyPatch) -> User:
    folder = user.folder / "programs"
    folder.mkdir()
    program = folder / "ollama"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {TESTS / "support" / "ollama_stand_in.py"} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("OLLAMA_MODELS", str(user.folder / "store"))
    return user


def asked(user: User) -> list[str]:
    return (user.folder / "store" / "asked").read_text().splitlines()


def test_a_gguf_of_ones_own_is_given_to_ollama_once_and_served_by_its_name(ollama: User) -> None:
    ollama.write(FILE.format(model=TAUGHT))
    assert "fits        yes" in ollama.run("plan").out
    ollama.run("up", "--yes", "--no-verify")
    assert ollama.run("env", "--json").json["OPENAI_MODEL"] == TAUGHT.stem
    assert "Paris" in ollama.run("chat", "What is the capital of France?", "--temperature", "0").out
    found = ollama.run("verify", "--only", "chat", "--only", "unknown-model", "--json", code=None).json
    assert {one["name"]: one["outcome"] for one in found["results"]} == {
        "chat": "passed",
        "unknown-model": "passed",
    }
    assert "nothing to do" in ollama.run("up", "--yes", "--no-verify").err
    ollama.run("down", "--yes")
    before = asked(ollama)
    assert [path.partition("sha256")[0] for path in before[:2]] == ["/api/blobs/", "/api/create"]
    ollama.run("up", "--yes", "--no-verify")
    again = asked(ollama)[len(before) :]
    assert again[0] == "/api/create"
    assert not any(path.startswith("/api/blobs/") for path in again), "it has the bytes already"
    ollama.run("down", "--yes")


def test_a_gguf_in_parts_is_refused_before_anything_starts(ollama: User) -> None:
    first = parts_of(ollama.folder, 2)[0]
    ollama.write(FILE.format(model=first))
    refused = ollama.run("up", "--yes", code=10).err
    assert "takes a GGUF of one file" in refused
    assert "llama-gguf-split --merge" in refused
    assert not Path(ollama.folder / "store").exists()
