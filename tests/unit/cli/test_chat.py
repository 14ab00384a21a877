"""A chat says where the context cut an answer, and nothing where the answer is whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest

from homeport import cli
from homeport.cli import session
from homeport.json_types import JsonObject

CUT = "the answer is cut after 2 tokens: the context is full; `context` of [engine] raises it"


def serve(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """Let `chat` find an endpoint whose one answer, of two tokens, ends for this reason."""
    text = {"role": "assistant", "content": "on and"}
    usage = {"completion_tokens": 2}

    async def answer(*_: object, **__: object) -> JsonObject:
        return {"model": "m", "choices": [{"message": text, "finish_reason": reason}], "usage": usage}

    async def stream(*_: object, **__: object) -> AsyncIterator[JsonObject]:
        yield {"choices": [{"delta": text, "finish_reason": None}]}
        yield {"choices": [{"delta": {}, "finish_reason": reason}]}
        yield {"choices": [], "usage": usage}

    served = SimpleNamespace(answer=answer, stream=stream)
    monkeypatch.setattr(session, "with_endpoint", lambda *_: served)


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize(
    ("reason", "asked", "said"),
    [
        ("length", (), CUT),
        ("length", ("--max-tokens", "3"), CUT),
        ("length", ("--max-tokens", "2"), ""),
        ("stop", (), ""),
    ],
)
def test_an_answer_that_the_context_cut_is_told_beside_the_answer(
    more: tuple[str, ...], reason: str, asked: tuple[str, ...], said: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    serve(monkeypatch, reason)
    assert cli.run(["chat", "Go on", *asked, *more]) == 0
    shown = capsys.readouterr()
    assert "on and" in shown.out
    assert shown.err.strip() == said
