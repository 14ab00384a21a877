"""Why an engine here ended: the line with the cause, the class, and a remedy that homeport has."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeport.engines.llamacpp import engine as llamacpp
from homeport.engines.vllm import engine as vllm
from homeport.errors import EngineFailed, HomeportError, SpecError, WeightsError
from homeport.resources.local.readiness import error_lines
from homeport.spec import Engine, Spec
from homeport.targets.chat_template import template_file

UNKNOWN = "0.1 E llama_model_load: error loading model: unknown model architecture: 'gemma9'\n0.1 E failed to load model"
TEMPLATE = "0.312.496 E srv init: chat template parsing error: Unable to generate parser for this template. Automatic parser"
DAMAGED = "0.1 E gguf_init_from_file: failed to read key-value pairs\n0.1 E failed to load model"


@pytest.mark.parametrize(
    ("log", "kind", "what", "do"),
    [
        (UNKNOWN, EngineFailed, "does not know gemma9", "upgrade homeport and xllamacpp"),
        (
            "load_model: error loading model: error loading model vocabulary: unknown tokenizer: 'gemma9'",
            EngineFailed,
            "does not know gemma9",
            "upgrade",
        ),
        (
            "E gguf_init: tensor 'x' has invalid ggml type 77. should be in [0, 41)\nfailed to load model",
            EngineFailed,
            "does not know ggml type 77",
            "upgrade",
        ),
        (
            "E load: error loading model: done_getting_tensors: wrong number of tensors; expected 3, got 2",
            EngineFailed,
            "wrong number of tensors",
            "upgrade",
        ),
        (
            "E load: error loading model: check_tensor_dims: tensor 'a' has wrong shape; expected 1, got 2",
            EngineFailed,
            "wrong shape",
            "another converter",
        ),
        (TEMPLATE, EngineFailed, "cannot read the model's chat template", "engine.chat_template"),
        (DAMAGED, WeightsError, "cannot load these weights", "a file of yours wants another copy"),
    ],
)
def test_whole_weights_that_llama_cpp_cannot_serve_are_not_called_damaged(
    log: str, kind: type[HomeportError], what: str, do: str
) -> None:
    found = llamacpp.explain(log)
    assert type(found) is kind
    assert what in str(found)
    assert do in str(found.hint)


@pytest.mark.parametrize(
    ("log", "do"),
    [
        ("ValueError: The checkpoint has model type `gemma9` but Transformers does not recognize this architecture.", "newer than this vLLM"),
        ("Value error, Model architectures ['Gemma9ForCausalLM'] are not supported for now. [type=x", "newer than this vLLM"),
        ("jinja2.exceptions.TemplateSyntaxError: unexpected '}'", "engine.chat_template"),
        ("ValueError: While loading /a, expected target modules in {'q'} but received ['z'].", "adapter_config.json"),
        ("ValueError: something else", "`homeport logs` shows"),
    ],
)  # fmt: skip
def test_what_vllm_says_has_a_remedy_where_homeport_has_one(log: str, do: str) -> None:
    found = vllm.explain(log)
    assert type(found) is EngineFailed
    assert do in str(found.hint)


def test_the_line_with_the_cause_is_shown_though_the_end_of_the_log_has_it_no_more() -> None:
    lines = [
        "0.1 I srv init: the error handler is set",
        TEMPLATE,
        "(EngineCore pid=86) INFO failed requests so far: 0",
        "(EngineCore pid=86) ValueError: Unsupported head size 33",
        '  File "x.py", line 3, in error',
    ]
    assert error_lines(lines) == [TEMPLATE, lines[3]]


def test_a_template_is_a_text_from_the_folder_of_the_file(tmp_path: Path) -> None:
    spec = Spec(engine=Engine(chat_template="t.jinja"))
    with pytest.raises(SpecError, match=r"t\.jinja: No such file"):
        template_file(spec, tmp_path / "homeport.toml")
    (tmp_path / "t.jinja").write_bytes(b"\xff")
    with pytest.raises(SpecError, match="no text in UTF-8"):
        template_file(spec, tmp_path / "homeport.toml")
    (tmp_path / "t.jinja").write_text("{{ messages[0].content }}")
    assert template_file(spec, tmp_path / "homeport.toml") == tmp_path / "t.jinja"
