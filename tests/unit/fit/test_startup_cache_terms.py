"""
What a startup cache saves, as it is expected and as it was published: the pairs with and without one that were found.

`PYTHONPATH=tests/support python tests/unit/fit/test_startup_cache_terms.py` writes the three tables into docs/cold-start.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from homeport import catalog
from homeport.fit.cold_start import ColdStart, expected
from places import ROOT

FACTOR = 1.65
"""What is likely to be saved is within this factor of what each pair saved, either way: the smallest that holds."""
PAGE = ROOT / "docs" / "cold-start.md"
BEGIN, END = "<!-- table: python tests/unit/fit/test_startup_cache_terms.py -->\n", "<!-- end of caches -->\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same start without a cache and with one, in seconds; or one part of it."""

    what: str
    without: float
    kept: float
    source: str
    within: bool = True
    """Whether both are whole starts of a container, which the model's range should hold."""

    @property
    def ratio(self) -> float:
        return saved() / (self.without - self.kept)


PAIRS = (
    Pair(
        what="Qwen3-0.6B, A10, a container whose weights are in its host's memory",
        without=79,
        kept=48,
        source="gh:vllm-project/vllm pull request 49782 (2026-07), one run each",
    ),
    Pair(
        what="Qwen3-32B, `vllm bench startup`",
        without=68.47,
        kept=43.91,
        source="gh:vllm-project/vllm pull request 32191 (2026-01), one run each",
        within=False,
    ),
    Pair(
        what="Qwen3.6-35B-A3B, RTX 5090, compilation alone",
        without=43,
        kept=5,
        source="gh:vllm-project/vllm issue 44881 (2026-06); its profiling took 210 s both times",
        within=False,
    ),
)
SHOWN = (("gemma-4-e4b", "nvidia-l4"), ("gemma-4-31b", "nvidia-rtx-pro-6000"))


def start(size: int = 0, *, kept: bool, delivery: str = "gcsfuse-buffered") -> ColdStart:
    return expected(engine="vllm", delivery=delivery, weights_bytes=size, kept=kept)


def seconds(cold: ColdStart) -> str:
    return f"{cold.likely:.0f} s ({cold.low:.0f} to {cold.high:.0f})"


def saved() -> float:
    return start(kept=False).likely - start(kept=True).likely


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.what)
def test_what_is_likely_to_be_saved_is_near_what_was_saved(pair: Pair) -> None:
    assert 1 / FACTOR <= pair.ratio <= FACTOR
    if pair.within:
        for seen, kept in ((pair.without, False), (pair.kept, True)):
            assert start(kept=kept).low <= seen <= start(kept=kept).high


def test_the_factor_is_no_larger_than_it_must_be() -> None:
    assert max(max(pair.ratio, 1 / pair.ratio) for pair in PAIRS) > FACTOR - 0.05


def test_a_restored_cache_shortens_the_compilation_alone_and_costs_its_own_copying() -> None:
    without, kept = start(10**10, kept=False), start(10**10, kept=True)
    names = [term.name for term in kept.terms]
    assert names == [
        "instance",
        "image",
        "restore",
        "engine",
        "fetch",
        "compile",
        "warm-up",
        "first-token",
    ]
    assert [term.name for term in without.terms] == [name for name in names if name != "restore"]
    changed = {term.name for term in without.terms if term != kept.term(term.name)}
    assert changed == {"compile"}
    assert {"restore", "compile"} <= set(kept.unconfirmed)


def test_an_engine_or_a_start_that_compiles_nothing_keeps_nothing() -> None:
    with pytest.raises(ValueError, match="ollama keeps nothing of a start"):
        expected(engine="ollama", delivery="baked", weights_bytes=1, kept=True)
    with pytest.raises(ValueError, match="that compiles nothing"):
        expected(engine="vllm", delivery="stream", weights_bytes=1, compiled=False, kept=True)


def table() -> str:
    """What the page shows: pairs as published, and the models that people ask for as expected."""
    lines = [
        "| what | without, s | with, s | saved, s | expected over saved | source |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.what} | {one.without:g} | {one.kept:g} | {one.without - one.kept:.0f} | {one.ratio:.2f} | {one.source} |"
        for one in PAIRS
    ]
    lines += ["", "| model, GPU | delivery | expected without | expected with |", "|---|---|---|---|"]
    for name, gpu in SHOWN:
        model = catalog.find(name)
        assert model is not None
        size = catalog.published(model, "vllm")[0].size
        for delivery in ("gcsfuse-buffered", "stream"):
            without, kept = (start(size, kept=kept, delivery=delivery) for kept in (False, True))
            lines.append(f"| {model.title}, {gpu} | {delivery} | {seconds(without)} | {seconds(kept)} |")
    return "\n".join([*lines, "", *_terms()]) + "\n"


def _terms() -> list[str]:
    """What the sums of streamed weights are made of, each term with who published its figures."""
    sizes, titles = [], []
    for name, gpu in SHOWN:
        model = catalog.find(name)
        assert model is not None
        sizes.append(catalog.published(model, "vllm")[0].size)
        titles.append(f"{model.title}, {gpu}")
    lines = [
        f"| term, weights streamed | {' | '.join(titles)} | measured on Cloud Run | source |",
        "|---|---|---|---|---|",
    ]
    both = [
        {
            **{term.name: term for term in start(size, kept=False, delivery="stream").terms},
            **{
                f"{term.name}, with a cache": term
                for term in start(size, kept=True, delivery="stream").terms
                if term.name in {"restore", "compile"}
            },
        }
        for size in sizes
    ]
    for name, term in both[0].items():
        cells = " | ".join(
            f"{one[name].likely:.1f} s ({one[name].low:.1f} to {one[name].high:.1f})" for one in both
        )
        lines.append(f"| {name} | {cells} | {'yes' if term.checked else 'no'} | {term.source} |")
    return lines


def test_the_page_shows_these_tables() -> None:
    assert PAGE.read_text().partition(BEGIN)[2].partition(END)[0] == table()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + table() + END + rest.partition(END)[2])
