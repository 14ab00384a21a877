"""`task = "embed"`, served by a real llama.cpp. The small models here were made to write text: their vectors say little."""

from __future__ import annotations

import math

import openai
import pytest

import homeport
from places import TAUGHT
from user import User

FILE = f'name = "home"\nmodel = "file:{TAUGHT}"\ntask = "embed"\n[engine]\ncontext = 256\nparallel = 2\n[local]\nport = 0\n'
TEXTS = ["The cat sits on the mat.", "Interest rates rose.", "Hello"]


def test_a_file_serves_vectors_and_the_official_client_reads_them(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    user.write(FILE)
    assert "was made to write text" in user.run("plan").out
    user.run("up", "--yes", "--no-verify")
    endpoint = homeport.connect("home")
    for name, value in endpoint.env().items():
        monkeypatch.setenv(name, value)
    with openai.OpenAI() as client:
        answer = client.embeddings.create(model=endpoint.model, input=TEXTS)
        alone = client.embeddings.create(model=endpoint.model, input=TEXTS[1]).data[0].embedding
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert all(math.isclose(math.hypot(*one.embedding), 1, abs_tol=1e-3) for one in answer.data)
    assert sum(a * b for a, b in zip(alone, answer.data[1].embedding, strict=True)) > 0.99
    report = user.run("verify", "--json", code=None).json
    outcomes = {one["name"]: (one["outcome"], one["detail"]) for one in report["results"]}
    for check in ("identity", "vectors", "parallel", "key"):
        assert outcomes[check][0] == "passed", outcomes[check]
    assert outcomes["chat"] == ("skipped", 'not asked: it gives vectors, and no text (task = "embed")')
    assert outcomes["too-long"][0] in {"passed", "noted"}
    for words in (("chat", "Hello"), ("bench",)):
        assert "gives vectors, and no text" in user.run(*words, code=None).err
