"""What is generated of the shapes of `--json` is fresh, valid, and says of each fact what it has."""

from __future__ import annotations

import json

import jsonschema
import pytest

from homeport.reconcile.fact import Fact, by_key, labelled
from homeport.shapes import FACTS, RESULTS, schema
from homeport.targets.cloudrun.facts import AdaptersFact
from places import ROOT

SCHEMAS = ROOT / "docs" / "schemas"


@pytest.mark.parametrize("name", RESULTS)
def test_every_schema_is_valid_and_fresh(name: str) -> None:
    made = schema(name)
    jsonschema.Draft202012Validator.check_schema(made)
    assert json.loads((SCHEMAS / f"{name}.json").read_text()) == made, "run `make schema`"


def test_there_is_no_schema_of_nothing() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(RESULTS)


def test_every_kind_of_fact_is_in_the_schema_of_a_plan() -> None:
    assert {kind.__name__ for kind in FACTS} == {kind.__name__ for kind in Fact.__subclasses__()}
    of_plan = schema("plan")["properties"]["facts"]["properties"]
    assert set(of_plan) == {kind.key for kind in FACTS}


def test_every_adapter_has_a_line_of_its_own_and_programs_get_them_by_name() -> None:
    sources = {"tone": "gs://b/tone", "law": "gs://b/law"}
    facts = (AdaptersFact(sources=sources),)
    assert labelled(facts) == [("adapter", "tone, from gs://b/tone"), ("adapter", "law, from gs://b/law")]
    assert by_key(facts)["adapters"]["sources"] == sources
