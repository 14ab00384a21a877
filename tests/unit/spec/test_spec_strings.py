"""Strings of homeport.toml that end in a Dockerfile, a script, an address or a command are what they say, on one line."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport import patterns, spec
from homeport.errors import SpecError

DIGEST = "a" * 64
USUAL: dict[str, list[str]] = {
    "cloudrun.image": [
        *("vllm/vllm-openai", "ollama/ollama:0.34.0", f"vllm/vllm-openai@sha256:{DIGEST}", "python:3.12-slim"),
        *(f"localhost:5000/a/b_c/d-e.f:V1.0_x@sha256:{DIGEST}", "us-docker.pkg.dev/p/r/i:latest", "[::1]:5000/a", "a__b/c--d"),
    ],
    "cloudrun.network": ["default", "projects/my-host/global/networks/shared-1", "projects/example.com:p/global/networks/n"],
    "cloudrun.subnetwork": ["default", "projects/my-host/regions/us-central1/subnetworks/desks"],
    "cloudrun.hub_token": ["env:HF_TOKEN", "file:~/my token"],
    "access.audience": ["https://models.example.com", "http://a.b/c?d=e", "models"],
    "access.encryption_key": [
        *("projects/my-p/locations/us-central1/keyRings/my_Ring/cryptoKeys/k-1", "projects/my-p/locations/{region}/keyRings/r-{region}/cryptoKeys/k")
    ],
    "access.callers": [
        *("user:o'brien@example.com", "group:g+x@example.com", "serviceAccount:a@p.iam.gserviceaccount.com"),
        *("domain:example.com", "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/subject/s"),
        "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/attribute.repository/o/r",
    ],
    "engine.quantization": ["fp8", "compressed-tensors"],
    "engine.tool_parser": ["gemma4", "llama3_json"],
    "engine.reasoning_parser": ["deepseek_r1"],
    "local.api_key": ["env:HOMEPORT_API_KEY", "file:/run/secrets/key"],
    "local.host": ["127.0.0.1", "0.0.0.0", "::1", "fe80::1%eth0", "my-host.example.com"],
    "lora.name": ["support-tone"],
    "lora.source": ["hf:my-org/my-adapter", "file:an adapter"],
    "name": ["home"],
    "model": ["gemma-3-270m-pt", "hf:org/name@main:a b.gguf", "file:modèle.gguf"],
    "weights": ["hf:my-org/tuned"],
}  # fmt: skip
WRONG: dict[str, list[str]] = {
    "cloudrun.image": [
        *("", "a b", "a/B", "-a", "a:", "a@", f"a@sha256:{DIGEST[1:]}", "a@sha512:" + "a" * 128, f"a@sha256:{DIGEST}0"),
        *("a$(id)", "a`id`", "a;id", "${A}", "a#b", "a//b", "/a", "a/", "http://a/b", "a:b:c", "a:" + "b" * 129, "a..b/c", "a AS b"),
    ],
    "cloudrun.network": ["", "De", "a_b", "a/b", "projects/p/global/networks/", "$x", "a" * 64, "../x", '"'],
    "cloudrun.subnetwork": ["a/b", "projects/my-p/global/networks/n", "-a"],
    "cloudrun.hub_token": ["env:", "env:A-B", "env:A B", "env:$A", "HF_TOKEN", "env:1A"],
    "access.audience": ["", "a b", '"', "$(id)", "a'b", "-x", "<a>"],
    "access.encryption_key": ["projects/p/locations/r/keyRings/k/cryptoKeys/${x}", "projects/my-p/locations/r/keyRings/k/cryptoKeys/a b",
        "projects/my-p/locations/{zone}/keyRings/k/cryptoKeys/a", "projects/{region}/locations/r/keyRings/k/cryptoKeys/a"],
    "access.callers": ["user:", "user:a b", 'user:"a', "user:$(id)", "user:`id`", "user:a\\b", "allUsers", "user:-x"],
    "engine.quantization": ["--trust-remote-code", "", "a b", "-x", "a/b", "$a"],
    "engine.tool_parser": ["--host", "x.py;", "a/b.py"],
    "engine.reasoning_parser": ["-h", "a=b"],
    "local.api_key": ["sk-123", "env:A=B", "env:"],
    "local.host": ["", "-x", "a b", "a;b", "http://a"],
    "lora.name": ["-x", "../x", "a/b", "a,b", ""],
}  # fmt: skip
KEYS = sorted(USUAL)


def parsed(key: str, value: str) -> Any:  # Any: whatever the key holds
    """The file with one string in it."""
    table, _, name = key.rpartition(".")
    if table == "lora":
        adapter = {"name": "a", "source": "hf:a/b", name: value}
        return getattr(spec.parse({"engine": {"lora": [adapter]}}).engine.lora[0], name)
    values: dict[str, Any] = {name: [value] if name == "callers" else value}
    if table == "cloudrun" and name in {"network", "subnetwork"}:
        values = {"network": "default", "subnetwork": "default", **values}
    if table == "local":
        values = {"api_key": "env:KEY", **values}
    found = spec.parse({table: values} if table else values)
    value_ = getattr(getattr(found, table), name) if table else getattr(found, name)
    return value_[0] if name == "callers" else value_


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in KEYS for value in USUAL[key]])
def test_what_such_a_string_usually_is_is_taken(key: str, value: str) -> None:
    assert parsed(key, value) == value


@pytest.mark.parametrize(("key", "value"), [(key, value) for key in sorted(WRONG) for value in WRONG[key]])
def test_what_such_a_string_is_not_is_refused_in_words(key: str, value: str) -> None:
    with pytest.raises(SpecError, match=key.rpartition(".")[2]) as refused:
        parsed(key, value)
    assert "pattern" not in str(refused.value) or key.startswith("lora")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "unseen", ["\n", "\r", "\r\nRUN id", "\0", "\x1b[2J", "\u2028", "\u202e", "\x7f", "\t"], ids=ascii
)
def test_no_string_has_another_line_or_what_nobody_sees(key: str, unseen: str) -> None:
    for value in USUAL[key]:
        for hostile in (value + unseen, unseen + value, value[:3] + unseen + value[3:]):
            with pytest.raises(SpecError) as refused:
                parsed(key, hostile)
            assert all(line.isprintable() for line in str(refused.value).split("\n"))


def test_extra_args_have_no_other_line_either() -> None:
    with pytest.raises(SpecError, match="U\\+000A"):
        spec.parse({"engine": {"extra_args": ["--seed", "1\n"]}})


def test_a_key_that_stands_where_its_reference_belongs_is_not_printed() -> None:
    for table, name in (("local", "api_key"), ("cloudrun", "hub_token")):
        for value in ("hf_PLANTED", "PLANTED\n", "file:PLANTED\n", "file:PLANTED\r"):
            with pytest.raises(SpecError) as refused:
                spec.parse({table: {name: value}})
            assert "PLANTED" not in str(refused.value)


@settings(max_examples=40)  # Each draws some hundred characters of the grammar.
@given(st.from_regex(re.compile(patterns.IMAGE.removesuffix("$") + r"\Z", re.ASCII)))
def test_every_reference_of_the_grammar_is_one_word_for_a_dockerfile(image: str) -> None:
    assert parsed("cloudrun.image", image) == image
    assert re.fullmatch(r"[\w.:/@\[\]-]+", image, re.ASCII)
    assert not image.startswith("-")
