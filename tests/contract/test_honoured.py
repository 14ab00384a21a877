"""What an engine is said to honour is what it does: real llama.cpp and, where it is, real vLLM are asked by `verify`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

import homeport
from homeport import reference
from homeport.engines.conformance import Feature, Stance
from homeport.engines.names import NAMES
from homeport.engines.registry import module
from places import ROOT, TAUGHT, TAUGHT_FOLDER
from user import User

CHECKS = {
    Feature.SECOND_TURN: "second-turn",
    Feature.SECOND_TURN_RESPONSES: "second-turn-responses",
    Feature.SECOND_TURN_NATIVE: "second-turn-native",
    Feature.SCHEMA_PATTERN: "schema-pattern",
    Feature.RESPONSES_SCHEMA: "schema-responses",
    Feature.UNKNOWN_MODEL: "unknown-model",
    Feature.MODEL_BY_NAME: "model-by-name",
    Feature.NO_VECTORS: "no-vectors",
    Feature.IMAGES: "images",
    Feature.SOUND: "sounds",
    Feature.MISTAKES: "mistakes",
}
"""The check that tells, for those that tell of one feature alone."""
CHOICES = {Feature.CHOICE_NONE: "none:", Feature.CHOICE_REQUIRED: "required:", Feature.CHOICE_NAMED: "named:"}
"""How what `tool-choice` finds begins."""


def seen(user: User, engine: str, weights: object) -> Mapping[Feature, str]:
    """How a real engine, with a model that calls a tool, stands to each feature."""
    user.write(
        f'name = "home"\nmodel = "gemma-4-e2b"\nweights = "file:{weights}"\n'
        f'[engine]\nkind = "{engine}"\ncontext = 512\nparallel = 2\n[local]\nport = 0\n'
    )
    user.run("up", "--yes", "--no-verify", timeout=900)
    only = [word for name in ("tools", "tool-choice", *CHECKS.values()) for word in ("--only", name)]
    told = user.run("verify", "--json", *only, code=None).json["results"]
    results: dict[str, Any] = {result["name"]: result for result in told}
    assert results["tools"]["outcome"] == "passed", results["tools"]
    stands = {"passed": "yes", "skipped": "not offered", "noted": "no", "failed": "no"}
    found = {feature: stands[results[name]["outcome"]] for feature, name in CHECKS.items()}
    otherwise = results["tool-choice"]["evidence"]["otherwise"]
    for feature, word in CHOICES.items():
        found[feature] = "no" if any(one.startswith(word) for one in otherwise) else "yes"
    return found


def test_llamacpp_honours_what_the_table_says_and_nothing_else(user: User) -> None:
    said = {feature: one.standing.value for feature, one in module("llamacpp").HONOURS.items()}
    assert seen(user, "llamacpp", TAUGHT) == said


_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": True}}},
}


@pytest.mark.parametrize(
    "wrong",
    [{"messages": []}, {"response_format": _SCHEMA, "max_tokens": 4}],
    ids=["no message", "a schema of true"],
)
def test_what_else_is_said_of_llamacpps_mistakes_is_so(user: User, wrong: dict[str, Any]) -> None:
    """Where it mends one, its row in `honours.py` is to be changed."""
    user.write(
        f'name = "home"\nmodel = "file:{TAUGHT}"\n[engine]\ncontext = 512\nparallel = 1\n[local]\nport = 0\napi_key = "none"\n'
    )
    user.run("up", "--yes", "--no-verify")
    endpoint = homeport.connect("home")
    request = {"model": endpoint.model, "messages": [{"role": "user", "content": "hi"}], **wrong}
    assert httpx2.post(f"{endpoint.base_url}/chat/completions", json=request, timeout=300).status_code == 500


@pytest.mark.vllm
@pytest.mark.usefixtures("vllm_on_path")
def test_vllm_honours_what_the_table_promises(user: User, record_property: Any) -> None:
    found = seen(user, "vllm", TAUGHT_FOLDER)
    record_property("seen", f"vLLM: {json.dumps({feature.name: one for feature, one in found.items()})}")
    said = module("vllm").HONOURS
    known = {feature for feature, one in said.items() if one.standing is not Stance.UNCHECKED}
    assert {feature: found[feature] for feature in known} == {
        feature: said[feature].standing.value for feature in known
    }


def test_of_llamacpp_nothing_is_left_unchecked() -> None:
    assert Stance.UNCHECKED not in {one.standing for one in module("llamacpp").HONOURS.values()}


@pytest.mark.parametrize("engine", NAMES)
def test_every_engine_says_how_it_stands_to_every_feature(engine: str) -> None:
    honours = module(engine).HONOURS
    assert set(honours) == set(Feature)
    assert all(one.note for one in honours.values() if one.standing is Stance.NOT_HONOURED)


def test_the_page_of_clients_has_the_table_of_today() -> None:
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    assert reference.with_sections("clients.md", page) == page, "run `make schema`"
    assert "not checked against Ollama" in page
