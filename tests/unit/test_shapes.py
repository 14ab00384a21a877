"""What is generated of the shapes of `--json` is fresh, valid, and says of each fact what it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click
import jsonschema
import pytest

from homeport.cli import COMMANDS, cli
from homeport.reconcile.fact import Fact, by_key, labelled
from homeport.shapes import FACTS, RESULTS, schema, words
from homeport.targets.cloudrun.facts import AdaptersFact
from places import ROOT

SCHEMAS = ROOT / "docs" / "schemas"


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Each command as it is typed behind `homeport`, those of a rehearsal excepted: they are the same commands."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, click.Group) and name != "rehearse":
            yield from ((f"{name} {under}", one) for under, one in command.commands.items())


@pytest.mark.parametrize("name", RESULTS)
def test_every_schema_is_valid_and_fresh(name: str) -> None:
    made = schema(name)
    jsonschema.Draft202012Validator.check_schema(made)
    assert json.loads((SCHEMAS / f"{name}.json").read_text()) == made, "run `make schema`"


def test_there_is_no_schema_of_nothing() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(RESULTS)


def test_every_command_with_json_has_a_schema_of_its_name_and_no_other_has_one() -> None:
    with_json = {
        typed
        for typed, command in every_command()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    assert with_json == {words(name) for name in RESULTS} - {"error"}


def test_every_kind_of_fact_is_in_the_schema_of_a_plan() -> None:
    assert {kind.__name__ for kind in FACTS} == {kind.__name__ for kind in Fact.__subclasses__()}
    of_plan = schema("plan")["properties"]["facts"]["properties"]
    assert set(of_plan) == {kind.key for kind in FACTS}


def test_every_adapter_has_a_line_of_its_own_and_programs_get_them_by_name() -> None:
    sources = {"tone": "gs://b/tone", "law": "gs://b/law"}
    facts = (AdaptersFact(sources=sources),)
    assert labelled(facts) == [("adapter", "tone, from gs://b/tone"), ("adapter", "law, from gs://b/law")]
    assert by_key(facts)["adapters"]["sources"] == sources


def _optional(node: Any) -> Iterator[str]:  # Any: JSON
    """The keys within a schema that an object may lack."""
    if isinstance(node, dict):
        yield from set(node.get("properties", ())) - set(node.get("required", ()))
        for child in node.values():
            yield from _optional(child)
    elif isinstance(node, list):
        for child in node:
            yield from _optional(child)


def test_only_what_others_write_and_the_facts_of_a_plan_may_lack_keys() -> None:
    lacking = {name: found for name in RESULTS if (found := set(_optional(schema(name))))}
    assert lacking.pop("plan") == set(schema("plan")["properties"]["facts"]["properties"])
    assert lacking == {"chat": {"finish_reason", "content"}}, "a server's answer is handed on as it came"
