"""`homeport bench` on a real endpoint: what it prints, keeps, lists, compares and draws."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from places import ROOT, TAUGHT
from user import User

SPEC = 'name = "mine"\nmodel = "file:./gemma-4-taught.gguf"\n[engine]\ncontext = 512\n[local]\nport = 0\n'
SHORT = ("--input", "48", "--output", "8", "--seconds", "2", "--repetitions", "2")


def ensure_valid(name: str, printed: Any) -> None:  # Any: JSON
    """Raise where `printed` is not what the schema of `name` says."""
    made = json.loads((ROOT / "docs" / "schemas" / f"{name}.json").read_text())
    jsonschema.Draft202012Validator(made).validate(printed)


class Page(HTMLParser):
    """What a page shows, and what it wants from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.charts: list[str] = []
        self.wants: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "svg":
            self.charts.append(found.get("aria-label") or "")
        self.wants += [f"{tag} {name}" for name in found if name in {"src", "href", "srcset"}]
        self.wants += [tag] if tag in {"script", "link", "img", "iframe"} else []


@pytest.mark.long
def test_a_real_endpoint_is_measured_kept_listed_compared_and_drawn(user: User) -> None:
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    user.write(SPEC)
    user.run("up", "--yes")
    # Whether a busy machine lets it be a result (0) or not (3) is not what is tested here.
    page = user.folder / "page.html"
    closed = user.run(
        "bench", "--profile", "users", "--users", "2", *SHORT, "--html", str(page), "--json", code=None
    )
    assert closed.code in {0, 3}, closed.err
    printed = closed.json
    ensure_valid("bench", printed)
    (level,) = printed["levels"]
    assert level["tokens"]["input_exact"] == level["requests"]["answered"] > 0
    assert level["tokens"]["input"] == 48 * level["requests"]["answered"]
    assert level["tokens"]["output"] == 8 * level["requests"]["answered"]
    assert printed["setting"]["engine"]
    assert len(level["rates"]["output_tokens"]["repetitions"]) == 2
    drawn = Page()
    drawn.feed(page.read_text())
    assert len(drawn.charts) >= 4
    assert not drawn.wants
    assert user.run("bench", "--profile", "poisson", "--rate", "4", *SHORT, "--json", code=None).code in {
        0,
        3,
    }
    assert "the endpoint's context has 512" in user.run("bench", "--input", "600", code=10).err
    rows = user.run("bench", "list", "--json").json
    ensure_valid("bench-list", rows)
    files = [row["file"] for row in rows]
    assert len(files) == 2
    assert not any(re.search(r"Words:|messages", Path(file).read_text()) for file in files)
    ran = user.run("bench", "compare", files[0], files[1], "--json", code=None)
    ensure_valid("bench-compare", ran.json)
    told = any(not one["difference"].startswith("cannot be told") for one in ran.json["figures"])
    assert ran.code == (0 if told else 3)
    user.run("down", "--yes")


@pytest.mark.long
def test_a_trace_is_measured_with_the_lengths_that_it_has(user: User) -> None:
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    user.write(SPEC)
    user.run("up", "--yes", "--no-verify")
    (user.folder / "trace.csv").write_text("seconds,input,output\n0,1,4\n0.2,60,12\n0.4,90,4\n")
    ran = user.run(
        "bench", "--trace", "trace.csv", "--seconds", "2", "--repetitions", "2", "--json", code=None
    )
    printed = ran.json
    ensure_valid("bench", printed)
    assert (printed["setting"]["input"], printed["setting"]["output"]) == (None, None)
    (level,) = printed["levels"]
    assert level["tokens"]["output"] == 2 * (4 + 12 + 4)
    assert level["tokens"]["input"] == 2 * (printed["setting"]["template_tokens"] + 1 + 60 + 90)
    assert any("1 of the trace's 3 prompts was lengthened" in note for note in level["notes"])
    user.run("down", "--yes")


@pytest.mark.long
def test_answers_have_their_length_also_where_the_server_ends_them_at_strings_of_its_own(
    user: User, real_weights: Mapping[str, Path]
) -> None:
    """As for a pretrained model, which the catalog gives such strings."""
    weights = f'weights = "file:{real_weights["gemma-3-270m-pt"]}"'
    user.write(
        f'name = "mine"\nmodel = "gemma-3-270m-pt"\n{weights}\n[engine]\ncontext = 512\n[local]\nport = 0\n'
    )
    user.run("up", "--yes", "--no-verify")
    short = ("--users", "1", "--input", "96", "--output", "24", "--seconds", "4", "--repetitions", "1")
    (level,) = user.run("bench", "--profile", "users", *short, "--json", code=None).json["levels"]
    assert level["requests"]["failed"] == {}
    assert level["tokens"]["output"] == 24 * level["requests"]["answered"] > 0
    user.run("down", "--yes")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--profile", "poisson"), 64, "wants --rate"),
        (("--profile", "trace"), 64, "wants --trace"),
        (("--slo", "ttft=fast"), 10, "is no objective"),
        (("--profile", "constant", "--rate", "0.0001"), 20, ""),
        (("compare", "none.json", "none.json"), 10, "cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_asked(
    arguments: tuple[str, ...], code: int, says: str, user: User
) -> None:
    refused = user.run("bench", *arguments, code=code)
    assert says in refused.err


@pytest.mark.long
def test_each_engine_that_is_here_is_started_measured_and_taken_down(user: User) -> None:
    shutil.copyfile(TAUGHT, user.folder / TAUGHT.name)
    user.write(SPEC)
    ran = user.run(
        "bench", "engines", "--engine", "llamacpp", "--users", "1,3", "--input", "48", "--output", "8",
        "--seconds", "2", "--repetitions", "1", "--json", code=None,
    )  # fmt: skip
    assert ran.code in {0, 3}, ran.err
    printed = ran.json
    ensure_valid("bench-engines", printed)
    (one,) = printed["engines"]
    assert [level["users"] for level in one["result"]["levels"]] == [1, 3]
    assert one["weights"] == "file:./gemma-4-taught.gguf"
    assert "bench-llamacpp" not in user.run("list").out
    assert [row["endpoint"] for row in user.run("bench", "list", "--json").json] == ["bench-llamacpp"]


def test_an_engine_that_cannot_serve_the_model_is_told_beside_those_that_can(user: User) -> None:
    user.write(SPEC.replace("./gemma-4-taught.gguf", "./nosuch.gguf"))
    ran = user.run("bench", "engines", "--engine", "llamacpp", "--json", code=3)
    (one,) = ran.json["engines"]
    assert one["result"] is None
    assert "nosuch.gguf" in one["why"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--engine", "nosuch"), "knows no engine 'nosuch'"),
        (("--users", "1,none"), "should be numbers from 1 to 1024"),
        (("--weights", "llamacpp"), "should be ENGINE=SOURCE"),
    ],
)
def test_engines_that_cannot_be_meant_are_refused_before_anything_starts(
    user: User, more: tuple[str, str], said: str
) -> None:
    user.write(SPEC)
    assert said in user.run("bench", "engines", *more, code=None).err
