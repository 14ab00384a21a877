"""What a stranger's result is held against: judged by the library that does it without bounds, and by time where there would be no end."""

from __future__ import annotations

import itertools
import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.agents import promised
from homeport.agents.promised import MOST_STEPS, MOST_STEPS_OF_ALL, Promise, SchemasLook


def fault_of(schema: Any) -> str:
    return SchemasLook().fault_of(schema)


NEWEST = "https://json-schema.org/draft/2020-12/schema"
SEVENTH = "http://json-schema.org/draft-07/schema#"
NAMES = st.sampled_from("ab")
LEAVES = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "a", "long enough"])
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=6,
)
SIMPLE = (
    st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"]).map(lambda kind: {"type": kind})
    | LEAVES.map(lambda value: {"const": value}) | st.lists(LEAVES, min_size=1).map(lambda values: {"enum": values})
    | st.integers(-2, 2).map(lambda least: {"minimum": least}) | st.integers(0, 3).map(lambda most: {"maxLength": most})
    | st.just({"$ref": "#/$defs/text"}) | st.booleans()
)  # fmt: skip
SCHEMAS: st.SearchStrategy[Any] = st.recursive(
    SIMPLE,
    lambda inner: inner.map(lambda one: {"items": one})
    | st.dictionaries(NAMES, inner, max_size=2).map(lambda parts: {"properties": parts, "required": [*parts][:1]})
    | inner.map(lambda one: {"additionalProperties": one})
    | st.lists(inner, min_size=1, max_size=3).flatmap(lambda ways: st.sampled_from([{"anyOf": ways}, {"allOf": ways}, {"oneOf": ways}]))
    | inner.map(lambda one: {"not": one}),
    max_leaves=5,
)  # fmt: skip


@given(schema=SCHEMAS, value=VALUES)
def test_it_judges_as_the_library_does(schema: Any, value: Any) -> None:
    whole = {"$schema": NEWEST, "$defs": {"text": {"type": "string"}}, "properties": {"it": schema}}
    told = Promise(whole).broken({"it": value})
    assert (told == "") is jsonschema.Draft202012Validator(whole).is_valid({"it": value}), told
    assert "\n" not in told


def branching(depth: int) -> dict[str, Any]:
    ways = {f"a{i}": {"allOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(depth)}
    return {"$ref": "#/$defs/a0", "$defs": {**ways, f"a{depth}": {"type": "string"}}}


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth):
        schema = {"allOf": [schema, schema], "unevaluatedProperties": False}
    return schema


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a|a)*$"}, "a" * 60 + "!"),
        ({"patternProperties": {"^(a|a)*$": False}}, {"a" * 60 + "!": 1}),
        (branching(60), "x"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, 1),
        ({"uniqueItems": True}, [{"a": number} for number in range(20_000)]),
        (nested(10), {"a": 1}),
        ({"$ref": "http://127.0.0.1:9/schema.json"}, 1),
        ({"type": "string"}, ["x" * 1000] * 300),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$schema": NEWEST, "pattern": "^(a|a)*$"}}}, "a" * 60 + "!"),
        ({"patternProperties": {"^(a|a)*$": {}}, "additionalProperties": False}, {"a" * 60 + "!": 1}),
        ({"items": {"allOf": [{}] * 9_000}}, [0] * 80_000),
    ],
    ids=["expression", "expressions", "branches", "circle", "unique", "nested", "elsewhere", "large", "dialect", "rest", "wide"],
)  # fmt: skip
def test_what_cannot_be_told_within_bounds_is_not_held_against_it(schema: Any, value: Any) -> None:
    promise, before = Promise(schema), time.thread_time()
    assert promise.broken(value) == ""
    # Of the processor, whatever else it does; it would be years, or minutes.
    assert time.thread_time() - before < 10


@pytest.mark.parametrize("levels", range(8))
@pytest.mark.parametrize(
    "circle",
    [{"$ref": "#"}, {"$dynamicRef": "#"}, {"anyOf": [{"$ref": "#"}]}, {"not": {"$ref": "#"}}, {"if": {"$ref": "#"}}],
    ids=["reference", "dynamic", "any", "not", "if"],
)  # fmt: skip
def test_a_circle_ends_before_python_does(circle: Any, levels: int) -> None:
    """Where Python ends, the library's Rust panics, which is no `Exception`: how deep one is there decides where."""
    schema = circle
    for _ in range(levels):
        schema = {"allOf": [schema]}
    assert Promise({"type": "object", "$schema": NEWEST, **schema}).broken({"a": 1}) == ""


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ({"$ref": "#/minProperties/x"}, 1),
        ({"$ref": "#/required/abc"}, 1),
        ({"$ref": "#/type"}, 1),
        ({"$ref": "http://[bad"}, 1),
        ({"multipleOf": 0.5}, 10**400),
        ({"multipleOf": 0.5}, float("inf")),
    ],
)
def test_what_the_library_cannot_do_with_is_not_held_against_a_result(part: Any, value: Any) -> None:
    whole = {"type": "object", "minProperties": 1, "required": ["a"], "properties": {"a": part}}
    assert Promise(whole).broken({"a": value}) == ""


def test_a_schema_is_read_in_the_words_of_its_dialect() -> None:
    """A list as `items` is a tuple in the seventh draft, and nothing in the newest."""
    pair = {"type": "array", "items": [{"type": "number"}, {"type": "number"}]}
    whole = {"$schema": SEVENTH, "type": "object", "properties": {"at": pair}}
    assert fault_of(whole) == ""
    assert Promise(whole).broken({"at": [1, 2]}) == ""
    assert Promise(whole).broken({"at": [1, "x"]}) == '$.at[1] is not of type "number"'
    assert fault_of({**whole, "$schema": NEWEST}).startswith("it is no JSON Schema: ")


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "nonsense"}, "it is no JSON Schema: 'nonsense' is not valid under any of the given schemas"),
        ({"$schema": ["x"]}, "it is no JSON Schema: ['x'] is not of type 'string'"),
        ({"type": "object", "description": "x" * 70_000}, "it has 70037 bytes, and at most 65536 are shown to a model"),
        ({"type": "object", "allOf": [{}] * 16_000}, "it is deeper, or has more parts, than is looked at"),
        (deep(200), "it is deeper, or has more parts, than is looked at"),
        (deep(20), ""),
        ({"properties": {f"a{number}": {"type": "integer"} for number in range(2_000)}}, ""),
        ({"$schema": "http://[bad"}, ""),
        ({"pattern": r"^\p{L}+$"}, ""),
        ({"$schema": SEVENTH, "definitions": {"a": {"type": "string"}}, "$ref": "#/definitions/a"}, ""),
    ],
    ids=["nonsense", "no-dialect", "long", "wide", "deep", "less-deep", "properties", "no-address", "javascript", "seventh"],
)  # fmt: skip
def test_a_schema_is_taken_or_refused_in_words(schema: Any, said: str) -> None:
    assert fault_of(schema) == said


@pytest.fixture
def tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the looks, for a tenth of what is looked at: each part takes as many as it does."""
    monkeypatch.setattr(promised, "MOST_STEPS", MOST_STEPS // 10)
    monkeypatch.setattr(promised, "MOST_STEPS_OF_ALL", MOST_STEPS_OF_ALL // 10)


@pytest.mark.usefixtures("tenth")
def test_what_is_refused_for_its_parts_is_counted_and_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, step = itertools.count(), promised._Moment.step

    def counted(moment: promised._Moment) -> None:
        next(steps)
        step(moment)

    monkeypatch.setattr(promised._Moment, "step", counted)
    assert fault_of({"allOf": [{}] * 1_600})
    assert next(steps) == MOST_STEPS // 10 + 1


@pytest.mark.usefixtures("tenth")
def test_all_schemas_of_a_server_together_are_looked_at_only_so_far() -> None:
    look = SchemasLook()
    wide = {"properties": {f"a{number}": {"type": "integer"} for number in range(200)}}
    taken = 0
    while not look.fault_of(wide):
        taken += 1
    assert look.over
    assert 4 <= taken <= MOST_STEPS_OF_ALL / MOST_STEPS * 2


@pytest.mark.usefixtures("tenth")
def test_one_schema_of_too_many_parts_is_not_held_against_all_of_them() -> None:
    look = SchemasLook()
    assert look.fault_of({"allOf": [{}] * 1_600})
    assert not look.over


@pytest.mark.usefixtures("tenth")
def test_many_tools_of_many_parameters_are_taken() -> None:
    look = SchemasLook()
    usual = {"type": "object", "properties": {f"a{number}": {"type": "string"} for number in range(20)}}
    assert [look.fault_of(usual) for _ in range(40)] == [""] * 40


def test_of_what_is_wrong_the_place_and_the_rule_are_told_and_not_the_value() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert Promise(schema).broken({"a": [1, "\x1b[31msecret" * 50]}) == '$.a[1] is not of type "integer"'
