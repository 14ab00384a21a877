"""What a stranger's result is held against: judged by the library that does it without bounds, and by time where there would be no end."""

from __future__ import annotations

import time
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.agents.promised import broken

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
    whole = {"$defs": {"text": {"type": "string"}}, "properties": {"it": schema}}
    told = broken(whole, {"it": value})
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
        ({"type": "string", "description": "x" * 70_000}, 1),
        ({"type": "string"}, ["x" * 1000] * 300),
    ],
    ids=["expression", "expressions", "branches", "circle", "unique", "nested", "elsewhere", "long", "large"],
)  # fmt: skip
def test_what_cannot_be_told_within_bounds_is_not_held_against_it(schema: Any, value: Any) -> None:
    before = time.thread_time()
    assert broken(schema, value) == ""
    assert time.thread_time() - before < 60  # Of the processor, whatever else it does; it would be years.


def test_what_is_no_schema_is_told_as_that() -> None:
    assert broken({"type": "nonsense"}, 1).startswith("what it announced is no JSON Schema: ")


def test_of_what_is_wrong_the_place_and_the_rule_are_told_and_not_the_value() -> None:
    schema = {"properties": {"a": {"items": {"type": "integer"}}}}
    assert broken(schema, {"a": [1, "\x1b[31msecret" * 50]}) == '$.a[1] is not of type "integer"'
