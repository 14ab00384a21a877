"""What a chat template will not do is told by preflight, before weights are carried."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from homeport import catalog, spec
from homeport.catalog.own_template import OwnTemplate
from homeport.engines.registry import module
from homeport.targets.cloudrun.template_check import template_findings

WANTED = spec.parse({"name": "home", "model": "gemma-3-270m"})
PLAIN = "{% for m in messages %}{{ m.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("own", "verdicts"),
    [
        (None, []),
        (OwnTemplate(), ["warning"]),
        (OwnTemplate(where="chat_template.jinja"), ["not checked"]),
        (OwnTemplate(where="chat_template.jinja", text=PLAIN), ["warning"]),
        (OwnTemplate(where="chat_template.jinja", text=PLAIN + "{{ tools | tojson }}"), ["ok"]),
    ],
)
def test_what_is_not_known_of_a_template_is_never_told_as_good(
    own: OwnTemplate | None, verdicts: list[str]
) -> None:
    known = catalog.find("gemma-3-270m")
    assert known is not None
    found = asyncio.run(template_findings(replace(known, own_template=own), WANTED, module("vllm")))
    assert [one.verdict.value for one in found] == verdicts, found
