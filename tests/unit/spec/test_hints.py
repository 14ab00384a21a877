"""What messages tell people to write is taken: each key of the file that the code names is there, and so is each value."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from homeport import spec
from homeport.errors import SpecError
from homeport.spec import Spec
from homeport.spec.schema import TABLES
from source_tree import HOMEPORT, name, texts, within

_TABLE = "|".join(TABLES)
_DOTTED = re.compile(rf"(?<![\w./-])({_TABLE})\.([a-z_]+)(?![\w.(/-])(?: = (true|false|\d+|\"[^\"{{]+\"))?")
_OF_TABLE = re.compile(rf"(?:`([a-z_]+)`|\b(?:set|key|keys) ([a-z_]+)) (?:of|in) \[({_TABLE})\]")
_ENDINGS = {"log", "pem", "py", "sh", "tf", "toml"}
"""Of files that are called like a table."""
_TERRAFORM = "homeport.export.terraform"
"""In whose language `local.` begins names of its own."""
_WRITTEN = re.compile(r'\b([a-z_]+) = (true|false|\d+|"[^"]+")')


def named() -> Iterator[tuple[str, str, str, str]]:
    """Module, table, key and value, '' for none, of every key that a text names."""
    for path in HOMEPORT:
        for text in texts(path):
            if not any(f"{table}." in text or f"[{table}]" in text for table in TABLES):
                continue  # Most texts: looking for a table's name at each of their letters takes seconds.
            for table, key, value in _DOTTED.findall(text):
                if key not in _ENDINGS and not (table == "local" and within(name(path), _TERRAFORM)):
                    yield name(path), table, key, value
            for quoted, said, table in _OF_TABLE.findall(text):
                yield name(path), table, quoted or said, ""


def test_every_key_that_a_message_names_is_one_of_the_file_and_every_value_is_taken() -> None:
    found = list(named())
    assert len(found) > 100, "the code names many keys"
    broken = [
        f"{where}: {table}.{key}" for where, table, key, _ in found if key not in TABLES[table].model_fields
    ]
    for where, table, key, value in found:
        if value and not re.search(r"\b[A-Z]{2,}|…", value):  # Else it stands for one of the reader's own.
            try:
                Spec.model_validate({table: tomllib.loads(f"{key} = {value}")})
            except ValueError as error:
                broken.append(f"{where}: {table}.{key} = {value}: {error}")
    assert not broken


@pytest.mark.parametrize(
    "wrong",
    [
        {"access": {"public": True}},
        {"local": {"host": "0.0.0.0"}},
        {"local": {"host": "0.0.0.0", "api_key": "none"}},
        {"edge": {}},
        {"edge": {"kind": "api-gateway", "domain": "llm.example.com"}},
        {"edge": {"domain": "llm.example.com", "key_header": "Authorization"}},
    ],
)
def test_whoever_writes_what_a_refusal_says_is_not_refused_again(wrong: dict[str, Any]) -> None:  # Any: TOML
    (table,) = wrong
    with pytest.raises(SpecError) as refused:
        spec.parse({"name": "home", **wrong})
    said = f"{refused.value} {refused.value.hint}"
    offered = [
        {key: tomllib.loads(f"{key} = {value}")[key]}
        for key, value in _WRITTEN.findall(said)
        if wrong[table].get(key, value) != tomllib.loads(f"{key} = {value}")[key]
    ]
    assert offered, said
    for change in offered:
        spec.parse({"name": "home", table: {**wrong[table], **change}})
