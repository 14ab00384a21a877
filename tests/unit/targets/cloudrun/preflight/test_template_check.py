"""What a chat template will not do is told by preflight, before weights are carried."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cloud import act
from deployers import Deployer
from deployment import google_for
from homeport import catalog, spec
from homeport.catalog.own_template import OwnTemplate
from homeport.chat_template import kept
from homeport.chat_template.finding import TemplateFinding
from homeport.engines.registry import module
from homeport.home import find_home, private_folder
from homeport.targets.cloudrun.preflight.template import template_findings
from on_cloudrun import deployment

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
    own: OwnTemplate | None, verdicts: list[str], tmp_path: Path
) -> None:
    known = catalog.find("gemma-3-270m")
    assert known is not None
    found = asyncio.run(template_findings(replace(known, own_template=own), WANTED, module("vllm"), tmp_path))
    assert [one.verdict.value for one in found] == verdicts, found


def test_what_one_plan_has_tried_the_next_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    deployer, asked = Deployer("vllm"), list[str]()

    def counted(source: str, _for_tools: str) -> tuple[TemplateFinding, ...]:
        asked.append(source)
        return (TemplateFinding(kind="tools", text="it ignores the tools of a request"),)

    async def warnings() -> tuple[str, ...]:
        async with google_for(deployer.cloud) as google:
            return (await deployment(google, deployer.wanted()).plan()).warnings

    monkeypatch.setattr(kept, "tried_within_bounds", counted)
    private_folder(find_home().root)
    for _ in range(2):
        told = [warning for warning in act(warnings()) if "it ignores the tools of a request" in warning]
        assert len(told) == 1
        assert len(asked) == 1, "the model's own template, once"
